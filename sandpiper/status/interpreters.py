"""Reads an interpreter by AgentCore and compares it with the template."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, cast

from botocore.exceptions import ClientError

from sandpiper.plan.deployed import code_of
from sandpiper.status.comparison import Difference

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandpiper.plan.deployed import Account
    from sandpiper.status.physical import PhysicalTemplate

_REFERENCE = re.compile(r"\{\{resolve:ssm:([^:{}]+)\}\}")
PROPERTIES = ("Name", "Description", "ExecutionRoleArn", "NetworkConfiguration", "Tags")


def find(account: Account, identifier: str) -> dict[str, Any] | None:
    """GetCodeInterpreter, or None for one that is not there."""
    try:
        client = account.session.client("bedrock-agentcore-control")
        return cast("dict[str, Any]", client.get_code_interpreter(codeInterpreterId=identifier))
    except ClientError as error:
        if code_of(error) == "ResourceNotFoundException":
            return None
        raise


def read(account: Account, template: PhysicalTemplate, logical_id: str) -> Iterator[Difference]:
    """What differs between an interpreter and its template."""
    found = find(account, template.physical_ids[logical_id])
    if found is None:
        yield Difference.gone()
        return
    properties = template.plain_properties(template.resources[logical_id])
    network, actual = properties["NetworkConfiguration"], found["networkConfiguration"]
    vpc, actual_vpc = network.get("VpcConfig", {}), actual.get("vpcConfig", {})
    for name, expected, value in (
        ("Name", properties["Name"], found["name"]),
        ("Description", properties.get("Description"), found.get("description")),
        ("ExecutionRoleArn", properties.get("ExecutionRoleArn"), found.get("executionRoleArn")),
        ("NetworkConfiguration.NetworkMode", network["NetworkMode"], actual["networkMode"]),
        ("NetworkConfiguration.VpcConfig.Subnets", _ids(account, vpc.get("Subnets")), actual_vpc.get("subnets")),
        (
            "NetworkConfiguration.VpcConfig.SecurityGroups",
            _ids(account, vpc.get("SecurityGroups")),
            actual_vpc.get("securityGroups"),
        ),
    ):
        yield from Difference.between(name, expected, value)
    wanted: dict[str, str] = {**template.tags, **properties.get("Tags", {})}
    tags = _tags(account, found["codeInterpreterArn"])
    for key in dict.fromkeys((*wanted, *tags)):
        yield from Difference.between(f"Tags.{key}", wanted.get(key), tags.get(key))


def _tags(account: Account, arn: str) -> dict[str, str]:
    """Its tags, without those that AWS adds."""
    session: Any = account.session  # whose types are not those of every service
    found: dict[str, str] = session.client("bedrock-agentcore-control").list_tags_for_resource(resourceArn=arn)["tags"]
    return {key: value for key, value in found.items() if not key.startswith("aws:")}


def _ids(account: Account, values: list[str] | None) -> list[str] | None:
    """Ids as CloudFormation had them of the parameters that a template names; a parameter that has gone stays a name.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/dynamic-references-ssm.html
    """
    if values is None:
        return None
    session: Any = account.session  # whose types are not those of every service
    client = session.client("ssm")

    def resolved(value: str) -> str:
        reference = _REFERENCE.fullmatch(value)
        if reference is None:
            return value
        try:
            return client.get_parameter(Name=reference[1])["Parameter"].get("Value", value)
        except ClientError as error:
            if code_of(error) == "ParameterNotFound":
                return value
            raise

    return [resolved(value) for value in values]
