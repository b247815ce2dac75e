"""Changes each property of an interpreter and deploys it again. Only create-only properties replace the interpreter."""

from __future__ import annotations

import json
import os
import time
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError

from local_aws.settings import ACCOUNT
from sandpiper.cdk_cli import node
from tests.support.account import REGION
from tests.support.target import ON_AWS

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping
    from pathlib import Path

    import aws_cdk as cdk

    from local_aws.running_instance import RunningInstance

pytestmark = pytest.mark.skipif(ON_AWS, reason="the tests create networks, roles and interpreters")
TIMEOUT_SECONDS = 60
INTERPRETER = "AWS::BedrockAgentCore::CodeInterpreterCustom"
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "bedrock-agentcore.amazonaws.com"}, "Action": "sts:AssumeRole"}
    ],
}
Response = dict[str, Any]
"""Members of the response of GetCodeInterpreter."""


@dataclass(frozen=True)
class Existing:
    """Two existing resources of each type that an interpreter refers to, by id or ARN."""

    subnets: tuple[str, str]
    security_groups: tuple[str, str]
    secrets: tuple[str, str]
    roles: tuple[str, str]


if TYPE_CHECKING:
    Arguments = Callable[[cdk.Stack, Existing], dict[str, Any]]
    """Returns arguments of the construct in addition to its scope, id and name."""


def no_arguments(_: cdk.Stack, __: Existing) -> dict[str, Any]:
    return {}


def public(_: cdk.Stack, __: Existing) -> dict[str, Any]:
    from sandpiper_constructs import PublicAccess

    return {"network": PublicAccess(reason="Packages from PyPI", owner="tests")}


def vpc(subnets: int = 1, security_groups: int = 1) -> Arguments:
    """Uses the given numbers of existing subnets and security groups."""

    def arguments(_: cdk.Stack, existing: Existing) -> dict[str, Any]:
        from sandpiper_constructs import VpcAccess

        return {
            "network": VpcAccess(
                subnets=existing.subnets[:subnets], security_groups=existing.security_groups[:security_groups]
            )
        }

    return arguments


def certificates(count: int) -> Arguments:
    return lambda _, existing: {"certificates": existing.secrets[:count]}


def no_role(_: cdk.Stack, __: Existing) -> dict[str, Any]:
    return {"execution_role": "none"}


def existing_role(number: int) -> Arguments:
    def arguments(stack: cdk.Stack, existing: Existing) -> dict[str, Any]:
        from aws_cdk import aws_iam as iam

        return {"execution_role": iam.Role.from_role_arn(stack, "Existing", existing.roles[number])}

    return arguments


def folders(**paths: str) -> Arguments:
    """Creates a folder for each of the construct's arguments `folder`, `read` and `write`."""

    def arguments(stack: cdk.Stack, _: Existing) -> dict[str, Any]:
        from aws_cdk import aws_s3 as s3

        from sandpiper_constructs import BucketFolder

        bucket = s3.Bucket.from_bucket_name(stack, "Data", "existing-data")
        by_argument = {name: BucketFolder(bucket=bucket, path=path) for name, path in paths.items()}
        return {name: folder if name == "folder" else [folder] for name, folder in by_argument.items()}

    return arguments


def texts(**arguments: str) -> Arguments:
    return lambda _, __: arguments


def network(mode: str, subnets: int = 0, security_groups: int = 0) -> Callable[[Existing], Response]:
    def expected(existing: Existing) -> Response:
        ids = {
            "subnets": sorted(existing.subnets[:subnets]),
            "securityGroups": sorted(existing.security_groups[:security_groups]),
        }
        return {"networkConfiguration": {"networkMode": mode, **({"vpcConfig": ids} if subnets else {})}}

    return expected


def secrets(count: int) -> Callable[[Existing], Response]:
    def expected(existing: Existing) -> Response:
        listed = [{"location": {"secretsManager": {"secretArn": arn}}} for arn in sorted(existing.secrets[:count])]
        return {"certificates": listed or None}

    return expected


