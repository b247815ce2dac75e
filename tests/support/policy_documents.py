"""Finds the policy documents of an assembly."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

from sandpiper_constructs.template_text import template_text

if TYPE_CHECKING:
    from tests.support.assemblies import Assembly

POLICIES = {
    "AWS::EC2::VPCEndpoint": "PolicyDocument",
    "AWS::IAM::Policy": "PolicyDocument",
    "AWS::KMS::Key": "KeyPolicy",
    "AWS::Logs::ResourcePolicy": "PolicyDocument",
    "AWS::S3::BucketPolicy": "PolicyDocument",
}
"""The property that contains the policy, by resource type. Roles are handled separately."""


def documents(assembly: Assembly) -> dict[str, dict[str, Any]]:
    """Returns every policy document by stack, resource and purpose."""
    by_location: dict[str, dict[str, Any]] = {}
    for stack, template in sorted(assembly.templates.items()):
        for name, role in template.resources("AWS::IAM::Role").items():
            by_location[f"{stack}/{name}/trust"] = role["AssumeRolePolicyDocument"]
            for policy in role.get("Policies", []):
                by_location[f"{stack}/{name}/{policy['PolicyName']}"] = policy["PolicyDocument"]
        for type_, property_ in POLICIES.items():
            for name, policy in template.resources(type_).items():
                document = policy[property_]
                by_location[f"{stack}/{name}"] = (
                    document if "Statement" in document else json.loads(template_text(document))
                )
    return by_location


def statements(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Returns the statements of a policy, with actions and resources as lists.

    Statements that deny can have `NotAction` and `NotResource` instead.
    """
    entries = cast("list[dict[str, Any]]", document["Statement"])
    return [
        {
            **statement,
            **{name: _as_list(statement[name]) for name in ("Action", "Resource") if name in statement},
        }
        for statement in entries
    ]


def resolved(value: Any, bucket_arn: str) -> Any:
    """Returns a bucket's policy with the bucket's ARN in place of references to it."""
    if isinstance(value, list):
        return [resolved(each, bucket_arn) for each in cast("list[Any]", value)]
    if not isinstance(value, dict):
        return value
    mapping = cast("dict[str, Any]", value)
    if "Fn::GetAtt" in mapping:
        return bucket_arn
    if "Fn::Join" in mapping:
        return "".join(resolved(mapping["Fn::Join"][1], bucket_arn))
    return {name: resolved(each, bucket_arn) for name, each in mapping.items()}


def _as_list(value: object) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else [value]
