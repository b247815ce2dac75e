"""The stack of the charting agent: what goes to AWS, and what its role may do there."""

from __future__ import annotations

import fnmatch
import json
import os
import shlex
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.templates.charting_agent import NAME, synthesise
from tests.templates.conftest import ROOT, documents, statements

if TYPE_CHECKING:
    from tests.templates.conftest import Assembly, Template

GOLDEN = Path(__file__).parent / "golden" / "iam-charting-agent.json"
REASON_CHARACTERS = 40
"""A reason shorter than this explains nothing."""


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("agent")


@pytest.fixture(scope="module")
def assembly(directory: Path) -> Assembly:
    return synthesise(directory)


@pytest.fixture(scope="module")
def template(assembly: Assembly) -> Template:
    return assembly[NAME]


def test_documents_are_the_ones_that_were_reviewed(assembly: Assembly) -> None:
    text = json.dumps(documents(assembly), indent=2, sort_keys=True) + "\n"
    if os.environ.get("REWRITE_GOLDEN"):
        GOLDEN.write_text(text)
    assert text == GOLDEN.read_text(), "if this is meant: REWRITE_GOLDEN=1 pytest tests/templates"


def agent_statements(template: Template) -> list[dict[str, Any]]:
    return statements(template.only("AWS::IAM::Policy")["PolicyDocument"])


def test_the_runtime_starts_the_package_with_the_role_and_knows_its_place(template: Template) -> None:
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


def test_the_role_is_trusted_to_this_runtime_alone(template: Template) -> None:
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


def test_the_role_may_ask_one_model_and_only_through_the_profile(template: Template) -> None:
    profile, model = (each for each in agent_statements(template) if each["Action"][0].startswith("bedrock:"))
    arn = "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.maker.model-v1:0"
    assert profile["Resource"] == [arn]
    assert model["Resource"] == [
        f"arn:aws:bedrock:{region}::foundation-model/maker.model-v1:0" for region in ("us-east-1", "us-west-2")
    ]
    assert model["Condition"] == {"StringEquals": {"bedrock:InferenceProfileArn": arn}}
    assert profile["Action"] == model["Action"] == ["bedrock:InvokeModelWithResponseStream"]


def test_no_action_is_a_wildcard_and_no_statement_reaches_everything(template: Template) -> None:
    for each in agent_statements(template):
        assert "*" not in "".join(each["Action"])
        assert "*" not in each["Resource"]


def test_code_in_the_sandbox_acts_with_a_role_that_may_do_nothing(template: Template) -> None:
    interpreter = template.only("AWS::BedrockAgentCore::CodeInterpreterCustom")
    assert interpreter["NetworkConfiguration"] == {"NetworkMode": "SANDBOX"}
    role = interpreter["ExecutionRoleArn"]["Fn::GetAtt"][0]
    assert role != agent_role(template)
    assert "Policies" not in template.resources("AWS::IAM::Role")[role]


@pytest.mark.usefixtures("assembly")
def test_every_finding_is_explained_at_its_own_resource(directory: Path) -> None:
    report = json.loads((directory / "cdk.out" / "validation-report.json").read_text())
    (nag,) = (plugin for plugin in report["pluginReports"] if plugin["pluginName"] == "AwsSolutions")
    assert (nag["conclusion"], nag["violations"]) == ("success", [])
    assert len(nag["suppressedViolations"]) == 4
    for finding in nag["suppressedViolations"]:
        assert len(finding["reason"]) > REASON_CHARACTERS, finding["ruleName"]
        assert finding["acknowledgedAt"] == f"{NAME}/Role"


def synth(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command of the example's page, without credentials and without a network. Later arguments win."""
    page = (ROOT / "examples" / "charting_agent" / "README.md").read_text()
    (command,) = (line for line in page.splitlines() if line.startswith("cdk synth "))
    no_network = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--net"]
    path = f"{ROOT}/.venv/bin:{ROOT}/node_modules/.bin:{os.environ['PATH']}"
    return subprocess.run(
        [*no_network, *shlex.split(command.replace("build/charting-agent.out", str(tmp_path / "out"))), *arguments],
        cwd=ROOT,
        env={"PATH": path, "HOME": str(tmp_path), "NO_COLOR": "1", "JSII_RUNTIME_PACKAGE_CACHE": "disabled"},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_the_app_is_synthesised_by_the_cli(tmp_path: Path) -> None:
    package = tmp_path / "package"
    package.mkdir()
    (package / "main.py").write_text("")
    done = synth(tmp_path, "-c", f"package={package}")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / f"{NAME}.template.json").is_file()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("-c", "account="), "account or region is missing; allowed: credentials, or -c account=ID"),
        (("-c", "package=nowhere"), "nowhere has no main.py; run examples/charting_agent/package first"),
    ],
    ids=["account", "package"],
)
def test_what_is_missing_is_said_without_a_traceback(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    done = synth(tmp_path, *arguments)
    assert done.returncode == 1
    assert done.stderr.startswith(said)
    assert "Traceback" not in done.stderr
