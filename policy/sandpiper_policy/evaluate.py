"""Decides requests: which policies apply, and how they combine.

Source: "Policy evaluation logic" in the IAM User Guide, for requests within one account and between two accounts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from sandpiper_policy.context import Context
from sandpiper_policy.principals import PrincipalKind, PrincipalMatch
from sandpiper_policy.syntax import Effect

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sandpiper_policy.context import Value
    from sandpiper_policy.document import Policy, Statement
    from sandpiper_policy.principals import Principal


@dataclass(frozen=True)
class Request:
    """A request to an AWS service.

    Attributes:
        principal: The principal that makes the request.
        action: The action, `service:Name`.
        resource: The ARN of the resource; `*` for an action without resource types.
        account: The ID of the account that owns the resource.
        context: Condition keys and their values. The package adds no keys itself.
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
        identity: Policies of the principal: of the user and its groups, or of the role.
        boundary: Permissions boundary of the principal, or None.
        session: Session policies; None: the session has none.
        resource: Policy of the resource, such as a bucket policy, a key policy or a role trust policy, or None.
        resource_policy_required: Whether identity-based policies of the account count only when the policy of the
            resource names the account, as for role trust policies and key policies. Default: they always count.
    """

    identity: Sequence[Policy] = ()
    boundary: Policy | None = None
    session: Sequence[Policy] | None = None
    resource: Policy | None = None
    resource_policy_required: bool = False


class Outcome(Enum):
    """The outcomes of a decision."""

    ALLOWED = "allowed"
    DENIED = "explicitly denied"
    NOT_ALLOWED = "implicitly denied"


class Layer(Enum):
    """The types of policies that can deny a request or fail to allow it, by AWS's names."""

    IDENTITY = "identity-based policy"
    BOUNDARY = "permissions boundary"
    SESSION = "session policy"
    RESOURCE = "resource-based policy"


@dataclass(frozen=True)
class Decision:
    """The outcome of a request and its cause.

    Attributes:
        outcome: The outcome.
        statements: The statements that allow the request, or the one that denies it; empty when none allows it.
        layer: The type of policy that denies the request or lacks an allow; None when the request is allowed.
    """

    outcome: Outcome
    statements: tuple[Statement, ...] = ()
    layer: Layer | None = None

    @property
    def allowed(self) -> bool:
        """Whether the request is allowed."""
        return self.outcome is Outcome.ALLOWED

    @property
    def reason(self) -> str:
        """The cause as a phrase, such as `denied by statement TlsOnly of the bucket policy`."""
        by = " and ".join(map(str, self.statements))
        if self.layer is None:
            return f"allowed by {by or 'being the account root'}"
        return f"denied by {by}" if by else f"no {self.layer.value} allows it"


def access_denied_message(request: Request, decision: Decision) -> str:
    """Returns the message that a service returns for a denied request ("Troubleshoot access denied error messages").

    S3 quotes the resource (observed since 2025).
    """
    layer = (decision.layer or Layer.IDENTITY).value
    article = "an" if layer[0] in "aeiou" else "a"
    cause = (
        f"with an explicit deny in {article} {layer}"
        if decision.outcome is Outcome.DENIED
        else f"because no {layer} allows the {request.action} action"
    )
    resource = f'"{request.resource}"' if request.action.startswith("s3:") else request.resource
    operation = f"perform: {request.action} on resource: {resource}"
    return f"User: {request.principal.name} is not authorized to {operation} {cause}"


def evaluate(request: Request, policies: Policies) -> Decision:
    """Decides a request. A deny always wins; a request that no required policy allows is implicitly denied.

    Args:
        request: The request.
        policies: Every policy that applies to it.

    Example:
        >>> from sandpiper_policy.principals import Principal
        >>> role = Principal.parse("arn:aws:iam::111122223333:role/worker")
        >>> evaluate(Request(role, "s3:GetObject", "arn:aws:s3:::data/a", "111122223333"), Policies()).reason
        'no identity-based policy allows it'
    """
    applicable = _ApplicableStatements(request, policies)
    denying = applicable.find_deny()
    if denying is not None:
        layer, statement = denying
        return Decision(Outcome.DENIED, (statement,), layer)
    granted = applicable.find_allow()
    if isinstance(granted, Layer):
        return Decision(Outcome.NOT_ALLOWED, (), granted)
    return Decision(Outcome.ALLOWED, granted)


