"""Checks that the S3 folders of interpreters fit into the IAM policies that name them, which have maximum lengths.

The statements are those that the constructs write (`sandpiper_contract.s3_statements`). A test compares the lengths
with the templates.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

from sandpiper.environment.errors import ConfigIssue
from sandpiper.environment.network_folders import (
    interpreter_prefix,
    is_in_network,
    network_folders,
    network_tenants,
)
from sandpiper.environment.traversal import iter_interpreters
from sandpiper.names import DEFAULT_TENANT, VPC_PARAMETER, network_parameter
from sandpiper_contract.aws import MAX_INLINE_POLICY_CHARACTERS, partition_of
from sandpiper_contract.s3_statements import (
    READ_ACTIONS,
    WRITE_ACTIONS,
    endpoint_statements,
    key_statement,
    list_statement,
    object_statement,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from sandpiper.environment.interpreter import Interpreter
    from sandpiper.environment.model import Environment

MAX_ENDPOINT_POLICY_CHARACTERS = 20_480
"""Characters of an endpoint policy, with white space.

https://docs.aws.amazon.com/vpc/latest/privatelink/vpc-limits-endpoints.html
"""
_NEW_KEY = "?" * 120
"""A placeholder with the maximum length of a reference to a new key in a template: its ARN, or an SSM parameter."""


def endpoint_policy_size(environment: Environment) -> int:
    """Returns the characters of the S3 endpoint policy in the environment's network, with white space."""
    partition = partition_of(environment.region)
    folders = (*network_folders(environment), network_tenants(environment))
    statements = endpoint_statements(partition, environment.account, *folders)
    return len(json.dumps(_document(statements)))


def execution_role_size(environment: Environment, own_folder: str, interpreter: Interpreter) -> int:
    """Returns the characters of the policy of an interpreter's new execution role, without white space.

    Args:
        environment: The interpreter's environment.
        own_folder: The interpreter's own folder, such as `bucket/tenants/claims/sandbox/web`.
        interpreter: An interpreter with `execution_role: own`.
    """
    arn = f"arn:{partition_of(environment.region)}:s3:::"
    data_key = {"aws": None, "own": _NEW_KEY}.get(environment.data_bucket.key, environment.data_bucket.key)
    grants = (
        *((READ_ACTIONS, f"{each.bucket}/{each.folder}", each.account, each.key) for each in interpreter.read),
        *((WRITE_ACTIONS, f"{each.bucket}/{each.folder}", each.account, each.key) for each in interpreter.write),
        (WRITE_ACTIONS, own_folder, None, data_key),
    )
    vpc = _vpc_reference(environment) if is_in_network(interpreter) else None
    statements: list[dict[str, Any]] = []
    for actions, location, owner, key in grants:
        account = owner or environment.account
        bucket, _, folder = location.partition("/")
        bucket_arn, objects_arn = f"{arn}{bucket}", f"{arn}{location}/*"
        statements.append(object_statement(actions, objects_arn, account, vpc))
        statements.append(list_statement(bucket_arn, f"{folder}/*", account, vpc))
        if key is not None:
            via_s3 = _s3_service_name(environment, key)
            statements.append(key_statement(key, via_s3, [bucket_arn, objects_arn], write=actions is WRITE_ACTIONS))
    return len(json.dumps(_document(_merge(statements)), separators=(",", ":")))


def _vpc_reference(environment: Environment) -> str:
    """Returns the reference to the VPC of the environment's network, with a placeholder for the digest."""
    return f"{{{{resolve:ssm:{network_parameter(environment.name, '?' * 8)}/{VPC_PARAMETER}}}}}"


def _s3_service_name(environment: Environment, key: str) -> object:
    region = key.split(":")[3] if key.startswith("arn:") else environment.region
    return {"Fn::Join": ["", [f"s3.{region}.", {"Ref": "AWS::URLSuffix"}]]}


def _merge(statements: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Merges statements that differ only in their resources, as the CDK does for the role's policy."""
    merged: dict[str, dict[str, Any]] = {}
    for statement in statements:
        other_elements = {name: value for name, value in statement.items() if name != "Resource"}
        first = merged.setdefault(json.dumps(other_elements, sort_keys=True), {**other_elements, "Resource": []})
        first["Resource"] = [*first["Resource"], *statement["Resource"]]
    return list(merged.values())


def _document(statements: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Returns a policy document as it is in templates, where a list with one item is written as the item."""
    return {
        "Statement": [{name: _without_list_of_one(value) for name, value in each.items()} for each in statements],
        "Version": "2012-10-17",
    }


def _without_list_of_one(value: object) -> object:
    if not isinstance(value, list):
        return value
    items = cast("list[object]", value)
    return items[0] if len(items) == 1 else items


def _check_endpoint_policy(environment: Environment) -> Iterator[ConfigIssue]:
    if environment.network is None:
        return
    size = endpoint_policy_size(environment)
    if size > MAX_ENDPOINT_POLICY_CHARACTERS:
        by_account = (*network_folders(environment), network_tenants(environment))
        count = sum(len(folders) for each in by_account for folders in each.values())
        yield ConfigIssue(
            key_path=("network",),
            problem=f"gives access to {count} S3 folders, for which the endpoint policy has {size} characters",
            allowed=f"at most {MAX_ENDPOINT_POLICY_CHARACTERS} characters, which is AWS's limit",
            remedy="use fewer and wider folders with shorter names, or move some interpreters to another environment",
        )


def _check_role_policies(environment: Environment) -> Iterator[ConfigIssue]:
    for key_path, interpreter in iter_interpreters(environment):
        if interpreter.execution_role != "own":
            continue
        tenant = str(key_path[1]) if key_path[0] == "tenants" else DEFAULT_TENANT
        own_folder = interpreter_prefix(environment, tenant, str(key_path[-1]))
        size = execution_role_size(environment, own_folder, interpreter)
        if size > MAX_INLINE_POLICY_CHARACTERS:
            read, write = len(interpreter.read), len(interpreter.write)
            yield ConfigIssue(
                key_path=(*key_path, "read" if read >= write else "write"),
                problem=f"is too long: the role's policy for {read + write} folders has {size} characters",
                allowed=f"at most {MAX_INLINE_POLICY_CHARACTERS} characters, which is IAM's limit",
                remedy="use fewer and wider folders with shorter names, or divide them among more interpreters",
            )


POLICY_CHECKS = (_check_endpoint_policy, _check_role_policies)
