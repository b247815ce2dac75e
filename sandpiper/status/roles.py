"""Compares the policies, trust policy and permissions boundary of a role with its template."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from botocore.exceptions import ClientError

from sandpiper.aws_errors import error_code
from sandpiper.plan.template import referenced_id
from sandpiper.status.difference import Difference
from sandpiper.status.dynamic_references import resolve_references

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandpiper.plan.deployed import Account
    from sandpiper.status.physical_template import PhysicalTemplate

POLICY = "AWS::IAM::Policy"
"""Separate policies. They are compared with their role, or by `compare_policy` when the template has no role."""
POLICY_PROPERTIES = ("PolicyDocument",)
PROPERTIES = ("AssumeRolePolicyDocument", "ManagedPolicyArns", "PermissionsBoundary", "Policies")


def compare(account: Account, template: PhysicalTemplate, logical_id: str) -> Iterator[Difference]:
    """Yields the differences between a role and its template."""
    iam, name = account.session.client("iam"), template.physical_ids[logical_id]
    try:
        role = cast("dict[str, Any]", iam.get_role(RoleName=name)["Role"])
    except ClientError as error:
        if error_code(error) != "NoSuchEntity":
            raise
        yield Difference.deleted()
        return
    properties = template.resolve_properties(template.resources[logical_id])
    trust = properties["AssumeRolePolicyDocument"]
    yield from Difference.compare_policies("trust", trust, role["AssumeRolePolicyDocument"])
    boundary = role.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn")
    yield from Difference.compare_values("PermissionsBoundary", properties.get("PermissionsBoundary"), boundary)
    attached = [
        one.get("PolicyArn")
        for page in iam.get_paginator("list_attached_role_policies").paginate(RoleName=name)
        for one in page["AttachedPolicies"]
    ]
    yield from Difference.compare_values("ManagedPolicyArns", properties.get("ManagedPolicyArns", []), attached)
    found = {
        policy: cast("dict[str, Any]", iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"])
        for page in iam.get_paginator("list_role_policies").paginate(RoleName=name)
        for policy in page["PolicyNames"]
    }
    expected = resolve_references(account, _expected_policies(template, logical_id))
    for policy in dict.fromkeys((*expected, *found)):
        yield from Difference.compare_policies(f"policy {policy}", expected.get(policy, {}), found.get(policy, {}))


def compare_policy(account: Account, template: PhysicalTemplate, logical_id: str) -> Iterator[Difference]:
    """Yields the differences between a policy and its template, for roles that the template does not contain."""
    iam, properties = account.session.client("iam"), template.resolve_properties(template.resources[logical_id])
    name = properties["PolicyName"]
    for role in template.resources[logical_id].properties.get("Roles", []):
        if referenced_id(role) in template.resources:
            continue
        found: dict[str, Any] = {}
        try:
            found = cast("dict[str, Any]", iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"])
        except ClientError as error:
            if error_code(error) != "NoSuchEntity":
                raise
        yield from Difference.compare_policies(f"policy of role {role}", properties["PolicyDocument"], found)


def _expected_policies(template: PhysicalTemplate, logical_id: str) -> dict[str, dict[str, Any]]:
    """Returns the inline and the separate policies of a role by name."""
    inline: list[dict[str, Any]] = template.resolve_properties(template.resources[logical_id]).get("Policies", [])
    separate = [
        template.resolve_properties(one)
        for one in template.of_type(POLICY).values()
        if logical_id in map(referenced_id, one.properties.get("Roles", []))
    ]
    return {one["PolicyName"]: one["PolicyDocument"] for one in (*inline, *separate)}
