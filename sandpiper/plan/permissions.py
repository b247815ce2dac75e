"""Compares the permissions of two templates: the grants that each role and each resource policy gains and loses."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from sandpiper.plan.grants import Permission, merge, split_document
from sandpiper.plan.model import PermissionChange, PropertyChange
from sandpiper.plan.resource_types import KEY, ROLE
from sandpiper.plan.template import referenced_id

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandpiper.plan.model import Change
    from sandpiper.plan.template import Template

ROLE_POLICY_TYPES = ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy")
"""Policies of roles that are separate resources."""
RESOURCE_POLICIES = {
    "AWS::EC2::VPCEndpoint": ("PolicyDocument", None),
    KEY: ("KeyPolicy", None),
    "AWS::S3::BucketPolicy": ("PolicyDocument", "Bucket"),
}
"""By type: the property with the resource policy, and the property that names the resource, if it is another one."""
MANAGED_POLICY = "managed policy "
"""Prefix of the action that stands for an attached managed policy."""


@dataclass
class PolicyHolder:
    """A role, or a resource with a resource policy, and its permissions.

    An existing role is one that the stack does not contain. Only the policies that the stack adds to it are known.
    """

    logical_id: str
    is_role: bool
    is_existing: bool = False
    permissions: set[Permission] = field(default_factory=set[Permission])
    trust: set[Permission] = field(default_factory=set[Permission])
    boundary: str | None = None


def compare_permissions(before: Template | None, after: Template | None) -> Iterator[PermissionChange]:
    """Yields the grants that each role and each resource policy gains and loses. Unchanged policies are omitted.

    Raises:
        CliError: A template contains a document that is not a policy.
    """
    old, new = _holders(before), _holders(after)
    for label in dict.fromkeys((*new, *old)):
        was, now = old.get(label), new.get(label)
        if was and not now and before and _is_retained(before, was):
            continue
        change = _change(was, now)
        known = cast("PolicyHolder", now or was)
        nothing = PolicyHolder("", known.is_role)
        was, now = was or nothing, now or nothing
        boundary = None
        if was.boundary != now.boundary:
            boundary = PropertyChange(
                path="PermissionsBoundary", before=was.boundary, after=now.boundary, effect="in place"
            )
        found = PermissionChange(
            holder=label,
            is_role=known.is_role,
            change=change,
            gains=merge(now.permissions - was.permissions),
            loses=merge(was.permissions - now.permissions),
            trust_gains=merge(now.trust - was.trust),
            trust_loses=merge(was.trust - now.trust),
            boundary=boundary,
        )
        if change != "changed" or found.gains or found.loses or found.trust_gains or found.trust_loses or boundary:
            yield found


def _change(was: PolicyHolder | None, now: PolicyHolder | None) -> Change:
    if (was or now or PolicyHolder("", is_role=True)).is_existing:
        return "changed"
    if was is None or now is None:
        return "made" if was is None else "deleted"
    return "changed" if was.logical_id == now.logical_id else "replaced"


def _is_retained(template: Template, holder: PolicyHolder) -> bool:
    """Returns whether the policy remains with a resource that CloudFormation retains."""
    return not holder.is_existing and template.resources[holder.logical_id].deletion_policy != "Delete"


def _holders(template: Template | None) -> dict[str, PolicyHolder]:
    """Returns the roles, existing roles and resource policies of a template by label."""
    if template is None:
        return {}
    existing: dict[str, PolicyHolder] = {}
    roles = {logical_id: _role(template, logical_id) for logical_id in template.of_type(ROLE)}
    for policy_type in ROLE_POLICY_TYPES:
        for logical_id, policy in template.of_type(policy_type).items():
            document = template.resolve(policy.properties["PolicyDocument"])
            for role in policy.properties.get("Roles", []):
                holder = roles.get(referenced_id(role))
                if isinstance(role, str):
                    name = f"existing role {role}"
                    holder = existing.setdefault(name, PolicyHolder(role, is_role=True, is_existing=True))
                if holder is not None:
                    holder.permissions |= set(split_document(template.labels[logical_id], document))
    by_label = {template.labels[logical_id]: holder for logical_id, holder in roles.items()}
    return by_label | existing | dict(_resource_policies(template))


def _role(template: Template, logical_id: str) -> PolicyHolder:
    label = template.labels[logical_id]
    properties = template.resolve_properties(template.resources[logical_id])
    holder = PolicyHolder(logical_id, is_role=True, boundary=properties.get("PermissionsBoundary"))
    holder.trust = set(split_document(f"trust policy of {label}", properties["AssumeRolePolicyDocument"]))
    for policy in properties.get("Policies", []):
        holder.permissions |= set(split_document(f"policy of {label}", policy["PolicyDocument"]))
    holder.permissions |= {
        Permission("Allow", f"{MANAGED_POLICY}{arn}", "") for arn in properties.get("ManagedPolicyArns", [])
    }
    return holder


def _resource_policies(template: Template) -> Iterator[tuple[str, PolicyHolder]]:
    for resource_type, (document_property, resource_property) in RESOURCE_POLICIES.items():
        for logical_id, one in template.of_type(resource_type).items():
            document = template.resolve(one.properties.get(document_property))
            if isinstance(document, dict):
                resource = referenced_id(one.properties.get(resource_property)) if resource_property else logical_id
                name = f"policy of {template.labels.get(resource, logical_id)}"
                permissions = set(split_document(name, cast("dict[str, Any]", document)))
                yield name, PolicyHolder(logical_id, is_role=False, permissions=permissions)
