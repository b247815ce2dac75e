"""Contains the type of a row in the table of grants, and the conditions that several rows share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sandpiper.deployment_policy import features
from sandpiper_contract.aws import ENVIRONMENT_TAG

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sandpiper.environment import Environment

Conditions = dict[str, dict[str, Any]]
"""The `Condition` element of an IAM statement."""


@dataclass(frozen=True)
class Grant:
    """One statement of the deployment policy: actions on resources, for some CloudFormation resource types.

    Placeholders in braces, in resources and conditions, are those of `statements.placeholders`.

    Attributes:
        sid: The statement's `Sid`.
        resource_types: CloudFormation types that need the actions.
        actions: IAM actions.
        resources: ARNs with placeholders.
        conditions: The statement's conditions, with placeholders.
        applies_to: Returns whether an environment needs the grant.
        unscoped_reason: Why no name, tag or boundary limits the grant to the environment. Empty if one does.
    """

    sid: str
    resource_types: tuple[str, ...]
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    conditions: Mapping[str, Mapping[str, Any]] = field(default_factory=Conditions)
    applies_to: Callable[[Environment], bool] = features.always
    unscoped_reason: str = ""


def actions(service: str, *names: str) -> tuple[str, ...]:
    """Returns IAM actions of one service, such as `iam:CreateRole`."""
    return tuple(f"{service}:{name}" for name in names)


def passed_to(*services: str) -> Conditions:
    """Returns the condition that a role is passed to one of these services, such as `lambda`."""
    principals = [f"{service}.amazonaws.com" for service in services]
    return {"StringEquals": {"iam:PassedToService": principals if len(principals) > 1 else principals[0]}}


REQUEST_TAG: Conditions = {"StringEquals": {f"aws:RequestTag/{ENVIRONMENT_TAG}": "{environment}"}}
"""The request sets the environment's tag."""
RESOURCE_TAG: Conditions = {"StringEquals": {f"aws:ResourceTag/{ENVIRONMENT_TAG}": "{environment}"}}
"""The resource has the environment's tag."""
REQUEST_TAG_ON_UNTAGGED: Conditions = REQUEST_TAG | {
    "StringEqualsIfExists": {f"aws:ResourceTag/{ENVIRONMENT_TAG}": "{environment}"}
}
"""The request sets the environment's tag, and the resource has no other environment's tag. For services that, unlike
EC2, have no condition key that separates tagging at creation from tagging later."""
BOUNDARY: Conditions = {"StringEquals": {"iam:PermissionsBoundary": "{boundary}"}}
"""The role has the environment's permissions boundary."""

CREATED_WITH_TAG = "a resource has no ARN before creation, so the tag that the request must set limits the grant"
ROLES = "arn:{partition}:iam::{account}:role/{name_prefix}*"
