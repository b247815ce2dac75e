"""A code interpreter is safe unless its author says otherwise, and a changed one can be deployed over the old one."""

from __future__ import annotations

import datetime
import fnmatch
import re
from typing import TYPE_CHECKING, Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3

from sandpiper_constructs.bucket_folder import BucketFolder
from sandpiper_constructs.interpreter import LONGEST_NAME, CodeInterpreter, PublicAccess
from sandpiper_constructs.principals import service_principal

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.templates.conftest import Template

    Render = Callable[[Callable[[cdk.Stack], object]], Template]

TYPE = "AWS::BedrockAgentCore::CodeInterpreterCustom"
PUBLIC = PublicAccess(reason="Packages from PyPI", owner="platform team", expires=datetime.date(2099, 1, 1))


def test_without_a_word_about_it_the_network_is_sandbox(render: Render) -> None:
    template = render(lambda stack: CodeInterpreter(stack, "One", name_prefix="one"))
    assert template.only(TYPE)["NetworkConfiguration"] == {"NetworkMode": "SANDBOX"}


def test_public_comes_with_its_reason_in_the_template(render: Render) -> None:
    template = render(lambda stack: CodeInterpreter(stack, "One", name_prefix="one", public=PUBLIC))
    (resource,) = (each for each in template.content["Resources"].values() if each["Type"] == TYPE)
    assert resource["Properties"]["NetworkConfiguration"] == {"NetworkMode": "PUBLIC"}
    assert resource["Metadata"]["Sandpiper::PublicAccess"] == {
        "Reason": "Packages from PyPI",
        "Owner": "platform team",
        "Expires": "2099-01-01",
    }


@pytest.mark.parametrize("missing", ["reason", "owner"])
def test_public_without_a_reason_or_an_owner_is_refused(missing: str) -> None:
    given = {"reason": "Packages", "owner": "platform team", missing: "  "}
    with pytest.raises(ValueError, match=f"{missing} is empty"):
        PublicAccess(**given, expires=datetime.date(2099, 1, 1))


def test_its_role_trusts_exactly_this_interpreter(render: Render) -> None:
    template = render(lambda stack: CodeInterpreter(stack, "One", name_prefix="one"))
    name = template.only(TYPE)["Name"]
    (statement,) = template.only("AWS::IAM::Role")["AssumeRolePolicyDocument"]["Statement"]
    assert statement["Principal"] == {"Service": "bedrock-agentcore.amazonaws.com"}
    assert statement["Condition"]["StringEquals"] == {"aws:SourceAccount": "123456789012"}
    pattern = statement["Condition"]["ArnLike"]["aws:SourceArn"]
    arns = "arn:aws:bedrock-agentcore:us-east-1:123456789012:code-interpreter-custom"
    assert pattern == f"{arns}/{name}-??????????"
    assert fnmatch.fnmatchcase(f"{arns}/{name}-a1B2c3D4e5", pattern)
    assert not fnmatch.fnmatchcase(f"{arns}/{name}_evil-a1B2c3D4e5", pattern)


def test_its_role_may_do_nothing_without_a_folder(render: Render) -> None:
    template = render(lambda stack: CodeInterpreter(stack, "One", name_prefix="one"))
    assert "Policies" not in template.only("AWS::IAM::Role")
    assert not template.resources("AWS::IAM::Policy")


def test_its_role_reads_writes_and_lists_its_folder_in_this_account(render: Render) -> None:
    def fill(stack: cdk.Stack) -> None:
        bucket = s3.Bucket.from_bucket_name(stack, "Bucket", "data")
        CodeInterpreter(stack, "One", name_prefix="one", folder=BucketFolder(bucket=bucket, path="a/b"))

    (policy,) = render(fill).only("AWS::IAM::Role")["Policies"]
    objects, keys = policy["PolicyDocument"]["Statement"]
    account = {"aws:ResourceAccount": "123456789012"}
    assert objects["Action"] == ["s3:GetObject", "s3:PutObject"]
    assert objects["Resource"] == "arn:aws:s3:::data/a/b/*"
    assert objects["Condition"] == {"StringEquals": account}
    assert keys["Action"] == "s3:ListBucket"
    assert keys["Resource"] == "arn:aws:s3:::data"
    assert keys["Condition"] == {"StringEquals": account, "StringLike": {"s3:prefix": "a/b/*"}}


def test_who_may_run_code_may_start_use_and_stop_sessions_of_this_interpreter_alone(render: Render) -> None:
    def fill(stack: cdk.Stack) -> None:
        caller = iam.Role(stack, "Caller", assumed_by=service_principal("lambda"))
        CodeInterpreter(stack, "One", name_prefix="one").grant_run(caller)

    template = render(fill)
    (interpreter,) = template.resources(TYPE)
    (statement,) = template.only("AWS::IAM::Policy")["PolicyDocument"]["Statement"]
    assert sorted(statement["Action"]) == [
        "bedrock-agentcore:InvokeCodeInterpreter",
        "bedrock-agentcore:StartCodeInterpreterSession",
        "bedrock-agentcore:StopCodeInterpreterSession",
    ]
    assert statement["Resource"] == {"Fn::GetAtt": [interpreter, "CodeInterpreterArn"]}


def _names(options: dict[str, Any], place: str = "One") -> tuple[str, str]:
    """The interpreter's name, and the logical id of its role."""
    stack = cdk.Stack()
    given: dict[str, Any] = {"name_prefix": "one", **options}
    interpreter = CodeInterpreter(stack, place, **given)
    role = interpreter.execution_role.node.default_child
    assert isinstance(role, cdk.CfnResource)
    return interpreter.interpreter_name, str(stack.resolve(role.logical_id))


@pytest.mark.parametrize("change", [{"description": "Other"}, {"public": PUBLIC}, {"name_prefix": "two"}])
def test_what_can_only_be_set_at_creation_changes_the_name_and_the_role(change: dict[str, Any]) -> None:
    before, after = _names({}), _names(change)
    assert before[0] != after[0]
    assert before[1] != after[1]


def test_another_place_is_another_role_and_so_another_name() -> None:
    assert _names({}, "One") != _names({}, "Two")


def test_the_same_inputs_keep_the_name() -> None:
    assert _names({"description": "Same"}) == _names({"description": "Same"})


def test_a_long_prefix_is_cut_and_still_tells_interpreters_apart() -> None:
    long = "a" * 60
    name, _ = _names({"name_prefix": long + "1"})
    other, _ = _names({"name_prefix": long + "2"})
    assert re.fullmatch(r"[a-zA-Z][a-zA-Z0-9_]{0,47}", name)
    assert len(name) == LONGEST_NAME
    assert name != other


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("name_prefix", ""),
        ("name_prefix", "1one"),
        ("name_prefix", "one-two"),
        ("description", ""),
        ("description", "with, comma"),
        ("description", "x" * 201),
    ],
)
def test_what_the_service_would_refuse_is_refused_before_the_first_resource(option: str, value: str) -> None:
    stack = cdk.Stack()
    given: dict[str, Any] = {"name_prefix": "one", option: value}
    with pytest.raises(ValueError, match=rf"{option} is .*; allowed: "):
        CodeInterpreter(stack, "One", **given)
    assert not stack.node.children


@pytest.mark.parametrize("path", ["", "/a", "a/", "a//b", "a/*", "a?", "${aws:username}"])
def test_a_folder_is_a_plain_path(path: str) -> None:
    bucket = s3.Bucket.from_bucket_name(cdk.Stack(), "Bucket", "data")
    with pytest.raises(ValueError, match="path is "):
        BucketFolder(bucket=bucket, path=path)
