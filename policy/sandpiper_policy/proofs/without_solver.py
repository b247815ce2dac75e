"""Answers most claims without the solver.

A claim about actions that no statement allows is proved. Most wrong policies allow a request with the values of one of
their statements: to evaluate it takes a hundredth of the time of the solver, and a reader recognizes the values.
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING

from sandpiper_policy.arns import ArnPattern
from sandpiper_policy.context import Context
from sandpiper_policy.evaluate import Request, evaluate
from sandpiper_policy.principals import PrincipalKind, PrincipalMatch
from sandpiper_policy.proofs.claims import ACCOUNT, ACTION, PRINCIPAL, RESOURCE
from sandpiper_policy.proofs.tokens import may_overlap, tokens_of
from sandpiper_policy.syntax import Effect
from sandpiper_policy.text_pattern import parse_text_pattern

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sandpiper_policy.conditions import Condition
    from sandpiper_policy.context import Value
    from sandpiper_policy.document import Statement
    from sandpiper_policy.proofs.claims import Claim

GUESSES = 8
"""The most requests that are evaluated."""
STATEMENTS = 64
"""The most statements from which they are made."""
FILLING = "a"
"""The text in place of a wildcard or a variable."""
_WILDCARD = re.compile(r"[*?]|\$\{[^}]*\}")


def guess(claim: Claim) -> Request | None:
    """Returns an allowed request that the claim forbids; None if no guess is one. It is the same in every run."""
    if claim.any_role:
        return None
    for request in islice(_requests(claim), GUESSES):
        if evaluate(request, claim.policies).allowed and all(one.holds(request) for one in claim.forbidden):
            return request
    return None


def no_action_allowed(claim: Claim) -> bool:
    """Returns whether no statement allows any of the actions that a claim names, whatever its other elements are."""
    chosen = [one.patterns for one in claim.forbidden if one.field == ACTION and not one.excluded]
    if not chosen or claim.principal.kind is PrincipalKind.ROOT:
        return False
    return not any(
        statement.not_actions or any(_may_overlap(action.source, pattern) for pattern in chosen[0])
        for statement in _allowing(claim)
        for action in statement.actions
    )


@lru_cache(maxsize=65_536)
def _may_overlap(one: str, other: str) -> bool:
    first, second = (
        tokens_of(parse_text_pattern(pattern.lower(), wildcards=True, variables=False)) for pattern in (one, other)
    )
    return may_overlap(first, second)


def principal_context(claim: Claim) -> dict[str, Value]:
    """Returns the condition keys about the principal of a claim that AWS sends with each of its requests."""
    principal, context = claim.principal, dict[str, "Value"]()
    if principal.account:
        context["aws:principalaccount"] = principal.account
    if principal.kind is PrincipalKind.SESSION:
        partition, role = principal.name.split(":")[1], principal.name.split("/")[1]
        context["aws:principalarn"] = f"arn:{partition}:iam::{principal.account}:role/{role}"
    return context


def _requests(claim: Claim) -> Iterator[Request]:
    chosen = {one.field.lower(): one.patterns for one in claim.forbidden if not one.excluded}
    missing = {one.field.lower() for one in claim.forbidden if one.excluded and one.patterns == ("*",)}
    actions, resources = (tuple(map(_filled, chosen.pop(field, ()))) for field in (ACTION, RESOURCE))
    known = principal_context(claim)
    known |= {name: _filled(values[0]) for name, values in chosen.items() if name not in (PRINCIPAL, ACCOUNT)}
    for statement in islice(_allowing(claim), STATEMENTS):
        context = known | dict(_values(statement.conditions, {*known, *missing}))
        action = next(_matching_actions(statement, actions), None)
        resource = next(_matching_resources(statement, resources, context), None)
        if action is not None and resource is not None:
            yield Request(claim.principal, action, resource, claim.account, context)


def _allowing(claim: Claim) -> Iterator[Statement]:
    policies = [*claim.policies.identity, *([claim.policies.resource] if claim.policies.resource else [])]
    for statement in (one for policy in policies for one in policy.statements):
        if statement.effect is Effect.ALLOW and statement.match_principal(claim.principal) is not PrincipalMatch.NONE:
            yield statement


def _matching_actions(statement: Statement, chosen: Iterable[str]) -> Iterator[str]:
    own = () if statement.not_actions else (_filled(action.source) for action in statement.actions)
    return (action for action in (chosen or own) if statement.matches_action(action))


def _matching_resources(statement: Statement, chosen: Iterable[str], context: dict[str, Value]) -> Iterator[str]:
    own = [] if statement.not_resources else [one for one in statement.resources if isinstance(one, ArnPattern)]
    candidates = [*(_filled(pattern.source) for pattern in own), *chosen, "*"]
    return (one for one in candidates if statement.matches_resource(one, Context.from_keys(context)))


def _values(conditions: Iterable[Condition], known: set[str]) -> Iterator[tuple[str, Value]]:
    """Yields the keys that conditions require, with a value of the policy."""
    for condition in conditions:
        name, operator = condition.key.lower(), condition.operator.lower()
        if name not in known and "not" not in operator and condition.values:
            value = _filled(condition.values[0])
            yield name, [value] if operator.startswith("for") else value


def _filled(pattern: str) -> str:
    return pattern if pattern == "*" else _WILDCARD.sub(FILLING, pattern)
