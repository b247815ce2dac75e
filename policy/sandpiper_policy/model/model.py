"""The policy model of a set of templates."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from sandpiper_policy.document import Policy, PolicyKind
from sandpiper_policy.evaluate import Policies

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sandpiper_policy.document import Statement
    from sandpiper_policy.model.attached import AttachedPolicy
    from sandpiper_policy.model.graph import Graph
    from sandpiper_policy.model.identities import Identity
    from sandpiper_policy.model.location import Location
    from sandpiper_policy.model.statements import PolicyStatement


@dataclass(frozen=True)
class Unresolved:
    """A value of a policy, or of a property that decides about access, that is known only after a deployment."""

    location: Location
    expression: str
    reason: str


@dataclass(frozen=True)
class PolicyModel:
    """Every identity and every policy of a set of templates.

    Attributes:
        identities: The identities by address: those of the templates first, then those that statements name.
        resource_policies: The policies of resources by the address of the resource. A resource can have several, such
            as a function with several permissions; endpoint policies are among them.
        graph: Which node can use, change or run as which other node.
        unresolved: The values that could not be resolved.
    """

    identities: Mapping[str, Identity]
    resource_policies: Mapping[str, tuple[AttachedPolicy, ...]]
    graph: Graph
    unresolved: tuple[Unresolved, ...] = ()

    @property
    def policies(self) -> Iterator[AttachedPolicy]:
        """Every policy, each at its holder."""
        for identity in self.identities.values():
            yield from identity.policies
            yield from filter(None, (identity.boundary, identity.trust))
        for attached in self.resource_policies.values():
            yield from attached

    @property
    def statements(self) -> Iterator[PolicyStatement]:
        """Every statement of every policy."""
        for policy in self.policies:
            yield from policy.statements

    @cached_property
    def _statements(self) -> dict[tuple[str, int], PolicyStatement]:
        return {(one.policy, one.index): one for one in self.statements}

    def origin(self, statement: Statement) -> PolicyStatement:
        """Returns the statement of the model that a decision of the evaluator names."""
        return self._statements[statement.policy, statement.index]

    def policies_for(self, identity: Identity, resource: str = "", *, required: bool = False) -> Policies:
        """Returns the policies that apply to a request of an identity.

        Args:
            identity: The identity that makes the request.
            resource: The address of the resource with a resource policy, or of the role that is assumed.
            required: Whether identity-based policies count only when the resource policy names the account, as for
                role trust policies and key policies.
        """
        return Policies(
            identity=[one.evaluable for one in identity.policies],
            boundary=None if identity.boundary is None else identity.boundary.evaluable,
            resource=self.resource_policy(resource),
            resource_policy_required=required,
        )

    def resource_policy(self, address: str) -> Policy | None:
        """Returns the policy of a resource, or the trust policy of a role; None without one."""
        role = self.identities.get(address)
        attached = self.resource_policies.get(address, ())
        if role is not None and role.trust is not None:
            attached = (role.trust,)
        if len(attached) < 2:
            return attached[0].evaluable if attached else None
        statements = tuple(one for policy in attached for one in policy.evaluable.statements)
        return Policy(f"policies of {address}", PolicyKind.RESOURCE, statements)
