"""Each property of an interpreter is changed and deployed again: it is replaced where it must be, and not elsewhere."""

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
from tests.local.target import ON_AWS

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping
    from pathlib import Path

    import aws_cdk as cdk

    from local_aws.running_instance import RunningInstance

pytestmark = pytest.mark.skipif(ON_AWS, reason="it makes networks, roles and interpreters")
REGION = "us-east-1"
PATIENCE_SECONDS = 60
INTERPRETER = "AWS::BedrockAgentCore::CodeInterpreterCustom"
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "bedrock-agentcore.amazonaws.com"}, "Action": "sts:AssumeRole"}
    ],
}
Shown = dict[str, Any]
"""Members of GetCodeInterpreter's answer."""


@dataclass(frozen=True)
class Existing:
    """What an interpreter refers to, by ids and ARNs, two of each."""

    subnets: tuple[str, str]
    security_groups: tuple[str, str]
    secrets: tuple[str, str]
    roles: tuple[str, str]


if TYPE_CHECKING:
    Given = Callable[[cdk.Stack, Existing], dict[str, Any]]
    """What the construct is given besides its place and its name."""


def nothing(_: cdk.Stack, __: Existing) -> dict[str, Any]:
    return {}


def public(_: cdk.Stack, __: Existing) -> dict[str, Any]:
    from sandpiper_constructs import PublicAccess

    return {"network": PublicAccess(reason="Packages from PyPI", owner="tests")}


def vpc(subnets: int = 1, security_groups: int = 1) -> Given:
    """The first so many of each."""

    def arguments(_: cdk.Stack, existing: Existing) -> dict[str, Any]:
        from sandpiper_constructs import VpcAccess

        return {
            "network": VpcAccess(
                subnets=existing.subnets[:subnets], security_groups=existing.security_groups[:security_groups]
            )
        }

    return arguments


def certificates(count: int) -> Given:
    return lambda _, existing: {"certificates": existing.secrets[:count]}


def no_role(_: cdk.Stack, __: Existing) -> dict[str, Any]:
    return {"execution_role": "none"}


def role_of_others(number: int) -> Given:
    def arguments(stack: cdk.Stack, existing: Existing) -> dict[str, Any]:
        from aws_cdk import aws_iam as iam

        return {"execution_role": iam.Role.from_role_arn(stack, "Existing", existing.roles[number])}

    return arguments


def folders(**paths: str) -> Given:
    """One folder for each argument of the construct that takes folders."""

    def arguments(stack: cdk.Stack, _: Existing) -> dict[str, Any]:
        from aws_cdk import aws_s3 as s3

        from sandpiper_constructs import BucketFolder

        bucket = s3.Bucket.from_bucket_name(stack, "Data", "data-of-others")
        made = {name: BucketFolder(bucket=bucket, path=path) for name, path in paths.items()}
        return {name: folder if name == "folder" else [folder] for name, folder in made.items()}

    return arguments


def texts(**arguments: str) -> Given:
    return lambda _, __: arguments


def network(mode: str, subnets: int = 0, security_groups: int = 0) -> Callable[[Existing], Shown]:
    def shown(existing: Existing) -> Shown:
        ids = {
            "subnets": sorted(existing.subnets[:subnets]),
            "securityGroups": sorted(existing.security_groups[:security_groups]),
        }
        return {"networkConfiguration": {"networkMode": mode, **({"vpcConfig": ids} if subnets else {})}}

    return shown


def secrets(count: int) -> Callable[[Existing], Shown]:
    def shown(existing: Existing) -> Shown:
        listed = [{"location": {"secretsManager": {"secretArn": arn}}} for arn in sorted(existing.secrets[:count])]
        return {"certificates": listed or None}

    return shown


@dataclass(frozen=True)
class Change:
    """What a construct is given before and after, and what GetCodeInterpreter shows then; None is what it lacks."""

    after: Given
    shown: Callable[[Existing], Shown]
    before: Given = nothing
    replaced: bool = True


def as_before(_: Existing) -> Shown:
    return {}


CHANGES: Mapping[str, Change] = {
    "name": Change(texts(name_prefix="another"), as_before),
    "description": Change(texts(description="Another"), lambda _: {"description": "Another"}),
    "no description": Change(nothing, lambda _: {"description": None}, texts(description="One")),
    "SANDBOX to PUBLIC": Change(public, network("PUBLIC")),
    "SANDBOX to VPC": Change(vpc(), network("VPC", 1, 1)),
    "VPC to SANDBOX": Change(nothing, network("SANDBOX"), vpc()),
    "subnets": Change(vpc(subnets=2), network("VPC", 2, 1), vpc()),
    "security groups": Change(vpc(security_groups=2), network("VPC", 1, 2), vpc()),
    "first certificate": Change(certificates(1), secrets(1)),
    "second certificate": Change(certificates(2), secrets(2), certificates(1)),
    "no certificate": Change(certificates(0), secrets(0), certificates(1)),
    "own role to none": Change(no_role, lambda _: {"executionRoleArn": None}),
    "no role to one that exists": Change(
        role_of_others(0), lambda existing: {"executionRoleArn": existing.roles[0]}, no_role
    ),
    "another role that exists": Change(
        role_of_others(1), lambda existing: {"executionRoleArn": existing.roles[1]}, role_of_others(0)
    ),
    "own folder": Change(folders(folder="own"), as_before, replaced=False),
    "folder to read": Change(folders(read="others"), as_before, replaced=False),
    "folder to write": Change(folders(write="others"), as_before, folders(read="others"), replaced=False),
}


