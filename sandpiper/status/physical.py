"""A template with the names and ARNs that its resources got when they were deployed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sandpiper.plan.template import BUCKET, FUNCTION, INTERPRETER, KEY, LOG_GROUP, ROLE, WORKFLOW, Template

if TYPE_CHECKING:
    from collections.abc import Mapping

ARNS = {
    BUCKET: "arn:{partition}:s3:::{name}",
    FUNCTION: "arn:{partition}:lambda:{region}:{account}:function:{name}",
    INTERPRETER: "arn:{partition}:bedrock-agentcore:{region}:{account}:code-interpreter-custom/{name}",
    KEY: "arn:{partition}:kms:{region}:{account}:key/{name}",
    LOG_GROUP: "arn:{partition}:logs:{region}:{account}:log-group:{name}:*",
    ROLE: "arn:{partition}:iam::{account}:role/{name}",
    WORKFLOW: "{name}",
}
"""The ARN of a resource by its physical id."""


@dataclass(frozen=True)
class PhysicalTemplate(Template):
    """As `Template`, but values are those that were deployed, hashes of names included.

    `tags` are the stack's, which CloudFormation gives each resource besides its own.
    """

    physical_ids: Mapping[str, str] = field(default_factory=dict[str, str])
    parameters: Mapping[str, str] = field(default_factory=dict[str, str])
    tags: Mapping[str, str] = field(default_factory=dict[str, str])

    def _ref(self, name: str) -> str:
        default = self.content.get("Parameters", {}).get(name, {}).get("Default")
        known = self.physical_ids.get(name) or self.parameters.get(name)
        # The name of an SSM parameter is not its value, where CloudFormation does not say what it resolved it to.
        return known if known and known != default else super()._ref(name)

    def _get_att(self, argument: str | list[str]) -> str:
        logical_id, attribute = argument.split(".", 1) if isinstance(argument, str) else argument
        physical_id = self.physical_ids.get(logical_id)
        kind = self.resources[logical_id].type if logical_id in self.resources else ""
        if physical_id and attribute.endswith("Arn") and kind in ARNS:
            place = {"partition": self.place.partition, "region": self.place.region, "account": self.place.account}
            return ARNS[kind].format(name=physical_id, **place)
        return super()._get_att(argument)

    def _without_hashes(self, text: str) -> str:
        return text