@dataclass(frozen=True)
class Change:
    """Arguments of the construct before and after a change, and the expected response. None is a missing member."""

    after: Arguments
    expected: Callable[[Existing], Response]
    before: Arguments = no_arguments
    replaced: bool = True


def unchanged(_: Existing) -> Response:
    return {}


CHANGES: Mapping[str, Change] = {
    "name": Change(texts(name_prefix="another"), unchanged),
    "description": Change(texts(description="Another"), lambda _: {"description": "Another"}),
    "no description": Change(no_arguments, lambda _: {"description": None}, texts(description="One")),
    "SANDBOX to PUBLIC": Change(public, network("PUBLIC")),
    "SANDBOX to VPC": Change(vpc(), network("VPC", 1, 1)),
    "VPC to SANDBOX": Change(no_arguments, network("SANDBOX"), vpc()),
    "subnets": Change(vpc(subnets=2), network("VPC", 2, 1), vpc()),
    "security groups": Change(vpc(security_groups=2), network("VPC", 1, 2), vpc()),
    "first certificate": Change(certificates(1), secrets(1)),
    "second certificate": Change(certificates(2), secrets(2), certificates(1)),
    "no certificate": Change(certificates(0), secrets(0), certificates(1)),
    "own role to none": Change(no_role, lambda _: {"executionRoleArn": None}),
    "no role to one that exists": Change(
        existing_role(0), lambda existing: {"executionRoleArn": existing.roles[0]}, no_role
    ),
    "another role that exists": Change(
        existing_role(1), lambda existing: {"executionRoleArn": existing.roles[1]}, existing_role(0)
    ),
    "own folder": Change(folders(folder="own"), unchanged, replaced=False),
    "folder to read": Change(folders(read="others"), unchanged, replaced=False),
    "folder to write": Change(folders(write="others"), unchanged, folders(read="others"), replaced=False),
}


@pytest.fixture(scope="module")
def existing(aws: RunningInstance) -> Existing:  # noqa: ARG001 - boto3 uses it
    """Creates networks, secrets and roles outside of the stacks."""
    session: Any = boto3
    ec2, iam, manager = session.client("ec2"), session.client("iam"), session.client("secretsmanager")
    unique = uuid.uuid4().hex[:8]
    vpc_id = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]

    def two(make: Callable[[int], str]) -> tuple[str, str]:
        # Sorted, as the construct sorts them.
        first, second = sorted((make(1), make(2)))
        return first, second

    def subnet(number: int) -> str:
        return ec2.create_subnet(VpcId=vpc_id, CidrBlock=f"10.0.{number}.0/24")["Subnet"]["SubnetId"]

    def security_group(number: int) -> str:
        return ec2.create_security_group(VpcId=vpc_id, GroupName=f"{unique}-{number}", Description="Of a test")[
            "GroupId"
        ]

    def secret(number: int) -> str:
        return manager.create_secret(Name=f"{unique}-{number}", SecretString="a certificate")["ARN"]

    def role(number: int) -> str:
        trust = json.dumps(TRUST)
        return iam.create_role(RoleName=f"{unique}-{number}", AssumeRolePolicyDocument=trust)["Role"]["Arn"]

    return Existing(two(subnet), two(security_group), two(secret), two(role))


