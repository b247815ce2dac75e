"""Templates in which references are replaced by the names and ARNs of the deployed resources."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sandpiper.plan.resource_types import ALARM, BUCKET, FUNCTION, INTERPRETER, KEY, LOG_GROUP, ROLE, WORKFLOW
from sandpiper.plan.template import Template, split_get_att

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandpiper.plan.deployed import DeployedStack

ARNS = {
    ALARM: "arn:{partition}:cloudwatch:{region}:{account}:alarm:{name}",
    BUCKET: "arn:{partition}:s3:::{name}",
    FUNCTION: "arn:{partition}:lambda:{region}:{account}:function:{name}",
    INTERPRETER: "arn:{partition}:bedrock-agentcore:{region}:{account}:code-interpreter-custom/{name}",
    KEY: "arn:{partition}:kms:{region}:{account}:key/{name}",
    LOG_GROUP: "arn:{partition}:logs:{region}:{account}:log-group:{name}:*",
    ROLE: "arn:{partition}:iam::{account}:role/{name}",
    WORKFLOW: "{name}",
}
"""The ARN of a resource by type; `name` is its physical ID."""


@dataclass(frozen=True)
class PhysicalTemplate(Template):
    """A template whose values resolve to what was deployed. Hashes of names are kept.

    Attributes:
        physical_ids: the physical IDs of the resources by logical ID.
        parameters: the values of the parameters that CloudFormation resolved.
        tags: the tags of the stack, which CloudFormation adds to each resource.
    """

    physical_ids: Mapping[str, str] = field(default_factory=dict[str, str])
    parameters: Mapping[str, str] = field(default_factory=dict[str, str])
    tags: Mapping[str, str] = field(default_factory=dict[str, str])

    def _ref(self, name: str) -> str:
        default = self.content.get("Parameters", {}).get(name, {}).get("Default")
        value = self.physical_ids.get(name) or self.parameters.get(name)
        # A parameter whose value equals its default was not resolved: the default is the name of an SSM parameter.
        return value if value and value != default else super()._ref(name)

    def _get_att(self, argument: str | list[str]) -> str:
        logical_id, attribute = split_get_att(argument)
        physical_id = self.physical_ids.get(logical_id)
        resource_type = self.resources[logical_id].type if logical_id in self.resources else ""
        if physical_id and attribute.endswith("Arn") and resource_type in ARNS:
            return ARNS[resource_type].format(
                name=physical_id,
                partition=self.target.partition,
                region=self.target.region,
                account=self.target.account,
            )
        return super()._get_att(argument)

    def _without_hashes(self, text: str) -> str:
        return text


def physical_template(stack: DeployedStack, physical_ids: Mapping[str, str]) -> PhysicalTemplate:
    """Returns the template of a deployed stack with the physical IDs of its resources."""
    return PhysicalTemplate(
        stack=stack.name,
        content=stack.template.content,
        target=stack.template.target,
        physical_ids=physical_ids,
        parameters=stack.parameters,
        tags=stack.tags,
    )
