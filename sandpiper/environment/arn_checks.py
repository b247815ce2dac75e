"""What ARNs in an environment file may point to: its partition, mostly its region, and roles that can be used."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sandpiper.environment.errors import ConfigIssue, format_value
from sandpiper.environment.options import account_of
from sandpiper.environment.traversal import iter_interpreters
from sandpiper_contract.aws import partition_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandpiper.environment.errors import KeyPath
    from sandpiper.environment.model import Environment

_AWS_OWN_ROLE = re.compile(r":role/aws-service-role/|:role/.*AWSReservedSSO_")
"""Service-linked roles and those of IAM Identity Center: nobody but AWS changes their trust and policies.
https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_create-service-linked-role.html"""
_ACCOUNT: KeyPath = ("account",)
_REGION: KeyPath = ("region",)


def _arns_are_of_this_partition_and_region(environment: Environment) -> Iterator[ConfigIssue]:
    partition = partition_of(environment.region)
    for key_path, arn in _arns(environment):
        _, its_partition, _, its_region, *_ = arn.split(":")
        if its_partition != partition:
            found, allowed = its_partition, f"an ARN of the partition {partition}, in which {environment.region} is"
        # A folder's key is where its bucket is, which may be another region.
        elif its_region not in ("", environment.region) and not {"read", "write"} & set(key_path):
            found, allowed = its_region, f"an ARN of {environment.region}, as region says"
        else:
            continue
        yield ConfigIssue(
            key_path=key_path,
            problem=f"is in {found}: {format_value(arn)}",
            allowed=allowed,
            remedy="name one that is there",
            depends_on=(_REGION,),
        )


def _arns(environment: Environment) -> Iterator[tuple[KeyPath, str]]:
    named = {
        ("alarm_topic_arn",): environment.alarm_topic_arn,
        ("permissions_boundary",): environment.permissions_boundary,
        ("data_bucket", "key"): environment.data_bucket.key,
    }
    yield from ((key_path, arn) for key_path, arn in named.items() if arn is not None and arn.startswith("arn:"))
    for key_path, interpreter in iter_interpreters(environment):
        if interpreter.execution_role.startswith("arn:"):
            yield (*key_path, "execution_role"), interpreter.execution_role
        for name in ("certificates", "callers"):
            for index, arn in enumerate(getattr(interpreter, name)):
                yield (*key_path, name, index), arn
        for name in ("read", "write"):
            for index, folder in enumerate(getattr(interpreter, name)):
                if folder.key is not None:
                    yield (*key_path, name, index, "key"), folder.key


def _execution_roles_can_be_passed(environment: Environment) -> Iterator[ConfigIssue]:
    for key_path, interpreter in iter_interpreters(environment):
        role = interpreter.execution_role
        if not role.startswith("arn:"):
            continue
        at = (*key_path, "execution_role")
        if account_of(role) != environment.account:
            yield ConfigIssue(
                key_path=at,
                problem=f"is of another account: {format_value(role)}",
                allowed=f"a role of {environment.account}, since a role is passed within its account alone",
                remedy="name a role of this account, and let it assume the other",
                depends_on=(_ACCOUNT,),
            )
        if _AWS_OWN_ROLE.search(role):
            yield ConfigIssue(
                key_path=at,
                problem=f"is AWS's own: {format_value(role)}",
                allowed="a role that trusts bedrock-agentcore.amazonaws.com, which those of services and SSO cannot",
                remedy="make a role for it, or say own",
            )


def _callers_can_be_granted(environment: Environment) -> Iterator[ConfigIssue]:
    for key_path, interpreter in iter_interpreters(environment):
        for index, role in enumerate(interpreter.callers):
            if account_of(role) == environment.account and _AWS_OWN_ROLE.search(role):
                yield ConfigIssue(
                    key_path=(*key_path, "callers", index),
                    problem=f"is AWS's own: {format_value(role)}",
                    allowed="a role of this account to which a policy can be attached",
                    remedy="name a role that its people assume; or put the grant into their permission set",
                    depends_on=(_ACCOUNT,),
                )


def _boundary_is_here(environment: Environment) -> Iterator[ConfigIssue]:
    boundary = environment.permissions_boundary
    if boundary is not None and account_of(boundary) not in ("aws", environment.account):
        yield ConfigIssue(
            key_path=("permissions_boundary",),
            problem=f"is of another account: {format_value(boundary)}",
            allowed=f"a managed policy of {environment.account}, or of AWS",
            remedy="name one of this account",
            depends_on=(_ACCOUNT,),
        )


ARN_CHECKS = (
    _arns_are_of_this_partition_and_region,
    _execution_roles_can_be_passed,
    _callers_can_be_granted,
    _boundary_is_here,
)
