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
from sandpiper_policy.proofs.decision import is_allowed
from sandpiper_policy.proofs.errors import UnsupportedError
from sandpiper_policy.proofs.solver import z3
from sandpiper_policy.proofs.symbols import Key, KeyType, new_symbols
from sandpiper_policy.proofs.texts import ARN

if TYPE_CHECKING:
    from sandpiper_policy.context import Value
    from sandpiper_policy.proofs.claims import Claim
    from sandpiper_policy.proofs.solver import Expression
    from sandpiper_policy.proofs.symbols import Symbols

TIMEOUT_MS = 10_000
"""The time for one claim in milliseconds. After it, the claim is undecided."""
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


def prove(claim: Claim, timeout_ms: int = TIMEOUT_MS) -> Proof:
    """Proves a claim, refutes it, or leaves it undecided.

    A counterexample counts only if the evaluator allows it and every restriction holds for it.

    Args:
        claim: the claim.
        timeout_ms: the time limit in milliseconds.
    """
    started = time.monotonic()

    def proof(outcome: ProofOutcome, reason: str = "") -> Proof:
        return Proof(outcome, time.monotonic() - started, reason=reason)

    symbols = new_symbols(claim.principal, claim.named_roles() if claim.any_role else None)
    solver = z3.Solver()
    solver.set("timeout", timeout_ms)
    try:
        solver.add(is_allowed(claim.policies, claim.account, symbols))
        solver.add([restriction.encode(symbols) for restriction in claim.forbidden])
    except UnsupportedError as error:
        return proof(ProofOutcome.UNDECIDED, str(error))
    solver.add(symbols.facts)
    request = None
    # That a text is an ARN is a regular expression, which takes long, and seldom matters.
    for assumptions in ([], [z3.InRe(value, ARN) for value in symbols.arns]):
        solver.add(assumptions)
        answer = solver.check()
        if answer == z3.unsat:
            return proof(ProofOutcome.PROVED)
        if answer == z3.unknown:
            return proof(ProofOutcome.UNDECIDED, f"the solver gave up: {solver.reason_unknown()}")
        request = _request(claim, symbols, solver.model())
        decision = evaluate(request, claim.policies)
        if decision.allowed and all(restriction.holds(request) for restriction in claim.forbidden):
            return Proof(ProofOutcome.REFUTED, time.monotonic() - started, request, decision)
    return proof(ProofOutcome.UNDECIDED, f"the evaluator does not confirm the request {request}")


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
