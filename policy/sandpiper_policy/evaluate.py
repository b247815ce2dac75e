"""The decision: which policies count, and how they combine.

"Policy evaluation logic" of the IAM User Guide, for requests within an account and between two.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from sandpiper_policy.context import Context
from sandpiper_policy.document import Effect
from sandpiper_policy.principals import Kind, Named

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sandpiper_policy.context import Value
    from sandpiper_policy.document import Policy, Statement
    from sandpiper_policy.principals import Principal


@dataclass(frozen=True)
class Request:
    """What is asked.

    Attributes:
        principal: who asks.
        action: `service:Name`.
        resource: its ARN, or `*` for an action that knows no resource.
        account: the account that owns the resource.
        context: values of condition keys; this package adds none.
    """

    principal: Principal
    action: str
    resource: str
    account: str
    context: Mapping[str, Value] = field(default_factory=dict[str, "Value"])


@dataclass(frozen=True)
class Policies:
    """The policies that apply to a request.

    Attributes:
        identity: of who asks: a user's or a role's, with those of a user's groups.
        boundary: permissions boundary of who asks; None: it has none.
        session: session policies; None: the session was made without.
        resource: of the resource: a bucket policy, a key policy, a role's trust policy; None: it has none.
        resource_rules: whether the account's own policies count only where the resource's policy names the account.
            So it is with trust policies and key policies. Elsewhere they count for all resources of the account.
    """

    identity: Sequence[Policy] = ()
    boundary: Policy | None = None
    session: Sequence[Policy] | None = None
    resource: Policy | None = None
    resource_rules: bool = False


class Outcome(Enum):
    """What became of a request."""

    ALLOWED = "allowed"
    DENIED = "explicitly denied"
    NOT_ALLOWED = "implicitly denied"


@dataclass(frozen=True)
class Decision:
    """What became of a request, and why.

    Attributes:
        outcome: what became of it.
        statements: those that allow it, or the one that denies it; none where nothing allows it.
        reason: a sentence for people.
    """

    outcome: Outcome
    statements: tuple[Statement, ...]
    reason: str

    @property
    def allowed(self) -> bool:
        """Whether it is allowed."""
        return self.outcome is Outcome.ALLOWED


def evaluate(request: Request, policies: Policies) -> Decision:
    """Decides a request. A deny wins; without an allow from where one is needed there is none."""
    applied = _Applied(request, policies)
    denying = applied.denying()
    if denying is not None:
        return Decision(Outcome.DENIED, (denying,), f"{denying} denies {request.action} on {request.resource}")
    granted = applied.granted()
    if isinstance(granted, str):
        return Decision(Outcome.NOT_ALLOWED, (), f"{granted} {request.action} on {request.resource}")
    by = ", ".join(map(str, granted)) or "being the account's root"
    return Decision(Outcome.ALLOWED, granted, f"{by} allows {request.action} on {request.resource}")


class _Applied:
    """The statements of each policy that cover a request."""

    def __init__(self, request: Request, policies: Policies) -> None:
        self._request, self._policies = request, policies
        self._context = Context.of(request.context)
        self._identity = self._covering(policies.identity)
        self._boundary = None if policies.boundary is None else self._covering([policies.boundary])
        self._session = None if policies.session is None else self._covering(policies.session)
        self._resource = self._covering([] if policies.resource is None else [policies.resource])

    def _covering(self, policies: Sequence[Policy]) -> list[Statement]:
        return [
            statement
            for policy in policies
            for statement in policy.statements
            if statement.covers(self._request.action, self._request.resource, self._context)
        ]

    def denying(self) -> Statement | None:
        """The first statement that denies the request, or None."""
        limits = [*(self._boundary or ()), *(self._session or ())]
        for statement in [*self._identity, *limits, *self._resource]:
            if statement.effect is Effect.DENY and self._concerns(statement):
                return statement
        return None

    def _concerns(self, denying: Statement) -> bool:
        # "The NotPrincipal element with a Deny effect will always deny any IAM principal that has a permissions
        # boundary policy attached" (Permissions boundaries for IAM entities).
        bounded = denying.not_named and self._boundary is not None
        return bounded or denying.naming(self._request.principal) is not Named.NOT

    def granted(self) -> tuple[Statement, ...] | str:
        """The statements that allow the request, or the beginning of a sentence on what is missing."""
        principal = self._request.principal
        named = self._resource_allows()
        itself = tuple(statement for level, statement in named if level is Named.ITSELF)
        if not principal.account:  # a service, a provider, anybody: the resource's policy alone
            return itself or "no statement of a resource-based policy lets this principal do"
        if principal.account != self._request.account:
            return self._across(tuple(statement for _, statement in named))
        if itself:  # neither a boundary nor a session policy limits what is granted to the principal itself
            return itself
        by_role = tuple(statement for level, statement in named if level is Named.BY_ROLE)
        if by_role:
            return self._missing_limit() or by_role
        by_account = tuple(statement for level, statement in named if level is Named.BY_ACCOUNT)
        if self._policies.resource_rules and not by_account:
            return "no statement of the resource's own policy, which has to, lets this principal do"
        own = self._own()
        return own if isinstance(own, str) else (*own, *(by_account if self._policies.resource_rules else ()))

    def _across(self, granting: tuple[Statement, ...]) -> tuple[Statement, ...] | str:
        """Between accounts both sides have to allow."""
        if not granting:
            return "no resource-based policy of the other account lets this principal do"
        own = self._own()
        return own if isinstance(own, str) else (*own, *granting)

    def _own(self) -> tuple[Statement, ...] | str:
        """What the principal's own policies allow, within their limits."""
        if self._request.principal.kind is Kind.ROOT:
            return ()
        allowing = _allowing(self._identity)
        return (self._missing_limit() or allowing) if allowing else "no identity-based policy allows"

    def _missing_limit(self) -> str | None:
        if self._boundary is not None and not _allowing(self._boundary):
            return "no permissions boundary allows"
        if self._session is not None and not _allowing(self._session):
            return "no session policy allows"
        return None

    def _resource_allows(self) -> list[tuple[Named, Statement]]:
        allowing = [(item.naming(self._request.principal), item) for item in _allowing(self._resource)]
        return [(level, item) for level, item in allowing if level is not Named.NOT]


def _allowing(statements: Sequence[Statement]) -> tuple[Statement, ...]:
    return tuple(statement for statement in statements if statement.effect is Effect.ALLOW)
