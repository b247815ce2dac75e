"""What the properties are about: interpreters with their roles, and the folders of tenants in data buckets."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

from sandpiper.names import TENANTS_PREFIX
from sandpiper.plan.resource_types import BUCKET, ROLE
from sandpiper_contract.aws import AGENTCORE, COMPONENT_TAG, ENVIRONMENT_TAG, TENANT_TAG, partition_of
from sandpiper_policy.document import Policy, PolicyKind, parse_policy
from sandpiper_policy.model.graph import EdgeKind, NodeKind
from sandpiper_policy.model.identities import IdentityKind
from sandpiper_policy.principals import Principal
from sandpiper_policy.proofs.claims import Restriction

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sandpiper.review.model import ReviewModel
    from sandpiper.review.resources import Resource
    from sandpiper_policy.model.identities import Identity

SESSION_NAME = "session"
_NAME_HASH = re.compile(r"_[0-9a-f]{8}-(?=\?{10}$)")
OTHER_ACCOUNT = "999999999999"
"""An account that no policy names: it stands for all accounts that the policies do not name."""
PRINCIPAL_TAGS = (TENANT_TAG, COMPONENT_TAG, ENVIRONMENT_TAG)
"""The tags that policies of Sandpiper compare."""


@dataclass(frozen=True)
class RunAs:
    """An interpreter and the role of its code."""

    interpreter: Resource
    role: Identity

    @property
    def tenant(self) -> str:
        """The tag of the tenant; empty without one."""
        return tags_of(self.interpreter).get(TENANT_TAG, "")

    @property
    def network(self) -> str:
        """The network mode."""
        return str(self.interpreter.get("NetworkConfiguration", "NetworkMode", default=""))


def arn_pattern(interpreter: Resource) -> str:
    """Returns the pattern of the ARN of exactly this interpreter. The service appends ten characters to its name."""
    partition, region = partition_of(interpreter.region), interpreter.region
    name = f"{interpreter.get('Name', default='')}-??????????"
    return f"arn:{partition}:{AGENTCORE}:{region}:{interpreter.account}:code-interpreter-custom/{name}"


def pattern_for(interpreter: Resource, role: Identity) -> str:
    """Returns the pattern of the ARNs for which AgentCore may assume the role of an interpreter.

    A role that no stack contains outlives the interpreter. It may trust those that replace it, whose names end in
    another hash of eight characters.
    """
    pattern = arn_pattern(interpreter)
    return _NAME_HASH.sub("_????????-", pattern) if role.address.startswith("arn:") else pattern


def interpreters(model: ReviewModel) -> Iterator[RunAs]:
    """Yields the interpreters whose role is in the templates."""
    for node in model.policies.graph.of_kind(NodeKind.INTERPRETER):
        for edge in model.policies.graph.outgoing.get(node.address, ()):
            role = model.policies.identities.get(edge.target)
            if edge.kind is EdgeKind.RUNS_AS and role is not None and role.kind is IdentityKind.ROLE:
                yield RunAs(model.by_address[node.address], role)


def identities_with_policies(model: ReviewModel) -> Iterator[Identity]:
    """Yields the roles and users to which the templates attach policies."""
    kinds = (IdentityKind.ROLE, IdentityKind.USER, IdentityKind.EXTERNAL)
    return (one for one in model.policies.identities.values() if one.kind in kinds and one.policies)


def data_buckets(model: ReviewModel) -> Iterator[Resource]:
    """Yields the buckets of the templates whose policy names folders of tenants."""
    for bucket in model.of_type(BUCKET):
        attached = model.policies.resource_policies.get(bucket.address, ())
        folders = f"{bucket.arn}/{TENANTS_PREFIX}/"
        if any(folders in str(one.compiled.resources) for policy in attached for one in policy.statements):
            yield bucket


def tags_of(resource: Resource) -> Mapping[str, str]:
    """Returns the tags of a resource, whose form depends on its type."""
    tags = resource.get("Tags", default={})
    if isinstance(tags, dict):
        return cast("dict[str, str]", tags)
    return {str(tag["Key"]): str(tag["Value"]) for tag in cast("list[dict[str, Any]]", tags)}


def session_of(identity: Identity) -> Principal:
    """Returns a session of a role, or the identity itself if it is a user."""
    return session_of_arn(identity.arn) if ":role/" in identity.arn else identity.principal


def session_of_arn(role_arn: str) -> Principal:
    """Returns a session of the role with an ARN."""
    _, partition, _, _, account, path = role_arn.split(":", 5)
    return Principal.parse(f"arn:{partition}:sts::{account}:assumed-role/{path.rpartition('/')[2]}/{SESSION_NAME}")


def facts_of(model: ReviewModel, identity: Identity) -> tuple[Restriction, ...]:
    """Returns the condition keys of each request of an identity: its ARN, and its tags if it is of the templates.

    A role that the templates create has no other values of these tags: its trust policy would have to allow
    `sts:TagSession`, which a rule of the review reports.
    """
    facts = [Restriction("aws:PrincipalArn", (identity.arn,))]
    resource = model.by_address.get(identity.address)
    if resource is not None and resource.type == ROLE:
        tags = tags_of(resource)
        facts += [
            Restriction(f"aws:PrincipalTag/{tag}", (tags[tag],))
            if tag in tags
            else Restriction(f"aws:PrincipalTag/{tag}", ("*",), excluded=True)
            for tag in PRINCIPAL_TAGS
        ]
    return tuple(facts)


def any_role_of(account: str, region: str) -> Principal:
    """Returns the principal that stands for the sessions of all roles of an account."""
    return Principal.parse(f"arn:{partition_of(region)}:sts::{account}:assumed-role/any/{SESSION_NAME}")


@lru_cache(maxsize=1)
def administrator() -> Policy:
    """Returns a policy that allows everything, for principals whose own policies are not known."""
    statement = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    return parse_policy(
        "a policy that allows everything", PolicyKind.IDENTITY, {"Version": "2012-10-17", "Statement": statement}
    )
