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


class Layer(Enum):
    """The kinds of policies that a decision can lack, or be denied by, in AWS's words."""

    IDENTITY = "identity-based policy"
    BOUNDARY = "permissions boundary"
    SESSION = "session policy"
    RESOURCE = "resource-based policy"


@dataclass(frozen=True)
class Decision:
    """What became of a request, and why.

    Attributes:
        outcome: what became of it.
        statements: those that allow it, or the one that denies it; none where nothing allows it.
        layer: the kind of policy that denies it, or in which an allow is missing; None when it is allowed.
    """

    outcome: Outcome
    statements: tuple[Statement, ...] = ()
    layer: Layer | None = None

    @property
    def allowed(self) -> bool:
        """Whether it is allowed."""
        return self.outcome is Outcome.ALLOWED

    @property
    def reason(self) -> str:
        """Why, in words for people: `denied by statement TlsOnly of the bucket policy`."""
        by = " and ".join(map(str, self.statements))
        if self.layer is None:
            return f"allowed by {by or 'being the account root'}"
        return f"denied by {by}" if by else f"no {self.layer.value} allows it"


def access_denied(request: Request, decision: Decision) -> str:
    """What a service says of a request that was not allowed ("Troubleshoot access denied error messages").

    S3 puts the resource into quotes (seen in its answers since 2025).
    """
    layer = (decision.layer or Layer.IDENTITY).value
    article = "an" if layer[0] in "aeiou" else "a"
    why = (
        f"with an explicit deny in {article} {layer}"
        if decision.outcome is Outcome.DENIED
        else f"because no {layer} allows the {request.action} action"
    )
    resource = f'"{request.resource}"' if request.action.startswith("s3:") else request.resource
    asked = f"perform: {request.action} on resource: {resource}"
    return f"User: {request.principal.name} is not authorized to {asked} {why}"


def evaluate(request: Request, policies: Policies) -> Decision:
    """Decides a request. A deny wins; without an allow from where one is needed there is none."""
    applied = _Applied(request, policies)
    denying = applied.denying()
    if denying is not None:
        layer, statement = denying
        return Decision(Outcome.DENIED, (statement,), layer)
    granted = applied.granted()
    if isinstance(granted, Layer):
        return Decision(Outcome.NOT_ALLOWED, (), granted)
    return Decision(Outcome.ALLOWED, granted)


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

    def denying(self) -> tuple[Layer, Statement] | None:
        """The first statement that denies the request, or None."""
        layers = {
            Layer.IDENTITY: self._identity,
            Layer.BOUNDARY: self._boundary or (),
            Layer.SESSION: self._session or (),
            Layer.RESOURCE: self._resource,
        }
        for layer, statements in layers.items():
            for statement in statements:
                if statement.effect is Effect.DENY and self._concerns(statement):
                    return layer, statement
        return None

    def _concerns(self, denying: Statement) -> bool:
        # "The NotPrincipal element with a Deny effect will always deny any IAM principal that has a permissions
        # boundary policy attached" (Permissions boundaries for IAM entities).
        bounded = denying.not_named and self._boundary is not None
        return bounded or denying.naming(self._request.principal) is not Named.NOT

    def granted(self) -> tuple[Statement, ...] | Layer:
        """The statements that allow the request, or where one is missing."""
        principal = self._request.principal
        named = self._resource_allows()
        itself = tuple(statement for level, statement in named if level is Named.ITSELF)
        if not principal.account:  # a service, a provider, anybody: the resource's policy alone
            return itself or Layer.RESOURCE
        if principal.account != self._request.account:
            return self._across(tuple(statement for _, statement in named))
        if itself:  # neither a boundary nor a session policy limits what is granted to the principal itself
            return itself
        by_role = tuple(statement for level, statement in named if level is Named.BY_ROLE)
        if by_role:
            return self._missing_limit() or by_role
        if not self._policies.resource_rules:
            return self._own()
        return self._across(tuple(statement for level, statement in named if level is Named.BY_ACCOUNT))

    def _across(self, granting: tuple[Statement, ...]) -> tuple[Statement, ...] | Layer:
        """Where both sides have to allow: between accounts, and where the resource's policy rules."""
        if not granting:
            return Layer.RESOURCE
        own = self._own()
        return own if isinstance(own, Layer) else (*own, *granting)

    def _own(self) -> tuple[Statement, ...] | Layer:
        """What the principal's own policies allow, within their limits."""
        if self._request.principal.kind is Kind.ROOT:
            return ()
        allowing = _allowing(self._identity)
        return (self._missing_limit() or allowing) if allowing else Layer.IDENTITY

    def _missing_limit(self) -> Layer | None:
        if self._boundary is not None and not _allowing(self._boundary):
            return Layer.BOUNDARY
        if self._session is not None and not _allowing(self._session):
            return Layer.SESSION
        return None

    def _resource_allows(self) -> list[tuple[Named, Statement]]:
        allowing = [(item.naming(self._request.principal), item) for item in _allowing(self._resource)]
        return [(level, item) for level, item in allowing if level is not Named.NOT]


def _allowing(statements: Sequence[Statement]) -> tuple[Statement, ...]:
    return tuple(statement for statement in statements if statement.effect is Effect.ALLOW)
