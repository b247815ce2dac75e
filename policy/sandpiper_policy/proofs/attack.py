"""Sends random requests to the evaluator, to refute a claim without the solver."""

from __future__ import annotations

import random
import re
from typing import TYPE_CHECKING

from sandpiper_policy.arns import ArnPattern
from sandpiper_policy.evaluate import Request, evaluate
from sandpiper_policy.proofs.claims import ACCOUNT, ACTION, PRINCIPAL, RESOURCE
from sandpiper_policy.proofs.without_solver import principal_context

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sandpiper_policy.context import Value
    from sandpiper_policy.document import Statement
    from sandpiper_policy.proofs.claims import Claim

SEGMENTS = ("", "a", "runs", "inputs", "..", "/", "//", "a/b", "*", "${aws:username}", "%2e%2e", "A", "é", "tenants")
"""Texts that replace wildcards, and that are inserted into values."""
ADDRESSES = ("10.0.0.1", "203.0.113.7", "2001:db8::1")
DATES = ("2020-01-01T00:00:00Z", "2030-01-01T00:00:00Z")
CHARACTER_CHANGES = 3
_WILDCARD = re.compile(r"[*?]|\$\{[^}]*\}")


def attack(claim: Claim, requests: int, seed: int = 0) -> tuple[int, Request | None]:
    """Evaluates random requests near the values of the policies and of the claim.

    Args:
        claim: the claim.
        requests: how many requests are sent.
        seed: of the random numbers.

    Returns:
        How many requests were allowed, and an allowed one that the claim forbids; None if there is none.
    """
    generator = _Generator(claim, random.Random(seed))  # noqa: S311 - no secrets
    allowed = 0
    for _ in range(requests):
        request = generator.request()
        if not evaluate(request, claim.policies).allowed:
            continue
        allowed += 1
        if all(restriction.holds(request) for restriction in claim.forbidden):
            return allowed, request
    return allowed, None


class _Generator:
    """Generates requests by the principal of a claim from the values that its policies name."""

    def __init__(self, claim: Claim, rng: random.Random) -> None:
        self._claim, self._rng = claim, rng
        policies = claim.policies
        layers = [*policies.identity, *(policies.session or ())]
        layers += [policy for policy in (policies.boundary, policies.resource) if policy is not None]
        statements = [statement for policy in layers for statement in policy.statements]
        self._keys: dict[str, list[str]] = {}
        for statement in statements:
            for condition in statement.conditions:
                self._keys.setdefault(condition.key.lower(), []).extend(condition.values)
        chosen = {one.field.lower(): one.patterns for one in claim.forbidden if not one.excluded}
        excluded = {one.field.lower(): one.patterns for one in claim.forbidden if one.excluded}
        self._actions = chosen.pop(ACTION, ()) or [*excluded.pop(ACTION, ()), *_actions(statements)]
        self._resources = chosen.pop(RESOURCE, ()) or [*excluded.pop(RESOURCE, ()), *_resources(statements), "*"]
        self._chosen = {name: patterns for name, patterns in chosen.items() if name not in (PRINCIPAL, ACCOUNT)}
        for name, patterns in excluded.items():
            if name not in (PRINCIPAL, ACCOUNT):
                self._keys.setdefault(name, []).extend(patterns)

    def request(self) -> Request:
        """Returns a random request."""
        choose = self._rng.choice
        context: dict[str, Value] = {}
        for name, values in self._keys.items():
            if self._rng.random() < 0.8:
                context[name] = self._value(choose([*values, *ADDRESSES, *DATES]))
        for name, patterns in self._chosen.items():
            context[name] = self._filled(choose(patterns))
        context |= {key: value for key, value in principal_context(self._claim).items() if key not in self._chosen}
        action, resource = self._value(choose(self._actions)), self._value(choose(self._resources))
        return Request(self._claim.principal, action, resource, self._claim.account, context)

    def _value(self, pattern: str) -> str:
        """Returns a value for a pattern, changed in a third of the cases."""
        value = self._filled(pattern)
        for _ in range(self._rng.randrange(CHARACTER_CHANGES) if self._rng.random() < 1 / 3 else 0):
            at = self._rng.randrange(len(value) + 1)
            value = value[:at] + self._rng.choice(SEGMENTS) + value[at + self._rng.randrange(2) :]
        return value

    def _filled(self, pattern: str) -> str:
        """Returns the pattern with texts instead of its wildcards and variables."""
        return _WILDCARD.sub(lambda _: self._rng.choice(SEGMENTS), pattern)


def _actions(statements: Iterable[Statement]) -> list[str]:
    return [action.source for statement in statements for action in statement.actions]


def _resources(statements: Sequence[Statement]) -> list[str]:
    found = [pattern for statement in statements for pattern in statement.resources]
    return [pattern.source for pattern in found if isinstance(pattern, ArnPattern)]