@pytest.fixture(scope="module")
def existing(aws: RunningInstance) -> Existing:  # noqa: ARG001 - boto3 talks to it
    """Networks, secrets and roles that are no part of the stacks."""
    session: Any = boto3
    ec2, iam, manager = session.client("ec2"), session.client("iam"), session.client("secretsmanager")
    unique = uuid.uuid4().hex[:8]
    place = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]

    def two(make: Callable[[int], str]) -> tuple[str, str]:
        # Their order is the construct's, by which the first is the first in both.
        first, second = sorted((make(1), make(2)))
        return first, second

    def subnet(number: int) -> str:
        return ec2.create_subnet(VpcId=place, CidrBlock=f"10.0.{number}.0/24")["Subnet"]["SubnetId"]

    def security_group(number: int) -> str:
        return ec2.create_security_group(VpcId=place, GroupName=f"{unique}-{number}", Description="Of a test")[
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
    """A stack of one interpreter; each deployment synthesises it anew."""

    existing: Existing
    folder: Path
    name: str = field(default_factory=lambda: f"interpreter-{uuid.uuid4().hex[:8]}")

    def template(self, given: Given) -> str:
        """With what the construct is given."""
        os.environ.setdefault("JSII_NODE", str(node()))
        import aws_cdk as cdk

        from sandpiper_constructs import CodeInterpreter

        app = cdk.App(outdir=str(self.folder), analytics_reporting=False)
        place = cdk.Environment(account=ACCOUNT, region=REGION)
        stack = cdk.Stack(app, self.name, env=place, synthesizer=cdk.BootstraplessSynthesizer())
        arguments: dict[str, Any] = {"name_prefix": self.name.replace("-", "_"), **given(stack, self.existing)}
        CodeInterpreter(stack, "Sandbox", **arguments)
        app.synth()
        return (self.folder / f"{self.name}.template.json").read_text()

    def deploy(self, given: Given) -> str:
        """Makes or updates it; returns its status. Raises ClientError where nothing changes."""
        stacks: Any = boto3.client("cloudformation")
        known = [each["StackName"] for each in stacks.list_stacks()["StackSummaries"]]
        deploy = stacks.update_stack if self.name in known else stacks.create_stack
        identifier = deploy(
            StackName=self.name, TemplateBody=self.template(given), Capabilities=["CAPABILITY_NAMED_IAM"]
        )["StackId"]
        return self.settled(identifier)

    def settled(self, identifier: str) -> str:
        """The status that it comes to."""
        until, stacks = time.monotonic() + PATIENCE_SECONDS, boto3.client("cloudformation")
        while time.monotonic() < until:
            status = stacks.describe_stacks(StackName=identifier)["Stacks"][0]["StackStatus"]
            if not status.endswith("IN_PROGRESS"):
                return status
            time.sleep(0.05)
        raise AssertionError(f"{self.name} does not settle")

    def interpreter(self) -> Shown:
        """Its interpreter, as AgentCore shows it."""
        resources: Any = boto3.client("cloudformation").describe_stack_resources(StackName=self.name)["StackResources"]
        (found,) = (each["PhysicalResourceId"] for each in resources if each["ResourceType"] == INTERPRETER)
        control: Any = boto3.client("bedrock-agentcore-control")
        return control.get_code_interpreter(codeInterpreterId=found)


@pytest.fixture
def stack(existing: Existing, tmp_path: Path) -> Generator[Stack]:
    """A stack that goes with the test."""
    made = Stack(existing, tmp_path)
    yield made
    stacks: Any = boto3.client("cloudformation")
    identifier = stacks.describe_stacks(StackName=made.name)["Stacks"][0]["StackId"]
    stacks.delete_stack(StackName=made.name)
    assert made.settled(identifier) == "DELETE_COMPLETE"


def ids() -> set[str]:
    """Of all interpreters of the account."""
    control: Any = boto3.client("bedrock-agentcore-control")
    pages = control.get_paginator("list_code_interpreters").paginate(type="CUSTOM")
    return {each["codeInterpreterId"] for page in pages for each in page["codeInterpreterSummaries"]}


def run(interpreter_id: str, code: str) -> str:
    """What a program prints, in a session of its own."""
    data: Any = boto3.client("bedrock-agentcore")
    session = {
        "codeInterpreterIdentifier": interpreter_id,
        "sessionId": data.start_code_interpreter_session(codeInterpreterIdentifier=interpreter_id)["sessionId"],
    }
    try:
        answer = data.invoke_code_interpreter(
            **session, name="executeCode", arguments={"language": "python", "code": code}
        )
        (result,) = (event["result"] for event in answer["stream"] if "result" in event)
        return result["structuredContent"]["stdout"].strip()
    finally:
        data.stop_code_interpreter_session(**session)


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_replaces_the_interpreter_where_it_must(stack: Stack, name: str) -> None:
    change = CHANGES[name]
    assert stack.deploy(change.before) == "CREATE_COMPLETE"
    before = stack.interpreter()

    assert stack.deploy(change.after) == "UPDATE_COMPLETE"
    after = stack.interpreter()
    replaced = after["codeInterpreterId"] != before["codeInterpreterId"]
    shown = {member: after.get(member) for member in change.shown(stack.existing)}
    assert (replaced, shown) == (change.replaced, change.shown(stack.existing))
    assert ids() & {before["codeInterpreterId"], after["codeInterpreterId"]} == {after["codeInterpreterId"]}
    assert run(after["codeInterpreterId"], "print(6 * 7)") == "42"

    with pytest.raises(ClientError, match="No updates are to be performed"):
        stack.deploy(change.after)
