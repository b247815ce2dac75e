"""Reads a role by IAM and compares its policies, trust and boundary with the template."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from botocore.exceptions import ClientError

from sandpiper.plan.deployed import code_of
from sandpiper.plan.template import referenced
from sandpiper.status.comparison import Difference

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandpiper.plan.deployed import Account
    from sandpiper.status.physical import PhysicalTemplate

POLICY = "AWS::IAM::Policy"
"""A policy that is a resource of its own is compared with the role that has it, where that is in the template."""
POLICY_PROPERTIES = ("PolicyDocument",)
PROPERTIES = ("AssumeRolePolicyDocument", "ManagedPolicyArns", "PermissionsBoundary", "Policies")


def read(account: Account, template: PhysicalTemplate, logical_id: str) -> Iterator[Difference]:
    """What differs between a role and its template."""
    iam, name = account.session.client("iam"), template.physical_ids[logical_id]
    try:
        role = cast("dict[str, Any]", iam.get_role(RoleName=name)["Role"])
    except ClientError as error:
        if code_of(error) != "NoSuchEntity":
            raise
        yield Difference.gone()
        return
    properties = template.plain_properties(template.resources[logical_id])
    yield from Difference.of_policy("trust", properties["AssumeRolePolicyDocument"], role["AssumeRolePolicyDocument"])
    boundary = role.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn")
    yield from Difference.between("PermissionsBoundary", properties.get("PermissionsBoundary"), boundary)
    attached = [
        one.get("PolicyArn")
        for page in iam.get_paginator("list_attached_role_policies").paginate(RoleName=name)
        for one in page["AttachedPolicies"]
    ]
    yield from Difference.between("ManagedPolicyArns", properties.get("ManagedPolicyArns", []), attached)
    found = {
        policy: cast("dict[str, Any]", iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"])
        for page in iam.get_paginator("list_role_policies").paginate(RoleName=name)
        for policy in page["PolicyNames"]
    }
    expected = _expected(template, logical_id)
    for policy in dict.fromkeys((*expected, *found)):
        yield from Difference.of_policy(f"policy {policy}", expected.get(policy, {}), found.get(policy, {}))


def read_policy(account: Account, template: PhysicalTemplate, logical_id: str) -> Iterator[Difference]:
    """What differs between a policy and its template, on roles that were there before the stack."""
    iam, properties = account.session.client("iam"), template.plain_properties(template.resources[logical_id])
    name = properties["PolicyName"]
    for role in template.resources[logical_id].properties.get("Roles", []):
        if referenced(role) in template.resources:
            continue
        found: dict[str, Any] = {}
        try:
            found = cast("dict[str, Any]", iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"])
        except ClientError as error:
            if code_of(error) != "NoSuchEntity":
                raise
        yield from Difference.of_policy(f"policy of role {role}", properties["PolicyDocument"], found)


def _expected(template: PhysicalTemplate, logical_id: str) -> dict[str, dict[str, Any]]:
    """Policies by name, inline ones and those that are resources."""
    inline: list[dict[str, Any]] = template.plain_properties(template.resources[logical_id]).get("Policies", [])
    apart = [
        template.plain_properties(one)
        for one in template.of_type(POLICY).values()
        if logical_id in map(referenced, one.properties.get("Roles", []))
    ]
    return {one["PolicyName"]: one["PolicyDocument"] for one in (*inline, *apart)}
