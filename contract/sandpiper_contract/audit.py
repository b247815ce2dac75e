"""The events that an audit trail records, as CloudTrail's advanced event selectors.

The template of a trail and the check of an existing trail use the same selectors. Types:
https://docs.aws.amazon.com/awscloudtrail/latest/userguide/logging-data-events-with-cloudtrail.html
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

OBJECTS = "AWS::S3::Object"
CUSTOM_INTERPRETERS = "AWS::BedrockAgentCore::CodeInterpreterCustom"
MANAGED_INTERPRETER = "AWS::BedrockAgentCore::CodeInterpreter"


@dataclass(frozen=True, kw_only=True)
class EventSelector:
    """Selects the data events of resources of one type.

    Attributes:
        name: the selector's name, at most 1,000 characters.
        resource_type: the value of `resources.type`.
        arn_prefix: the start of the ARNs of the resources. None selects all resources of the type in the account.
    """

    name: str
    resource_type: str
    arn_prefix: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Returns the selector as CloudFormation and the API of CloudTrail write it."""
        fields: list[dict[str, Any]] = [
            {"Field": "eventCategory", "Equals": ["Data"]},
            {"Field": "resources.type", "Equals": [self.resource_type]},
        ]
        if self.arn_prefix is not None:
            fields.append({"Field": "resources.ARN", "StartsWith": [self.arn_prefix]})
        return {"Name": self.name, "FieldSelectors": fields}


def audit_selectors(
    *, partition: str, region: str, account: str, bucket: str, interpreter_prefix: str
) -> tuple[EventSelector, ...]:
    """Returns the selectors of an environment: its data and its interpreters, and AWS's managed interpreter.

    The managed interpreter belongs to no environment. It is included, because code that runs there is outside of every
    control of the environment.

    Args:
        partition: the partition, such as `aws`.
        region: the region of the environment.
        account: the account of the environment.
        bucket: the name of the data bucket.
        interpreter_prefix: the start of the names of the environment's interpreters, such as `prod__`.
    """
    interpreters = f"arn:{partition}:bedrock-agentcore:{region}:{account}:code-interpreter-custom/"
    return (
        EventSelector(
            name="Objects of the data bucket", resource_type=OBJECTS, arn_prefix=f"arn:{partition}:s3:::{bucket}/"
        ),
        EventSelector(
            name="Interpreters of the environment",
            resource_type=CUSTOM_INTERPRETERS,
            arn_prefix=interpreters + interpreter_prefix,
        ),
        EventSelector(name="The interpreter that AWS manages", resource_type=MANAGED_INTERPRETER),
    )
