"""Checks the ARNs in an environment file: partition, region, account, and whether a role can be used."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sandpiper.environment.errors import ConfigIssue, format_value
from sandpiper.environment.options import account_of
from sandpiper.environment.traversal import iter_interpreters, iter_tenants, iter_workflows
from sandpiper_contract.aws import AWS_MANAGED_ROLE, partition_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandpiper.environment.errors import KeyPath
    from sandpiper.environment.model import Environment

_AWS_MANAGED_ROLE = re.compile(AWS_MANAGED_ROLE)
_ACCOUNT: KeyPath = ("account",)
_REGION: KeyPath = ("region",)


def _check_partition_and_region(environment: Environment) -> Iterator[ConfigIssue]:
    partition, region = partition_of(environment.region), environment.region
    for key_path, arn in _arns(environment):
        _, arn_partition, _, arn_region, *_ = arn.split(":")
        if arn_partition != partition:
            actual, scope = arn_partition, "partition"
            allowed = f"an ARN in {partition}, the partition of {region}"
        # The key of an S3 folder is in the bucket's region, and a trail in its home region. Both can differ.
        elif arn_region not in ("", region) and not {"read", "write", "audit"} & set(key_path):
            actual, scope = arn_region, "region"
            allowed = f"an ARN in {region}, the environment's region"
        else:
            continue
        yield ConfigIssue(
            key_path=key_path,
            problem=f"is in {actual}: {format_value(arn)}",
            allowed=allowed,
            remedy=f"name a resource in that {scope}",
            depends_on=(_REGION,),
        )


def _arns(environment: Environment) -> Iterator[tuple[KeyPath, str]]:
    options = {
        ("alarm_topic_arn",): environment.alarm_topic_arn,
        ("tenant_alarm_topic_arn",): environment.tenant_alarm_topic_arn,
        ("approval_topic_arn",): environment.approval_topic_arn,
        ("permissions_boundary",): environment.permissions_boundary,
        ("data_bucket", "key"): environment.data_bucket.key,
        ("audit", "trail"): environment.audit.trail if environment.audit else None,
    }
    yield from ((key_path, arn) for key_path, arn in options.items() if arn is not None and arn.startswith("arn:"))
    for key_path, tenant in iter_tenants(environment):
        if tenant.alarm_topic_arn is not None:
            yield (*key_path, "alarm_topic_arn"), tenant.alarm_topic_arn
    for name in ("readers", "writers", "administrators"):
        yield from (((name, index), arn) for index, arn in enumerate(getattr(environment, name)))
    for key_path, workflow in iter_workflows(environment):
        for name in ("starters", "readers"):
            yield from (((*key_path, name, index), arn) for index, arn in enumerate(getattr(workflow, name)))
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


def _check_execution_roles(environment: Environment) -> Iterator[ConfigIssue]:
    for interpreter_path, interpreter in iter_interpreters(environment):
        role = interpreter.execution_role
        if not role.startswith("arn:"):
            continue
        key_path = (*interpreter_path, "execution_role")
        if account_of(role) != environment.account:
            yield ConfigIssue(
                key_path=key_path,
                problem=f"is in another account: {format_value(role)}",
                allowed=f"a role in {environment.account}, because a role can be passed only within its account",
                remedy="name a role in this account, and let it assume the other role",
                depends_on=(_ACCOUNT,),
            )
        if _AWS_MANAGED_ROLE.search(role):
            yield ConfigIssue(
                key_path=key_path,
                problem=f"is managed by AWS: {format_value(role)}",
                allowed="a role that trusts bedrock-agentcore.amazonaws.com, which service-linked roles and roles of "
                "IAM Identity Center cannot",
                remedy="create a role for the interpreter, or set execution_role: own",
            )


def _check_roles_that_get_a_policy(environment: Environment) -> Iterator[ConfigIssue]:
    lists = {(*key_path, "callers"): each.callers for key_path, each in iter_interpreters(environment)}
    lists |= {(*key_path, "starters"): each.starters for key_path, each in iter_workflows(environment)}
    for key_path, roles in lists.items():
        for index, role in enumerate(roles):
            if account_of(role) == environment.account and _AWS_MANAGED_ROLE.search(role):
                yield ConfigIssue(
                    key_path=(*key_path, index),
                    problem=f"is managed by AWS: {format_value(role)}",
                    allowed="a role in this account to which a policy can be attached",
                    remedy="name a role that its users assume, or add the grant to their permission set",
                    depends_on=(_ACCOUNT,),
                )


def _check_boundary_account(environment: Environment) -> Iterator[ConfigIssue]:
    boundary = environment.permissions_boundary
    if boundary is not None and account_of(boundary) not in ("aws", environment.account):
        yield ConfigIssue(
            key_path=("permissions_boundary",),
            problem=f"is in another account: {format_value(boundary)}",
            allowed=f"a managed policy in {environment.account}, or an AWS managed policy",
            remedy="name a policy in this account",
            depends_on=(_ACCOUNT,),
        )


ARN_CHECKS = (
    _check_partition_and_region,
    _check_execution_roles,
    _check_roles_that_get_a_policy,
    _check_boundary_account,
)