class _ApplicableStatements:
    """The statements that match the action, resource and context of a request, by layer."""

    def __init__(self, request: Request, policies: Policies) -> None:
        self._request, self._policies = request, policies
        self._context = Context.from_keys(request.context)
        self._identity = self._matching(policies.identity)
        self._boundary = None if policies.boundary is None else self._matching([policies.boundary])
        self._session = None if policies.session is None else self._matching(policies.session)
        self._resource = self._matching([] if policies.resource is None else [policies.resource])

    def _matching(self, policies: Sequence[Policy]) -> list[Statement]:
        return [
            statement
            for policy in policies
            for statement in policy.statements
            if statement.matches(self._request.action, self._request.resource, self._context)
        ]

    def find_deny(self) -> tuple[Layer, Statement] | None:
        """Returns the first statement that denies the request, or None."""
        layers = {
            Layer.IDENTITY: self._identity,
            Layer.BOUNDARY: self._boundary or (),
            Layer.SESSION: self._session or (),
            Layer.RESOURCE: self._resource,
        }
        for layer, statements in layers.items():
            for statement in statements:
                if statement.effect is Effect.DENY and self._applies_to_principal(statement):
                    return layer, statement
        return None

    def _applies_to_principal(self, deny: Statement) -> bool:
        # "The NotPrincipal element with a Deny effect will always deny any IAM principal that has a permissions
        # boundary policy attached" (Permissions boundaries for IAM entities).
        has_boundary = deny.not_principals and self._boundary is not None
        return has_boundary or deny.match_principal(self._request.principal) is not PrincipalMatch.NONE

    def find_allow(self) -> tuple[Statement, ...] | Layer:
        """Returns the statements that allow the request, or the layer that lacks an allow."""
        principal = self._request.principal
        allowing = self._resource_allows()
        exact = tuple(statement for match, statement in allowing if match is PrincipalMatch.EXACT)
        if not principal.account:  # services, providers and anonymous callers: only the policy of the resource counts
            return exact or Layer.RESOURCE
        if principal.account != self._request.account:
            return self._require_both(tuple(statement for _, statement in allowing))
        if exact:  # a boundary or session policy does not limit grants to the principal's own ARN
            return exact
        by_role = tuple(statement for match, statement in allowing if match is PrincipalMatch.ROLE)
        if by_role:
            return self._missing_limit() or by_role
        if not self._policies.resource_policy_required:
            return self._identity_allow()
        return self._require_both(tuple(statement for match, statement in allowing if match is PrincipalMatch.ACCOUNT))

    def _require_both(self, resource_allows: tuple[Statement, ...]) -> tuple[Statement, ...] | Layer:
        """Requires an allow in both the resource policy and an identity-based policy."""
        if not resource_allows:
            return Layer.RESOURCE
        identity_allows = self._identity_allow()
        return identity_allows if isinstance(identity_allows, Layer) else (*identity_allows, *resource_allows)

    def _identity_allow(self) -> tuple[Statement, ...] | Layer:
        """Returns the identity-based statements that allow the request, or the layer that lacks an allow."""
        if self._request.principal.kind is PrincipalKind.ROOT:
            return ()
        allowing = _allowing(self._identity)
        return (self._missing_limit() or allowing) if allowing else Layer.IDENTITY

    def _missing_limit(self) -> Layer | None:
        if self._boundary is not None and not _allowing(self._boundary):
            return Layer.BOUNDARY
        if self._session is not None and not _allowing(self._session):
            return Layer.SESSION
        return None

    def _resource_allows(self) -> list[tuple[PrincipalMatch, Statement]]:
        matches = [(item.match_principal(self._request.principal), item) for item in _allowing(self._resource)]
        return [(match, item) for match, item in matches if match is not PrincipalMatch.NONE]


def _allowing(statements: Sequence[Statement]) -> tuple[Statement, ...]:
    return tuple(statement for statement in statements if statement.effect is Effect.ALLOW)
