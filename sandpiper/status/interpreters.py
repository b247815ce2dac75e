"""Compares an interpreter with its template."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from botocore.exceptions import ClientError

from sandpiper.aws_errors import error_code
from sandpiper.status.difference import Difference
from sandpiper.status.dynamic_references import resolve_references

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandpiper.plan.deployed import Account
    from sandpiper.status.physical_template import PhysicalTemplate

PROPERTIES = ("Name", "Description", "ExecutionRoleArn", "NetworkConfiguration", "Tags")


def get_interpreter(account: Account, identifier: str) -> dict[str, Any] | None:
    """Returns the response of GetCodeInterpreter, or None when the interpreter does not exist."""
    try:
        client = account.session.client("bedrock-agentcore-control")
        return cast("dict[str, Any]", client.get_code_interpreter(codeInterpreterId=identifier))
    except ClientError as error:
        if error_code(error) == "ResourceNotFoundException":
            return None
        raise


def compare(account: Account, template: PhysicalTemplate, logical_id: str) -> Iterator[Difference]:
    """Yields the differences between an interpreter and its template."""
    found = get_interpreter(account, template.physical_ids[logical_id])
    if found is None:
        yield Difference.deleted()
        return
    properties = resolve_references(account, template.resolve_properties(template.resources[logical_id]))
    network, actual = properties["NetworkConfiguration"], found["networkConfiguration"]
    vpc, actual_vpc = network.get("VpcConfig", {}), actual.get("vpcConfig", {})
    for name, expected, value in (
        ("Name", properties["Name"], found["name"]),
        ("Description", properties.get("Description"), found.get("description")),
        ("ExecutionRoleArn", properties.get("ExecutionRoleArn"), found.get("executionRoleArn")),
        ("NetworkConfiguration.NetworkMode", network["NetworkMode"], actual["networkMode"]),
        (
            "NetworkConfiguration.VpcConfig.Subnets",
            vpc.get("Subnets"),
            actual_vpc.get("subnets"),
        ),
        (
            "NetworkConfiguration.VpcConfig.SecurityGroups",
            vpc.get("SecurityGroups"),
            actual_vpc.get("securityGroups"),
        ),
    ):
        yield from Difference.compare_values(name, expected, value)
    expected_tags: dict[str, str] = {**template.tags, **properties.get("Tags", {})}
    tags = _tags(account, found["codeInterpreterArn"])
    for key in dict.fromkeys((*expected_tags, *tags)):
        yield from Difference.compare_values(f"Tags.{key}", expected_tags.get(key), tags.get(key))


def _tags(account: Account, arn: str) -> dict[str, str]:
    """Returns the tags of an interpreter, except those that AWS adds."""
    session: Any = account.session  # its type has no AgentCore client
    tags: dict[str, str] = session.client("bedrock-agentcore-control").list_tags_for_resource(resourceArn=arn)["tags"]
    return {key: value for key, value in tags.items() if not key.startswith("aws:")}
