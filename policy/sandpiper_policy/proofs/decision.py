"""The decision about a request as a z3 expression. Mirrors `sandpiper_policy.evaluate`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandpiper_policy.principals import PrincipalKind, PrincipalMatch
from sandpiper_policy.proofs.conditions import holds
from sandpiper_policy.proofs.solver import every, negation, some
from sandpiper_policy.proofs.texts import matches
from sandpiper_policy.syntax import Effect
from sandpiper_policy.text_pattern import TextPattern, parse_text_pattern

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sandpiper_policy.document import Policy, Statement
    from sandpiper_policy.evaluate import Policies
    from sandpiper_policy.proofs.solver import Expression
    from sandpiper_policy.proofs.symbols import Symbols


def is_allowed(policies: Policies, account: str, symbols: Symbols) -> Expression:
    """Returns whether policies allow a request.

    Args:
        policies: the policies that apply to it.
        account: the ID of the account that owns the resource.
        symbols: the request.

    Raises:
        UnsupportedError: The encoding does not cover an element of a policy.
    """
    return _Decision(policies, account, symbols).is_allowed()


class _Decision:
    """The statements of all layers, with whether each matches the action, resource and context."""

    def __init__(self, policies: Policies, account: str, symbols: Symbols) -> None:
        self._policies, self._account, self._symbols = policies, account, symbols
        self._identity = self._matching(policies.identity)
        self._boundary = None if policies.boundary is None else self._matching([policies.boundary])
        self._session = None if policies.session is None else self._matching(policies.session)
        self._resource = self._matching([] if policies.resource is None else [policies.resource])

    def _matching(self, policies: Iterable[Policy]) -> list[tuple[Statement, Expression]]:
        found = [(one, _matches(one, self._symbols)) for policy in policies for one in policy.statements]
        return [(statement, matched) for statement, matched in found if matched is not False]

    def is_allowed(self) -> Expression:
        layers = [*self._identity, *(self._boundary or ()), *(self._session or ()), *self._resource]
        denied = some(matched for one, matched in layers if one.effect is Effect.DENY and self._denies(one))
        return every([self._granted(), negation(denied)])

    def _denies(self, statement: Statement) -> bool:
        has_boundary = statement.not_principals and self._boundary is not None
        return has_boundary or statement.match_principal(self._symbols.principal) is not PrincipalMatch.NONE

    def _granted(self) -> Expression:
        exact, by_role, by_account = (
            some(
                matched
                for one, matched in self._resource
                if one.effect is Effect.ALLOW and one.match_principal(self._symbols.principal) is level
            )
            for level in (PrincipalMatch.EXACT, PrincipalMatch.ROLE, PrincipalMatch.ACCOUNT)
        )
        by_identity = self._identity_allows()
        of_account = by_identity
        if self._policies.resource_policy_required:
            of_account = every([by_account, by_identity])
        account = self._symbols.principal.account
        if not account:
            return exact
        if account != self._account:
            return every([some([exact, by_role, by_account]), by_identity])
        limited = every([by_role, self._limits_allow()])
        return some([exact, limited, every([negation(by_role), of_account])])

    def _identity_allows(self) -> Expression:
        if self._symbols.principal.kind is PrincipalKind.ROOT:
            return True
        return every([_any_allow(self._identity), self._limits_allow()])

    def _limits_allow(self) -> Expression:
        limits = [layer for layer in (self._boundary, self._session) if layer is not None]
        return every(_any_allow(layer) for layer in limits)


def _any_allow(statements: Sequence[tuple[Statement, Expression]]) -> Expression:
    return some(matched for statement, matched in statements if statement.effect is Effect.ALLOW)


def _matches(statement: Statement, symbols: Symbols) -> Expression:
    """Returns whether action, resource and conditions of a statement match."""
    parts = (test(statement, symbols) for test in (_matches_action, _matches_resource, _holds))
    return every(parts)


def _holds(statement: Statement, symbols: Symbols) -> Expression:
    return every(holds(condition, symbols) for condition in statement.conditions)


def _matches_action(statement: Statement, symbols: Symbols) -> Expression:
    """Returns whether an action matches. The symbolic action is in lower case, as are the patterns here."""
    matched = some(matches(_lower(action), symbols.action, symbols)[1] for action in statement.actions)
    return negation(matched) if statement.not_actions else matched


def _lower(pattern: TextPattern) -> TextPattern:
    return parse_text_pattern(pattern.source.lower(), wildcards=True, variables=False)


def _matches_resource(statement: Statement, symbols: Symbols) -> Expression:
    if not statement.resources:
        return True
    patterns = [
        (True, True) if pattern is None else matches(pattern, symbols.resource, symbols)
        for pattern in statement.resources
    ]
    if statement.not_resources:
        return every(every([defined, negation(matched)]) for defined, matched in patterns)
    return some(every([defined, matched]) for defined, matched in patterns)
