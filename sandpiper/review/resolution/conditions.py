"""Conditions of templates: those that are known before a deployment, and the combinations of the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import product
from typing import Any, cast

from sandpiper_policy.model.statements import Choice
from sandpiper_policy.model.symbols import has_symbol

World = Mapping[str, bool]
"""Conditions, and whether each holds."""
MAX_CHOICES = 4
"""Conditions in one value whose combinations are all considered."""
MORE_CHOICES = Choice(f"more than {MAX_CHOICES} conditions", True)
"""Stands for the conditions of a value that depends on more; it is resolved as if all of them hold."""


def used_conditions(value: object) -> set[str]:
    """Returns the names of the conditions of every `Fn::If` in a value."""
    found: set[str] = set()
    queue: list[object] = [value]
    while queue:
        one = queue.pop()
        if isinstance(one, dict):
            mapping = cast("dict[str, Any]", one)
            branches = mapping.get("Fn::If")
            if isinstance(branches, list) and branches and isinstance(branches[0], str):
                found.add(branches[0])
            queue += mapping.values()
        elif isinstance(one, list):
            queue += cast("list[object]", one)
    return found


def combinations(names: list[str]) -> Iterator[dict[str, bool]]:
    """Yields every combination of the conditions, first the one in which all hold."""
    for values in product((True, False), repeat=len(names)):
        yield dict(zip(names, values, strict=True))


def known_conditions(conditions: Mapping[str, Any], resolve: Callable[[object], Any]) -> dict[str, bool]:
    """Returns the conditions whose value does not depend on a parameter.

    Args:
        conditions: The section `Conditions` of a template.
        resolve: Resolves a value in which every parameter is a symbol.
    """
    known: dict[str, bool] = {}
    for name in conditions:
        value = _evaluate({"Condition": name}, conditions, resolve, frozenset())
        if value is not None:
            known[name] = value
    return known


def _evaluate(
    condition: object, conditions: Mapping[str, Any], resolve: Callable[[object], Any], open_: frozenset[str]
) -> bool | None:
    if not isinstance(condition, dict) or len(cast("dict[str, Any]", condition)) != 1:
        return None
    ((function, argument),) = cast("dict[str, Any]", condition).items()
    if function == "Condition" and isinstance(argument, str):
        if argument in open_ or argument not in conditions:
            return None
        return _evaluate(conditions[argument], conditions, resolve, open_ | {argument})
    if not isinstance(argument, list):
        return None
    if function == "Fn::Equals" and len(cast("list[object]", argument)) == 2:
        left, right = map(resolve, cast("list[object]", argument))
        known = isinstance(left, str) and isinstance(right, str) and not has_symbol(left + right)
        return left == right if known else None
    parts = [_evaluate(one, conditions, resolve, open_) for one in cast("list[object]", argument)]
    if function == "Fn::Not" and len(parts) == 1:
        return None if parts[0] is None else not parts[0]
    if function == "Fn::And":
        return False if False in parts else None if None in parts else True
    if function == "Fn::Or":
        return True if True in parts else None if None in parts else False
    return None
