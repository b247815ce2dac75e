"""Compares the IAM documents of every environment with golden files, and checks rules for all of them.

Run `REWRITE_GOLDEN=1 pytest tests/templates/test_iam.py` after an intended change, and review the diff.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from local_aws.ministack.resource_actions.table import RESOURCE_ACTIONS
from tests.support.account import ACCOUNT, REGION
from tests.support.assemblies import synthesize
from tests.support.policy_documents import POLICIES, documents, statements
from tests.support.project import PROJECT

if TYPE_CHECKING:
    from tests.support.assemblies import Assembly

GOLDEN = Path(__file__).parent / "golden"
ENVIRONMENTS = ("dev", "local", "prod")


def _allowed(assembly: Assembly) -> list[tuple[str, dict[str, Any]]]:
    """Returns every statement of identity policies that allows actions."""
    return [
        (location, statement)
        for location, document in documents(assembly).items()
        for statement in statements(document)
        if statement["Effect"] == "Allow" and "Principal" not in statement
    ]


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_documents_match_the_golden_files(assemblies: dict[str, Assembly], environment: str) -> None:
    golden = GOLDEN / f"iam-{environment}.json"
    text = json.dumps(documents(assemblies[environment]), indent=2, sort_keys=True) + "\n"
    if os.environ.get("REWRITE_GOLDEN"):
        golden.write_text(text)
    assert text == golden.read_text(), "if this change is intended: REWRITE_GOLDEN=1 pytest tests/templates/test_iam.py"


def _contains_statements(value: object) -> bool:
    """Returns whether the value contains a policy, as data or as text."""
    if isinstance(value, dict):
        found = cast("dict[str, object]", value)
        return isinstance(found.get("Statement"), list) or any(map(_contains_statements, found.values()))
    if isinstance(value, list):
        return any(map(_contains_statements, cast("list[object]", value)))
    return isinstance(value, str) and '"Statement"' in value


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_only_reviewed_documents_grant_access(assemblies: dict[str, Assembly], environment: str) -> None:
    resources = [
        each
        for template in assemblies[environment].templates.values()
        for each in template.content["Resources"].values()
    ]
    known = {"AWS::IAM::Role", *POLICIES}
    assert {each["Type"] for each in resources if _contains_statements(each.get("Properties"))} <= known
    # Types whose grants are not policy documents, such as AWS::SNS::TopicPolicy.
    granting_types = {
        each["Type"] for each in resources if each["Type"].endswith(("Permission", "Permissions", "Policy", "Grant"))
    }
    assert granting_types <= {*known, "AWS::Lambda::Permission"}


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_only_the_rule_of_a_workflow_may_invoke_a_function(assemblies: dict[str, Assembly], environment: str) -> None:
    for template in assemblies[environment].templates.values():
        resources = template.content["Resources"]
        functions = [name for name, each in resources.items() if each["Type"] == "AWS::Lambda::Function"]
        for name, each in resources.items():
            if each["Type"] != "AWS::Lambda::Permission":
                continue
            granted = each["Properties"]
            assert (granted["Action"], granted["Principal"]) == ("lambda:InvokeFunction", "events.amazonaws.com"), name
            function, rule = (granted[field]["Fn::GetAtt"][0] for field in ("FunctionName", "SourceArn"))
            assert function in functions
            assert function.startswith("SessionFunction")
            assert resources[rule]["Type"] == "AWS::Events::Rule"


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_no_action_is_a_wildcard(assemblies: dict[str, Assembly], environment: str) -> None:
    assert not [location for location, each in _allowed(assemblies[environment]) if "*" in "".join(each["Action"])]


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_only_log_deliveries_and_traces_are_allowed_on_all_resources(
    assemblies: dict[str, Assembly], environment: str
) -> None:
    actions = {
        action.split(":")[0]
        for _, statement in _allowed(assemblies[environment])
        if "*" in statement["Resource"]
        for action in statement["Action"]
    }
    assert actions == {"logs", "xray"}


@pytest.mark.parametrize("environment", ["dev", "local"])
def test_s3_is_allowed_by_folder_and_in_this_account_only(assemblies: dict[str, Assembly], environment: str) -> None:
    account = {"dev": "111122223333", "local": "123456789012"}[environment]
    for location, statement in _allowed(assemblies[environment]):
        if not statement["Action"][0].startswith("s3:"):
            continue
        assert statement["Condition"]["StringEquals"] == {"aws:ResourceAccount": account}, location
        for resource in statement["Resource"]:
            listing = statement["Action"] == ["s3:ListBucket"]
            path = statement["Condition"]["StringLike"]["s3:prefix"] if listing else resource.split("/", 1)[1]
            tenant = location.split("/")[0].rpartition("-")[2]
            assert path.startswith(f"tenants/{tenant}/")
            assert path.endswith(("/*", "/*/items.jsonl"))


def test_code_in_a_session_cannot_access_inputs_or_results_of_runs(local: Assembly) -> None:
    paths = {
        resource.split("/", 1)[1]
        for location, statement in _allowed(local)
        if "ExecutionRole" in location and "s3:PutObject" in statement["Action"]
        for resource in statement["Resource"]
    }
    assert paths == {"tenants/demo/sandbox/sandbox/*", "tenants/demo/sandbox/public/*"}


def test_session_function_can_use_only_its_own_interpreters(dev: Assembly) -> None:
    for tenant in ("claims", "analytics"):
        template = dev[f"sandpiper-dev-{tenant}"]
        own = list(template.resources("AWS::BedrockAgentCore::CodeInterpreterCustom"))
        granted = [
            resource
            for location, statement in _allowed(dev)
            if location.startswith(template.name) and "bedrock-agentcore:InvokeCodeInterpreter" in statement["Action"]
            for resource in statement["Resource"]
        ]
        assert granted == [{"Fn::GetAtt": [name, "CodeInterpreterArn"]} for name in own]


FULL: dict[str, Any] = {
    "availability_zones": {"us-east-1a": "use1-az1", "us-east-1b": "use1-az2"},
    "network": {"endpoints": ("logs",)},
    "data_bucket": {"key": "own"},
}
INTERPRETER: dict[str, Any] = {
    "network": "VPC",
    "callers": (f"arn:aws:iam::{ACCOUNT}:role/agent", "arn:aws:iam::444455556666:role/agent"),
    "certificates": (f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:root-AbCdEf",),
}
WORKFLOWS: dict[str, Any] = {
    "run-code": {
        "starters": (f"arn:aws:iam::{ACCOUNT}:role/orders", "arn:aws:iam::444455556666:role/orders"),
        "readers": (f"arn:aws:iam::{ACCOUNT}:role/auditor",),
    },
    "run-code-express": {"starters": (f"arn:aws:iam::{ACCOUNT}:role/orders",)},
}
ON_THE_PAGE = {
    "execution role": r"Interpreter\w*ExecutionRole",
    "session function": "SessionFunctionRole",
    "workflow": "RunCode(Express)?Role",
    "session stopper": "SessionStopper",
    "callers": "Callers",
    "starters": "Starters",
    "readers": "Readers",
    "log of connections": "NetworkConnectionsRole",
    "bucket of data": "DataBucketDataPolicy",
    "bucket of access logs": "DataBucketAccessLogsPolicy",
    "KMS key": "DataKey",
    "S3's gateway endpoint": "NetworkS3",
    "interface endpoint": "NetworkEndpoint",
    "log of DNS queries": r"NetworkDnsFirewallQueries\w*",
}
"""Start of the logical id by the name of a role or policy in docs/permissions.md."""


def test_permissions_page_lists_every_role_action_and_policy(tmp_path: Path) -> None:
    assembly = synthesize(tmp_path, FULL, interpreters={"one": INTERPRETER}, workflows=WORKFLOWS)
    found: dict[str, set[str]] = {}
    on_everything = set[str]()
    for location, document in documents(assembly).items():
        (label,) = (each for each, begins in ON_THE_PAGE.items() if re.match(begins, location.split("/")[1]))
        role_statements = [each for each in statements(document) if "Principal" not in each]
        found.setdefault(label, set()).update(action for each in role_statements for action in each["Action"])
        on_everything |= {action for each in role_statements if "*" in each["Resource"] for action in each["Action"]}

    page = (PROJECT / "docs" / "permissions.md").read_text()
    written: dict[str, set[str]] = {}
    label = ""
    for line in page.splitlines():
        cells = [each.strip() for each in line.strip("|").split("|")]
        label = cells[0] or label
        if line.startswith("|") and label in ON_THE_PAGE:
            actions = set(re.findall(r"`([a-z0-9-]+:[A-Z]\w+)`", cells[2])) if len(cells) == 4 else set[str]()
            written.setdefault(label, set()).update(actions)
            if cells[-1].startswith("`*`"):
                assert actions == on_everything
    assert "`*`, see below" in page
    assert written == found


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_only_services_are_trusted(assemblies: dict[str, Assembly], environment: str) -> None:
    trusted = {
        json.dumps(statement["Principal"])
        for location, document in documents(assemblies[environment]).items()
        if location.endswith("/trust")
        for statement in document["Statement"]
    }
    of_the_network = ["vpc-flow-logs"] if environment == "prod" else []
    services = ["bedrock-agentcore", "lambda", "states", *of_the_network]
    assert trusted == {json.dumps({"Service": f"{name}.amazonaws.com"}) for name in services}


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_no_role_has_a_managed_policy(assemblies: dict[str, Assembly], environment: str) -> None:
    for template in assemblies[environment].templates.values():
        assert not [name for name, role in template.resources("AWS::IAM::Role").items() if "ManagedPolicyArns" in role]


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_embedded_aws_knows_the_deployment_actions_of_each_type(
    assemblies: dict[str, Assembly], environment: str
) -> None:
    types = {
        resource["Type"]
        for template in assemblies[environment].templates.values()
        for resource in template.content["Resources"].values()
    }
    assert "AWS::IAM::Role" in types
    assert {type_ for type_ in types if not type_.startswith("Custom::")} <= RESOURCE_ACTIONS.keys()
