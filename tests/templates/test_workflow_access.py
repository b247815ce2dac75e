"""Starters and readers of a workflow have exactly the permissions that their option describes."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import aws_cdk as cdk
import cdk_nag
import pytest

from sandpiper.deployment_policy import policy_statements
from sandpiper.environment import Environment
from sandpiper_constructs.workflow_access import ReaderAccess, StarterAccess
from stacks.environment_stacks import add_stacks
from tests.support.account import ACCOUNT, REGION
from tests.support.assemblies import findings, new_app, read_assembly
from tests.support.policy_documents import documents, statements

if TYPE_CHECKING:
    from tests.support.assemblies import Assembly, Template

OWN, OTHER = f"arn:aws:iam::{ACCOUNT}:role", "arn:aws:iam::999999999999:role"
TENANT = "sandpiper-one-claims"
OPTIONS: dict[str, Any] = {
    "name": "one",
    "account": ACCOUNT,
    "region": REGION,
    "owner": "tests",
    "tenants": {
        "claims": {
            "interpreters": {"sandbox": {}},
            "workflows": {
                "run-code": {
                    "starters": (f"{OWN}/team/orders", f"{OTHER}/orders"),
                    "readers": (f"{OWN}/auditor", f"{OTHER}/auditor"),
                }
            },
        },
        "other": {"interpreters": {"sandbox": {}}, "workflows": {"run-code": None}},
        "short": {
            "interpreters": {"sandbox": {}},
            "workflows": {"run-code-express": {"starters": (f"{OWN}/team/orders", f"{OTHER}/orders")}},
        },
    },
}
START = {"states:StartExecution", "states:DescribeExecution", "states:StopExecution"}
READ = {
    "states:ListExecutions",
    "states:DescribeExecution",
    "states:GetExecutionHistory",
    "s3:ListBucket",
    "s3:GetObject",
}


@pytest.fixture(scope="module", params=["aws", "own"])
def assembly(
    in_the_repository: None,  # noqa: ARG001
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
) -> Assembly:
    """The environment with each kind of key, with its cdk-nag report."""
    directory = tmp_path_factory.mktemp("access")
    app = new_app(directory)
    add_stacks(app, Environment.model_validate({**OPTIONS, "data_bucket": {"key": request.param}}))
    cdk.Validations.of(app).add_plugins(cdk_nag.AwsSolutionsChecks(app))
    app.synth()
    return read_assembly(directory)


def granted(assembly: Assembly, part: str, stack: str = TENANT) -> list[dict[str, Any]]:
    """Returns the statements of the policies whose logical ID contains a text."""
    return [
        statement
        for location, document in documents(assembly).items()
        if location.startswith(f"{stack}/{part}") and not location.endswith("/trust")
        for statement in statements(document)
    ]


def has_own_key(assembly: Assembly) -> bool:
    return bool(assembly["sandpiper-one-storage"].resources("AWS::KMS::Key"))


def trusted(template: Template, part: str) -> list[str]:
    (role,) = (each for name, each in template.resources("AWS::IAM::Role").items() if name.startswith(part))
    found = [statement["Principal"]["AWS"] for statement in role["AssumeRolePolicyDocument"]["Statement"]]
    assert {statement["Action"] for statement in role["AssumeRolePolicyDocument"]["Statement"]} == {"sts:AssumeRole"}
    return sorted(arn for each in found for arn in ([each] if isinstance(each, str) else each))


def test_starters_of_this_account_get_a_policy_and_others_a_role(assembly: Assembly) -> None:
    template = assembly[TENANT]
    policies = {
        name: each for name, each in template.resources("AWS::IAM::Policy").items() if name.startswith("Starters")
    }
    assert sorted(str(each["Roles"]) for each in policies.values() if isinstance(each["Roles"][0], str)) == [
        "['orders']"
    ]
    assert trusted(template, "Startersruncode") == [f"{OTHER}/orders"]
    assert "StarterRoleRunCode" in template.content["Outputs"]


def test_readers_of_every_account_assume_one_role(assembly: Assembly) -> None:
    template = assembly[TENANT]
    assert trusted(template, "Readersruncode") == sorted([f"{OWN}/auditor", f"{OTHER}/auditor"])
    (role,) = (each for name, each in template.resources("AWS::IAM::Role").items() if name.startswith("Readersruncode"))
    tags = {tag["Key"]: tag["Value"] for tag in role["Tags"]}
    assert tags["sandpiper:component"] == "workflow-reader"
    assert tags["sandpiper:tenant"] == "claims"
    assert "ReaderRoleRunCode" in template.content["Outputs"]


def test_permissions_are_exact(assembly: Assembly) -> None:
    (state_machine,) = assembly[TENANT].resources("AWS::StepFunctions::StateMachine")
    for part, expected in (("Starters", START), ("Readers", READ)):
        found = granted(assembly, part)
        actions = {action for statement in found for action in statement["Action"]}
        assert actions == expected | ({"kms:Decrypt"} if has_own_key(assembly) else set())
        for statement in found:
            (resource,) = statement["Resource"]
            text = json.dumps(resource)
            if statement["Action"][0].startswith("states:"):
                assert state_machine in text or f"{TENANT}-run-code:*" in text
                is_on_executions = not {"states:StartExecution", "states:ListExecutions"} & set(statement["Action"])
                assert (f":execution:{TENANT}-run-code:*" in text) is is_on_executions
            elif statement["Action"] == ["s3:ListBucket"]:
                assert statement["Condition"]["StringLike"] == {"s3:prefix": "tenants/claims/runs/*"}
            elif statement["Action"] == ["s3:GetObject"]:
                assert "tenants/claims/runs/*" in text


def test_starters_of_an_express_workflow_can_receive_its_result(assembly: Assembly) -> None:
    stack = "sandpiper-one-short"
    machines = assembly[stack].resources("AWS::StepFunctions::StateMachine")
    (express,) = (name for name, each in machines.items() if each["StateMachineName"].endswith("-express"))
    starts = [each for each in granted(assembly, "Starters", stack) if "states:StartExecution" in each["Action"]]
    assert len(starts) == 2, "the policy and the role"
    for start in starts:
        assert set(start["Action"]) == {"states:StartExecution", "states:StartSyncExecution"}
        assert start["Resource"] == [{"Ref": express}]


def test_the_key_is_used_through_step_functions_and_s3_only(assembly: Assembly) -> None:
    uses = [
        each
        for part in ("Starters", "Readers")
        for each in granted(assembly, part)
        if each["Action"] == ["kms:Decrypt"]
    ]
    services = [re.findall(r"(states|s3)\.", json.dumps(each["Condition"]))[0] for each in uses]
    # The policy and the role of starters, and the role of readers.
    assert sorted(services) == (["s3", "states", "states", "states"] if has_own_key(assembly) else [])
    for each in uses:
        assert "Context:aws:" in json.dumps(each["Condition"])


def test_other_tenants_and_the_default_grant_nothing(assembly: Assembly) -> None:
    other = assembly["sandpiper-one-other"]
    assert not [name for name in other.resources("AWS::IAM::Role") if name.startswith(("Starters", "Readers"))]
    assert not [name for name in other.content["Outputs"] if name.startswith(("StarterRole", "ReaderRole"))]


def test_every_finding_has_a_reason(assembly: Assembly) -> None:
    rules = [each["ruleName"] for each in findings(assembly)]
    assert len([rule for rule in rules if "execution:" in rule]) >= 2


def test_environment_with_interpreters_has_workflows_too() -> None:
    environment = Environment.model_validate(
        {
            **{name: value for name, value in OPTIONS.items() if name != "tenants"},
            "interpreters": {"sandbox": {}},
            "workflows": {"run-code": {"starters": (f"{OWN}/orders",)}},
        }
    )
    assert environment.all_tenants["main"].workflows["run-code"].starters == (f"{OWN}/orders",)


def test_deployment_may_write_the_policies_of_starters_of_this_account_only() -> None:
    (statement,) = (
        each for each in policy_statements(Environment.model_validate(OPTIONS)) if each["Sid"] == "PoliciesOfCallers"
    )
    assert statement["Resource"] == [f"{OWN}/team/orders"]


@pytest.mark.parametrize("role_arns", [[f"{OWN}/one", f"{OWN}/one"], [f"arn:aws:iam::{ACCOUNT}:user/one"], []])
def test_invalid_readers_are_rejected(role_arns: list[str]) -> None:
    app: Any = cdk.App()
    stack = cdk.Stack(app, "stack", env=cdk.Environment(account=ACCOUNT, region=REGION))
    unused: Any = None
    with pytest.raises(ValueError, match=r"role_arns .*; allowed: "):
        ReaderAccess(stack, "Readers", workflow=unused, folder=unused, role_arns=role_arns)
    if role_arns:
        with pytest.raises(ValueError, match=r"role_arns .*; allowed: "):
            StarterAccess(stack, "Starters", workflow=unused, role_arns=role_arns)
    assert not stack.node.children