@dataclass
class Stack:
    """A stack with one interpreter. Each deployment synthesizes it again."""

    existing: Existing
    folder: Path
    name: str = field(default_factory=lambda: f"interpreter-{uuid.uuid4().hex[:8]}")

    def template(self, make_arguments: Arguments) -> str:
        """Returns the template with the given arguments of the construct."""
        os.environ.setdefault("JSII_NODE", str(node()))
        import aws_cdk as cdk

        from sandpiper_constructs import CodeInterpreter

        app = cdk.App(outdir=str(self.folder), analytics_reporting=False)
        environment = cdk.Environment(account=ACCOUNT, region=REGION)
        stack = cdk.Stack(app, self.name, env=environment, synthesizer=cdk.BootstraplessSynthesizer())
        arguments: dict[str, Any] = {"name_prefix": self.name.replace("-", "_"), **make_arguments(stack, self.existing)}
        CodeInterpreter(stack, "Sandbox", **arguments)
        app.synth()
        return (self.folder / f"{self.name}.template.json").read_text()

    def deploy(self, make_arguments: Arguments) -> str:
        """Creates or updates the stack, and returns its final status. Raises ClientError if nothing changes."""
        stacks: Any = boto3.client("cloudformation")
        known = [each["StackName"] for each in stacks.list_stacks()["StackSummaries"]]
        deploy = stacks.update_stack if self.name in known else stacks.create_stack
        identifier = deploy(
            StackName=self.name, TemplateBody=self.template(make_arguments), Capabilities=["CAPABILITY_NAMED_IAM"]
        )["StackId"]
        return self.wait_until_complete(identifier)

    def wait_until_complete(self, identifier: str) -> str:
        """Waits for the end of the operation, and returns the stack's status."""
        deadline, stacks = time.monotonic() + TIMEOUT_SECONDS, boto3.client("cloudformation")
        while time.monotonic() < deadline:
            status = stacks.describe_stacks(StackName=identifier)["Stacks"][0]["StackStatus"]
            if not status.endswith("IN_PROGRESS"):
                return status
            time.sleep(0.05)
        raise AssertionError(f"{self.name} is still in progress after {TIMEOUT_SECONDS} s")

    def interpreter(self) -> Response:
        """Returns the response of GetCodeInterpreter for the stack's interpreter."""
        resources: Any = boto3.client("cloudformation").describe_stack_resources(StackName=self.name)["StackResources"]
        (identifier,) = (each["PhysicalResourceId"] for each in resources if each["ResourceType"] == INTERPRETER)
        control: Any = boto3.client("bedrock-agentcore-control")
        return control.get_code_interpreter(codeInterpreterId=identifier)


@pytest.fixture
def stack(existing: Existing, tmp_path: Path) -> Generator[Stack]:
    """Yields a stack that is deleted after the test."""
    created = Stack(existing, tmp_path)
    yield created
    stacks: Any = boto3.client("cloudformation")
    identifier = stacks.describe_stacks(StackName=created.name)["Stacks"][0]["StackId"]
    stacks.delete_stack(StackName=created.name)
    assert created.wait_until_complete(identifier) == "DELETE_COMPLETE"


def ids() -> set[str]:
    """Returns the ids of all interpreters of the account."""
    control: Any = boto3.client("bedrock-agentcore-control")
    pages = control.get_paginator("list_code_interpreters").paginate(type="CUSTOM")
    return {each["codeInterpreterId"] for page in pages for each in page["codeInterpreterSummaries"]}


def run(interpreter_id: str, code: str) -> str:
    """Runs a program in a new session, and returns its output."""
    data: Any = boto3.client("bedrock-agentcore")
    session = {
        "codeInterpreterIdentifier": interpreter_id,
        "sessionId": data.start_code_interpreter_session(codeInterpreterIdentifier=interpreter_id)["sessionId"],
    }
    try:
        response = data.invoke_code_interpreter(
            **session, name="executeCode", arguments={"language": "python", "code": code}
        )
        (result,) = (event["result"] for event in response["stream"] if "result" in event)
        return result["structuredContent"]["stdout"].strip()
    finally:
        data.stop_code_interpreter_session(**session)


@pytest.mark.parametrize("name", CHANGES)
def test_create_only_changes_replace_the_interpreter(stack: Stack, name: str) -> None:
    change = CHANGES[name]
    assert stack.deploy(change.before) == "CREATE_COMPLETE"
    before = stack.interpreter()

    assert stack.deploy(change.after) == "UPDATE_COMPLETE"
    after = stack.interpreter()
    replaced = after["codeInterpreterId"] != before["codeInterpreterId"]
    response = {member: after.get(member) for member in change.expected(stack.existing)}
    assert (replaced, response) == (change.replaced, change.expected(stack.existing))
    assert ids() & {before["codeInterpreterId"], after["codeInterpreterId"]} == {after["codeInterpreterId"]}
    assert run(after["codeInterpreterId"], "print(6 * 7)") == "42"

    with pytest.raises(ClientError, match="No updates are to be performed"):
        stack.deploy(change.after)
