"""z3 without types: its Python package has none, and infers wrong ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import z3 as _z3

if TYPE_CHECKING:
    from collections.abc import Iterable

z3: Any = _z3
"""The package z3."""
Expression = Any
"""An expression of z3, or True or False."""


def every(parts: Iterable[Expression]) -> Expression:
    """Returns the conjunction. Constants are folded: most statements match no request of a claim."""
    remaining: list[Expression] = []
    for part in parts:
        if part is False:
            return False
        if part is not True:
            remaining.append(part)
    return z3.And(remaining) if len(remaining) > 1 else remaining[0] if remaining else True


def some(parts: Iterable[Expression]) -> Expression:
    """Returns the disjunction, with constants folded."""
    remaining: list[Expression] = []
    for part in parts:
        if part is True:
            return True
        if part is not False:
            remaining.append(part)
    return z3.Or(remaining) if len(remaining) > 1 else remaining[0] if remaining else False


def negation(part: Expression) -> Expression:
    """Returns the negation, with constants folded."""
    return not part if isinstance(part, bool) else z3.Not(part)


def choice(condition: Expression, then: Expression, otherwise: bool) -> Expression:
    """Returns the first value if a condition holds, and a constant otherwise."""
    return some([negation(condition), then]) if otherwise else every([condition, then])
