"""The longest lifetime of a session, from the variables of the functions that start sessions."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, cast

from sandpiper.plan.resource_types import FUNCTION
from sandpiper.review.reading.values import as_mapping, as_text
from sandpiper.review.rules.queries import callers
from sandpiper_contract.requests import DEFAULT_MAX_SESSION_TIMEOUT_SECONDS, SESSION_TIMEOUT_SECONDS
from sandpiper_contract.settings import INTERPRETERS, SESSION_SECONDS
from sandpiper_policy.model.graph import EdgeKind

if TYPE_CHECKING:
    from sandpiper.review.model import ReviewModel
    from sandpiper.review.resources import Resource
    from sandpiper_policy.model.identities import Identity

_LONGEST = SESSION_TIMEOUT_SECONDS[1]


def lifetime_of(model: ReviewModel, interpreter: Resource) -> str:
    """Returns the longest lifetime of a session as a phrase, with what limits it."""
    limits = {caller.address: _limit(model, caller, interpreter) for caller, _ in callers(model, interpreter)}
    if not limits:
        return f"a session lives at most {_LONGEST:,} s, AWS's maximum: the templates contain no caller"
    unlimited = next((address for address, limit in limits.items() if limit is None), None)
    if unlimited is not None:
        return f"a session lives at most {_LONGEST:,} s, AWS's maximum: {model.readable(unlimited)} is not limited"
    longest = max(limit for limit in limits.values() if limit is not None)
    return f"a session lives at most {longest:,} s, as the session function limits it"


def _limit(model: ReviewModel, caller: Identity, interpreter: Resource) -> int | None:
    """Returns the longest lifetime that an identity uses, in seconds; None if it can use AWS's maximum.

    An identity is limited if only session functions use it.
    """
    if not _is_assumed_by_services_only(caller):
        return None
    limits: list[int | None] = []
    for edge in model.policies.graph.incoming.get(caller.address, ()):
        if edge.kind is EdgeKind.RUNS_AS:
            functions = [one for one in model.of_type(FUNCTION) if one.address == edge.source]
            limits += [_limit_of_function(one, interpreter) for one in functions] or [None]
    known = [one for one in limits if one is not None]
    return max(known) if known and len(known) == len(limits) else None


def _is_assumed_by_services_only(role: Identity) -> bool:
    statements = () if role.trust is None else role.trust.statements
    trusted = [one.syntax.principal for one in statements if one.allows]
    names = [kind for one in trusted if one and not one.negated for kind, _ in one.names]
    return bool(names) and all(one and not one.negated for one in trusted) and set(names) == {"Service"}


def _limit_of_function(function: Resource, interpreter: Resource) -> int | None:
    """Returns the longest lifetime of sessions of a function for an interpreter; None if it is no session function."""
    names = [key for key, id_ in _variable(function, INTERPRETERS).items() if id_ == interpreter.physical_id]
    return max((_maximum(_variable(function, SESSION_SECONDS).get(name)) for name in names), default=None)


def _variable(function: Resource, name: str) -> dict[str, object]:
    """Returns a variable that is a JSON object; an empty one for any other value."""
    try:
        return as_mapping(json.loads(as_text(function.get("Environment", "Variables", name))))
    except (ValueError, RecursionError):
        return {}


def _maximum(limits: object) -> int:
    """Returns the maximum of `[default, maximum]`: that of the session function without limits, AWS's if invalid."""
    if limits is None:
        return DEFAULT_MAX_SESSION_TIMEOUT_SECONDS
    values = cast("list[object]", limits) if isinstance(limits, list) else []
    maximum = values[1] if len(values) == 2 else None
    return min(maximum, _LONGEST) if type(maximum) is int and maximum > 0 else _LONGEST
