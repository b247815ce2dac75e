"""The stack of the charting agent: its resources and the permissions of its role."""

from __future__ import annotations

import fnmatch
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.assemblies import REASON_CHARACTERS, findings
from tests.support.charting_agent import NAME, synthesize
from tests.support.policy_documents import documents, statements

if TYPE_CHECKING:
    from tests.support.assemblies import Assembly, Template

GOLDEN = Path(__file__).parent / "golden" / "iam-charting-agent.json"


@pytest.fixture(scope="module")
def assembly(tmp_path_factory: pytest.TempPathFactory) -> Assembly:
    return synthesize(tmp_path_factory.mktemp("agent"))


@pytest.fixture(scope="module")
def template(assembly: Assembly) -> Template:
    return assembly[NAME]


def test_iam_documents_match_their_reviewed_state(assembly: Assembly) -> None:
    text = json.dumps(documents(assembly), indent=2, sort_keys=True) + "\n"
    if os.environ.get("REWRITE_GOLDEN"):
        GOLDEN.write_text(text)
    assert text == GOLDEN.read_text(), "if this change is intended: REWRITE_GOLDEN=1 pytest tests/templates"


def agent_statements(template: Template) -> list[dict[str, Any]]:
    return statements(template.only("AWS::IAM::Policy")["PolicyDocument"])


def test_the_runtime_has_the_package_the_role_and_its_settings(template: Template) -> None:
    runtime = template.only("AWS::BedrockAgentCore::Runtime")
    code = runtime["AgentRuntimeArtifact"]["CodeConfiguration"]
    assert code["EntryPoint"] == ["main.py"]
    assert code["Runtime"] == "PYTHON_3_13"
    (interpreter,) = template.resources("AWS::BedrockAgentCore::CodeInterpreterCustom")
    assert runtime["EnvironmentVariables"] == {
        "MODEL_ID": "us.maker.model-v1:0",
        "CODE_INTERPRETER_ID": {"Fn::GetAtt": [interpreter, "CodeInterpreterId"]},
        "S3_BUCKET": {"Ref": data_bucket(template)},
        "S3_FOLDER": "agent-outputs",
    }
    assert runtime["RoleArn"] == {"Fn::GetAtt": [agent_role(template), "Arn"]}


def data_bucket(template: Template) -> str:
    (name,) = (
        name for name, bucket in template.resources("AWS::S3::Bucket").items() if "LoggingConfiguration" in bucket
    )
    return name


def agent_role(template: Template) -> str:
    (role,) = template.only("AWS::IAM::Policy")["Roles"]
    return role["Ref"]


def test_the_role_trusts_this_runtime_only(template: Template) -> None:
    role = template.resources("AWS::IAM::Role")[agent_role(template)]
    assert "ManagedPolicyArns" not in role
    (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "bedrock-agentcore.amazonaws.com"}
    assert trust["Condition"]["StringEquals"] == {"aws:SourceAccount": "123456789012"}
    pattern = trust["Condition"]["ArnLike"]["aws:SourceArn"]
    name = template.only("AWS::BedrockAgentCore::Runtime")["AgentRuntimeName"]
    runtimes = "arn:aws:bedrock-agentcore:us-east-1:123456789012:runtime"
    assert fnmatch.fnmatchcase(f"{runtimes}/{name}-a1B2c3D4e5", pattern)
    assert fnmatch.fnmatchcase(f"{runtimes}/{name}-a1B2c3D4e5/runtime-endpoint/DEFAULT", pattern)
    assert not fnmatch.fnmatchcase(f"{runtimes}/{name}_evil-a1B2c3D4e5", pattern)


def test_the_role_can_invoke_one_model_through_the_profile_only(template: Template) -> None:
    profile, model = (each for each in agent_statements(template) if each["Action"][0].startswith("bedrock:"))
    arn = "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.maker.model-v1:0"
    assert profile["Resource"] == [arn]
    assert model["Resource"] == [
        f"arn:aws:bedrock:{region}::foundation-model/maker.model-v1:0" for region in ("us-east-1", "us-west-2")
    ]
    assert model["Condition"] == {"StringEquals": {"bedrock:InferenceProfileArn": arn}}
    assert profile["Action"] == model["Action"] == ["bedrock:InvokeModelWithResponseStream"]


def test_no_action_is_a_wildcard_and_no_statement_allows_all_resources(template: Template) -> None:
    for each in agent_statements(template):
        assert "*" not in "".join(each["Action"])
        assert "*" not in each["Resource"]


def test_code_in_the_sandbox_has_a_role_without_permissions(template: Template) -> None:
    interpreter = template.only("AWS::BedrockAgentCore::CodeInterpreterCustom")
    assert interpreter["NetworkConfiguration"] == {"NetworkMode": "SANDBOX"}
    role = interpreter["ExecutionRoleArn"]["Fn::GetAtt"][0]
    assert role != agent_role(template)
    assert "Policies" not in template.resources("AWS::IAM::Role")[role]


def test_every_finding_is_acknowledged_at_its_resource(assembly: Assembly) -> None:
    acknowledged = findings(assembly)
    assert len(acknowledged) == 4
    for finding in acknowledged:
        assert len(finding["reason"]) > REASON_CHARACTERS, finding["ruleName"]
        assert finding["acknowledgedAt"] == f"{NAME}/Role"
