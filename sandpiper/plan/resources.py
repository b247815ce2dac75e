"""Compares the resources that no other part of the plan reports."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandpiper.plan.matching import match_resources, resource_changes
from sandpiper.plan.model import ResourceChange
from sandpiper.plan.resource_types import BUCKET, DATA_TYPES, INTERPRETER, KEY, LOG_GROUP, ROLE

if TYPE_CHECKING:
    from sandpiper.plan.matching import ResourcePair
    from sandpiper.plan.model import PropertyChange
    from sandpiper.plan.template import Template

REPORTED_ELSEWHERE = {
    BUCKET: ("LifecycleConfiguration", "VersioningConfiguration", "DeletionPolicy"),
    LOG_GROUP: ("RetentionInDays", "DeletionPolicy"),
    ROLE: ("AssumeRolePolicyDocument", "ManagedPolicyArns", "PermissionsBoundary", "Policies"),
    "AWS::EC2::VPCEndpoint": ("PolicyDocument",),
    KEY: ("DeletionPolicy", "KeyPolicy"),
}
"""Properties that the plan reports as permissions or as data, by type."""
TYPES_REPORTED_ELSEWHERE = (INTERPRETER, "AWS::IAM::ManagedPolicy", "AWS::IAM::Policy", "AWS::S3::BucketPolicy")


def compare_resources(before: Template | None, after: Template | None) -> tuple[list[ResourceChange], list[str]]:
    """Returns the changes of resources, and the labels of resources that change only through their references."""
    changes: list[ResourceChange] = []
    follows: list[str] = []
    for label, (was, now) in match_resources(before, after):
        resource_type = now.type if now else was.type if was else ""
        if resource_type in TYPES_REPORTED_ELSEWHERE:
            continue
        if was is None or now is None or before is None or after is None:
            if not _is_reported_elsewhere(resource_type, (was, now)):
                change = "made" if was is None else "deleted"
                changes.append(ResourceChange(resource=label, type=resource_type, change=change))
            continue
        differences = resource_changes(before, was, after, now)
        rest = tuple(one for one in differences if not _is_property_reported_elsewhere(resource_type, one))
        replaced = was.logical_id != now.logical_id or any(one.effect == "replaced" for one in rest)
        if rest or (replaced and resource_type != ROLE):  # a replaced role is reported with its permissions
            change = "replaced" if replaced else "changed"
            changes.append(ResourceChange(resource=label, type=resource_type, change=change, properties=rest))
        elif not replaced and not differences and (was.properties, was.attributes) != (now.properties, now.attributes):
            follows.append(label)
    return changes, follows


def _is_reported_elsewhere(resource_type: str, pair: ResourcePair) -> bool:
    """Returns whether permissions or data report the creation or deletion of a resource."""
    return resource_type == ROLE or (pair[1] is None and resource_type in DATA_TYPES)


def _is_property_reported_elsewhere(resource_type: str, change: PropertyChange) -> bool:
    return change.path.partition(".")[0] in REPORTED_ELSEWHERE.get(resource_type, ())
