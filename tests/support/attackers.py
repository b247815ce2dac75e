"""Identities of an account that attack the tenant `claims` of the environment `attacked`."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

from tests.support.account import ACCOUNT, REGION
from tests.support.data_access_attacks import ANY_ROLE_OF_THE_ACCOUNT, NAME, assumed, resources_of
from tests.support.iam import Role, allow, any_client, document

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import ExitStack

EVERYTHING = allow("*")

POWER_USER = (
    {"Effect": "Allow", "NotAction": ["iam:*", "organizations:*", "account:*"], "Resource": "*"},
    allow("iam:CreateServiceLinkedRole", "iam:DeleteServiceLinkedRole", "iam:ListRoles"),
)
"""The statements of PowerUserAccess."""
READ_ONLY = allow(
    *(f"{service}:{verb}*" for service in ("s3", "states", "lambda", "iam", "logs") for verb in ("Get", "List")),
    *("states:Describe*", "logs:Describe*", "logs:FilterLogEvents", "cloudformation:Describe*", "ssm:Get*"),
    *("bedrock-agentcore:Get*", "bedrock-agentcore:List*"),
)
"""Statements like those of ReadOnlyAccess."""


def new_role(undo: ExitStack, *statements: dict[str, Any]) -> Any:
    role = Role(f"attacker-{uuid.uuid4().hex[:8]}")
    iam = any_client("iam")
    iam.create_role(RoleName=role.name, AssumeRolePolicyDocument=document(ANY_ROLE_OF_THE_ACCOUNT))
    undo.callback(iam.delete_role, RoleName=role.name)
    role.set_permissions(*statements)
    undo.callback(iam.delete_role_policy, RoleName=role.name, PolicyName="it")
    return role.session()


def role_of_motor(undo: ExitStack, part: str) -> Any:
    """Returns a session of a deployed role of the tenant `motor`, as an attacker who has its credentials."""
    iam = any_client("iam")
    name = next(each for each in resources_of("motor")["AWS::IAM::Role"] if part in each)
    trust: Any = iam.get_role(RoleName=name)["Role"].get("AssumeRolePolicyDocument")
    iam.update_assume_role_policy(RoleName=name, PolicyDocument=document(ANY_ROLE_OF_THE_ACCOUNT))
    undo.callback(iam.update_assume_role_policy, RoleName=name, PolicyDocument=json.dumps(trust))
    return assumed(f"arn:aws:iam::{ACCOUNT}:role/{name}")


def cdk_role(name: str) -> Any:
    return assumed(f"arn:aws:iam::{ACCOUNT}:role/cdk-hnb659fds-{name}-role-{ACCOUNT}-{REGION}")


def reader_of_workflow(_: ExitStack) -> Any:
    stacks = any_client("cloudformation").describe_stacks(StackName=f"sandpiper-{NAME}-claims")["Stacks"]
    outputs = {each.get("OutputKey"): each.get("OutputValue", "") for each in stacks[0].get("Outputs", [])}
    return assumed(outputs["ReaderRoleRunCode"], Role("attacks-auditor").session())


IDENTITIES: dict[str, Callable[[ExitStack], Any]] = {
    "administrator of the account": lambda undo: new_role(undo, EVERYTHING),
    "power user": lambda undo: new_role(undo, *POWER_USER),
    "read-only user": lambda undo: new_role(undo, READ_ONLY),
    "session function of another tenant": lambda undo: role_of_motor(undo, "SessionFunctionRole"),
    "execution role of another tenant": lambda undo: role_of_motor(undo, "Interpretersandbox"),
    "deployment role of the CDK": lambda _: cdk_role("deploy"),
    "file publishing role of the CDK": lambda _: cdk_role("file-publishing"),
    "starter of the workflow": lambda _: Role("attacks-starter").session(),
    "reader of the workflow": reader_of_workflow,
}
