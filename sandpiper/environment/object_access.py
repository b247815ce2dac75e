"""Finds the principals with access to objects of the data bucket, and checks the options that name them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from sandpiper.environment.errors import ConfigIssue, format_value
from sandpiper.environment.options import account_of
from sandpiper.environment.traversal import iter_interpreters
from sandpiper.names import (
    SESSION_FUNCTION_ROLE,
    TENANTS_PREFIX,
    data_bucket_name,
    role_name_pattern,
    tenant_prefix,
)
from sandpiper_contract import settings
from sandpiper_contract.aws import partition_of
from sandpiper_contract.bucket_policy import MAX_BUCKET_POLICY_BYTES, ObjectAccess, object_access_statements

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandpiper.environment.model import Environment

NAMED = ("readers", "writers", "administrators")
"""The options that name roles, from the least to the most access."""
OTHER_STATEMENTS_BYTES = 1_024
"""Space for the statements on TLS and on SSE-C."""


def object_access(environment: Environment) -> ObjectAccess:
    """Returns the principals that the policy of the data bucket does not deny."""
    return ObjectAccess(
        environment=environment.name,
        role_names=role_name_pattern(environment.name),
        session_function_names=role_name_pattern(environment.name, SESSION_FUNCTION_ROLE),
        tenants_prefix=TENANTS_PREFIX,
        readers=environment.readers,
        writers=environment.writers,
        administrators=environment.administrators,
        execution_roles=_existing_execution_roles(environment),
        shared=_shared_folders(environment),
    )


def bucket_policy_size(environment: Environment) -> int:
    """Returns an upper bound of the bytes of the data bucket's policy, without white space."""
    partition = partition_of(environment.region)
    bucket = data_bucket_name(environment.name, environment.account, environment.region)
    statements = object_access_statements(
        f"arn:{partition}:s3:::{bucket}",
        f"arn:{partition}:iam::{environment.account}:role/",
        object_access(environment),
    )
    return len(json.dumps(statements, separators=(",", ":")).encode()) + OTHER_STATEMENTS_BYTES


def _existing_execution_roles(environment: Environment) -> dict[str, list[str]]:
    """Returns the folders of interpreters in the data bucket, by the existing role that their code has."""
    folders: dict[str, list[str]] = {}
    for name, tenant in environment.all_tenants.items():
        for key, interpreter in tenant.interpreters.items():
            if interpreter.execution_role.startswith("arn:"):
                own = f"{tenant_prefix(name)}/{settings.SANDBOX}/{key}"
                folders.setdefault(interpreter.execution_role, []).append(own)
    return folders


def _shared_folders(environment: Environment) -> list[str]:
    """Returns the folders in the data bucket, outside of those of tenants, that interpreters read or write."""
    bucket = data_bucket_name(environment.name, environment.account, environment.region)
    folders = (
        folder.folder
        for _, interpreter in iter_interpreters(environment)
        for folder in (*interpreter.read, *interpreter.write)
        if folder.bucket == bucket
    )
    return list(dict.fromkeys(folders))


def _check_accounts(environment: Environment) -> Iterator[ConfigIssue]:
    for option in NAMED:
        for index, role in enumerate(getattr(environment, option)):
            if account_of(role) != environment.account:
                yield ConfigIssue(
                    key_path=(option, index),
                    problem=f"is in another account: {format_value(role)}",
                    allowed=f"roles in {environment.account}, the environment's account",
                    remedy="name a role in this account, and let it trust the other role",
                    depends_on=(("account",),),
                )


def _check_each_role_once(environment: Environment) -> Iterator[ConfigIssue]:
    first: dict[str, tuple[str, int]] = {}
    for option in reversed(NAMED):
        for index, role in enumerate(getattr(environment, option)):
            other, other_index = first.setdefault(role, (option, index))
            if (other, other_index) != (option, index):
                yield ConfigIssue(
                    key_path=(option, index),
                    problem=f"is {format_value(role)}, the same as {other}[{other_index}]",
                    allowed="each role once: administrators can also write inputs, and writers can also read",
                    remedy="remove one of them",
                    depends_on=((other, other_index),),
                )


def _check_existing_bucket(environment: Environment) -> Iterator[ConfigIssue]:
    bucket = environment.data_bucket.name
    for option in NAMED:
        if bucket is not None and getattr(environment, option):
            yield ConfigIssue(
                key_path=(option,),
                problem=f"is set, but Sandpiper does not manage the policy of the existing bucket {bucket}",
                allowed=f"{option} only without data_bucket.name",
                remedy="remove it, and name the roles in the policy of that bucket",
                depends_on=(("data_bucket", "name"),),
            )


def _check_size(environment: Environment) -> Iterator[ConfigIssue]:
    size = bucket_policy_size(environment)
    if environment.data_bucket.name is None and size > MAX_BUCKET_POLICY_BYTES:
        roles = {option: len(getattr(environment, option)) for option in NAMED}
        existing = len(_existing_execution_roles(environment))
        largest = max(roles, key=lambda option: roles[option])
        yield ConfigIssue(
            key_path=(largest,) if roles[largest] else ("tenants",),
            problem=f"is too long: the policy of the data bucket names {sum(roles.values())} roles and {existing} "
            f"existing execution roles, and has up to {size:,} bytes",
            allowed=f"at most {MAX_BUCKET_POLICY_BYTES:,} bytes, which is S3's limit",
            remedy="name fewer roles that more people assume, or use execution_role: own",
        )


OBJECT_ACCESS_CHECKS = (_check_accounts, _check_each_role_once, _check_existing_bucket, _check_size)
