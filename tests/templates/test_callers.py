"""Callers of this account get a policy. Callers of other accounts assume a role."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aws_cdk as cdk
import pytest

from sandpiper_constructs.caller_access import CallerAccess
from sandpiper_constructs.interpreter import CodeInterpreter

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.assemblies import Template

    Render = Callable[[Callable[[cdk.Stack], object]], Template]

OWN, OTHER = "arn:aws:iam::123456789012:role", "arn:aws:iam::999999999999:role"
ACTIONS = [
    "bedrock-agentcore:GetCodeInterpreterSession",
    "bedrock-agentcore:InvokeCodeInterpreter",
    "bedrock-agentcore:StartCodeInterpreterSession",
    "bedrock-agentcore:StopCodeInterpreterSession",
]
SECRET = "arn:aws:secretsmanager:us-east-1:123456789012:secret:roots-AbCdEf"  # noqa: S105 - its ARN


def _render_access(render: Render, *role_arns: str) -> Template:
    def fill(stack: cdk.Stack) -> None:
        one = CodeInterpreter(stack, "One", name_prefix="one", certificates=[SECRET])
        CallerAccess(stack, "Callers", interpreter=one, role_arns=role_arns)

    return render(fill)


def test_roles_of_this_account_get_a_policy_for_this_interpreter_only(render: Render) -> None:
    template = _render_access(render, f"{OWN}/plain", f"{OWN}/a/path/deep")
    policy = template.only("AWS::IAM::Policy")
    assert policy["Roles"] == ["deep", "plain"]
    assert policy["PolicyName"].startswith("stack")
    secrets, running = sorted(policy["PolicyDocument"]["Statement"], key=lambda each: str(each["Resource"]))
    assert secrets["Resource"] == SECRET or running["Resource"] == SECRET
    (statement,) = (each for each in (secrets, running) if each["Resource"] != SECRET)
    (interpreter,) = template.resources("AWS::BedrockAgentCore::CodeInterpreterCustom")
    assert sorted(statement["Action"]) == ACTIONS
    assert statement["Resource"] == {"Fn::GetAtt": [interpreter, "CodeInterpreterArn"]}
    assert len(template.resources("AWS::IAM::Role")) == 1  # the execution role


def test_roles_of_other_accounts_assume_a_role_that_trusts_exactly_them(render: Render) -> None:
    template = _render_access(render, f"{OTHER}/two", f"{OTHER}/path/one")
    (role,) = (each for name, each in template.resources("AWS::IAM::Role").items() if name.startswith("Callers"))
    trusted = [statement["Principal"]["AWS"] for statement in role["AssumeRolePolicyDocument"]["Statement"]]
    assert trusted in ([[f"{OTHER}/path/one", f"{OTHER}/two"]], [f"{OTHER}/path/one", f"{OTHER}/two"])
    (policy,) = template.resources("AWS::IAM::Policy").values()
    (name,) = (name for name in template.resources("AWS::IAM::Role") if name.startswith("Callers"))
    assert policy["Roles"] == [{"Ref": name}]
    (statement,) = (each for each in policy["PolicyDocument"]["Statement"] if each["Resource"] != SECRET)
    assert sorted(statement["Action"]) == ACTIONS


@pytest.mark.parametrize(
    ("role_arns", "message"),
    [
        ([f"{OWN}/one", f"{OWN}/one"], "role_arns contains a role twice"),
        (["arn:aws:iam::123456789012:user/one"], "role_arns contains 'arn:aws:iam::123456789012:user/one'"),
        ([f"{OWN}/*"], r"role_arns contains '.*role/\*'"),
        (["arn:aws:iam::999999999999:root"], "role_arns contains"),
    ],
)
def test_invalid_role_arns_are_rejected(render: Render, role_arns: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=f"{message}.*; allowed: "):
        _render_access(render, *role_arns)


def test_stack_without_an_account_is_rejected() -> None:
    stack = cdk.Stack()
    one = CodeInterpreter(stack, "One", name_prefix="one")
    with pytest.raises(ValueError, match="stack without an account"):
        CallerAccess(stack, "Callers", interpreter=one, role_arns=[f"{OWN}/one"])
