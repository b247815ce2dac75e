"""Proves a claim for all requests, or refutes it with one."""

from __future__ import annotations

import ipaddress
import re
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import Enum
from fractions import Fraction
from typing import TYPE_CHECKING

from sandpiper_policy.evaluate import Decision, Request, evaluate
from sandpiper_policy.proofs.attack import attack
from sandpiper_policy.proofs.decision import is_allowed
from sandpiper_policy.proofs.errors import UnsupportedError
from sandpiper_policy.proofs.solver import z3
from sandpiper_policy.proofs.symbols import Key, KeyType, Symbols
from sandpiper_policy.proofs.texts import ARN
from sandpiper_policy.proofs.without_solver import guess, no_action_allowed

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sandpiper_policy.context import Value
    from sandpiper_policy.proofs.claims import Claim
    from sandpiper_policy.proofs.solver import Expression

EFFORT = 3_000_000
"""The effort for one claim, in z3's units: about 6 s of CPU time. Unlike a time, it does not depend on the load."""
TIMEOUT_MS = 60_000
"""The longest time for one step of a proof in milliseconds, on a machine that other work keeps busy."""
MAX_MEMORY_MB = 700
"""The memory of the solver in MB. It gives up when it needs more."""
QUICK = 10
"""The part of the effort after which random requests are tried, before the whole effort."""
ATTACKS = 2_000
"""Random requests against a claim that the solver cannot decide."""
MAX_EVALUATED_STATEMENTS = 400_000
"""The most statements that these requests are compared with together: a few seconds."""
_ESCAPE = re.compile(r"\\u\{([0-9a-f]+)\}")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class ProofOutcome(Enum):
    """The outcomes of a proof."""

    PROVED = "proved"
    REFUTED = "refuted"
    UNDECIDED = "undecided"


@dataclass(frozen=True)
class Proof:
    """The result for a claim.

    Attributes:
        outcome: the outcome.
        seconds: how long it took.
        counterexample: an allowed request that the claim forbids, if the claim is refuted.
        decision: the evaluator's decision about the counterexample.
        reason: why the claim is undecided; empty otherwise.
    """

    outcome: ProofOutcome
    seconds: float
    counterexample: Request | None = None
    decision: Decision | None = None
    reason: str = ""


def prove(claim: Claim, effort: int = EFFORT) -> Proof:
    """Proves a claim, refutes it, or leaves it undecided.

    A counterexample counts only if the evaluator allows it and every restriction holds for it. A request made from the
    values of one statement is tried first. If the solver gives up, random requests may still refute the claim.

    Args:
        claim: the claim.
        effort: when the solver gives up, as in `EFFORT`.
    """
    started = time.monotonic()
    if no_action_allowed(claim):
        return Proof(ProofOutcome.PROVED, time.monotonic() - started)
    guessed = guess(claim)
    if guessed is not None:
        seconds = time.monotonic() - started
        return Proof(ProofOutcome.REFUTED, seconds, guessed, evaluate(guessed, claim.policies))
    symbols = Symbols(claim.principal, known=claim.known_keys())
    claim.bound(symbols)
    try:
        allowed = is_allowed(claim.policies, claim.account, symbols)
        if allowed is False:
            return Proof(ProofOutcome.PROVED, time.monotonic() - started)
        symbols.add_facts(claim.named_roles() if claim.any_role else None)
        restrictions = [(one.is_hard, one.encode(symbols)) for one in claim.forbidden]
    except UnsupportedError as error:
        return Proof(ProofOutcome.UNDECIDED, time.monotonic() - started, reason=str(error))
    # Without a restriction, the claim is stronger. So a proof without those that take long is a proof of the claim.
    # That a text is an ARN takes long, too, and seldom matters.
    steps = (
        [*symbols.facts, allowed, *(encoded for is_hard, encoded in restrictions if not is_hard)],
        [encoded for is_hard, encoded in restrictions if is_hard],
        [z3.InRe(value, ARN) for value in symbols.arns],
    )
    found = _solve(claim, symbols, steps, effort // QUICK)
    if found is None:
        _, request = attack(claim, min(ATTACKS, MAX_EVALUATED_STATEMENTS // max(claim.statement_count, 1)))
        found = _solve(claim, symbols, steps, effort) if request is None else (ProofOutcome.REFUTED, request)
    seconds = time.monotonic() - started
    if found is None:
        return Proof(
            ProofOutcome.UNDECIDED, seconds, reason="the solver gave up, and no random request refutes the claim"
        )
    outcome, request = found
    return Proof(outcome, seconds, request, None if request is None else evaluate(request, claim.policies))


def _solve(
    claim: Claim, symbols: Symbols, steps: Iterable[Sequence[Expression]], effort: int
) -> tuple[ProofOutcome, Request | None] | None:
    """Returns a proof, or a counterexample; None if the solver gives up or finds no request that is one."""
    solver = z3.Solver()
    solver.set("timeout", TIMEOUT_MS)
    solver.set("rlimit", effort)
    solver.set("max_memory", MAX_MEMORY_MB)
    for step in steps:
        solver.add(list(step))
        answer = solver.check()
        if answer == z3.unsat:
            return ProofOutcome.PROVED, None
        if answer == z3.unknown:
            return None
        request = _request(claim, symbols, solver.model())
        decision = evaluate(request, claim.policies)
        if decision.allowed and all(restriction.holds(request) for restriction in claim.forbidden):
            return ProofOutcome.REFUTED, request
    return None


def _request(claim: Claim, symbols: Symbols, model: Expression) -> Request:
    """Returns the request of a model."""
    context: dict[str, Value] = {
        name: _value(key, model) for name, key in symbols.keys.items() if _is_true(key.present, model)
    }
    for name, listed in symbols.lists.items():
        if _is_true(listed.present, model):
            context[name] = [_text(value, model) for exists, value in listed.items if _is_true(exists, model)]
    principal = claim.principal
    if claim.any_role:
        role = str(context["aws:principalarn"]).rpartition("/")[2]
        owner, _, _ = principal.name.partition(":assumed-role/")
        principal = replace(principal, name=f"{owner}:assumed-role/{role}/session")
    return Request(principal, _text(symbols.action, model), _text(symbols.resource, model), claim.account, context)


def _value(key: Key, model: Expression) -> str:
    """Returns a value as a policy would state it."""
    if key.type is KeyType.TEXT:
        return _text(key.value, model)
    if key.type is KeyType.BOOLEAN:
        return "true" if _is_true(key.value, model) else "false"
    value = model.eval(key.value, model_completion=True)
    if key.type is KeyType.ADDRESS:
        address = ipaddress.IPv6Address if _is_true(key.is_ipv6, model) else ipaddress.IPv4Address
        return str(address(value.as_long()))
    number = Fraction(value.as_fraction())
    if key.type is KeyType.DATE:
        return (_EPOCH + timedelta(seconds=float(number))).isoformat()
    return str(number) if number.denominator == 1 else str(float(number))


def _is_true(expression: Expression, model: Expression) -> bool:
    return z3.is_true(model.eval(expression, model_completion=True))


def _text(expression: Expression, model: Expression) -> str:
    """Returns the text of an expression. z3 escapes characters that are not ASCII."""
    if isinstance(expression, str):
        return expression
    escaped = model.eval(expression, model_completion=True).as_string()
    return _ESCAPE.sub(lambda match: chr(int(match.group(1), 16)), escaped)
