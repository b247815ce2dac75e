"""Validates a parsed request against the service model, as the service does: types, lengths and patterns.

A request near the size limit can have millions of members. A shape's constraints are therefore computed once, and a
member's path only for an invalid member.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from botocore.model import ListShape, MapShape, Shape, StringShape, StructureShape

from .errors import FieldProblem, ValidationError

PYTHON_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "long": (int,),
    "double": (int, float),
    "float": (int, float),
    "boolean": (bool,),
    "blob": (bytes, bytearray),
    "list": (list,),
    "map": (dict,),
    "structure": (dict,),
}
MEASURED_BY_LENGTH = ("string", "blob", "list", "map")
FAILED = "failed to satisfy constraint: Member must"
MAX_PROBLEMS = 100
"""Maximum number of problems reported per request, so that the response stays readable."""

Problem = tuple[tuple[str, ...], str]
"""The path from a value to the invalid member, and the message."""
Violation = Callable[[Any], bool]
MemberCheck = Callable[[Any, Any], list[Problem]]


@dataclass(frozen=True)
class _Constraints:
    """The constraints of a shape: the allowed types, the violations to test for, and the check of its members."""

    types: tuple[type, ...]
    violations: tuple[tuple[Violation, str], ...]
    check_members: MemberCheck | None


def validate(parameters: dict[str, Any], shape: StructureShape) -> None:
    """Validates a request.

    Raises:
        ValidationError: The request is invalid. Its problems are limited to the first MAX_PROBLEMS members.
    """
    found = _problems(parameters, shape)[:MAX_PROBLEMS]
    problems = [FieldProblem(".".join(names), message) for names, message in found]
    if not problems:
        return
    at_least = "At least " if len(problems) == MAX_PROBLEMS else ""
    count = f"{at_least}{len(problems)} validation error{'s' if len(problems) > 1 else ''} detected"
    details = "; ".join(f"Value at '{problem.name}' {problem.message}" for problem in problems)
    raise ValidationError(f"{count}: {details}", problems=problems)


def _problems(value: Any, shape: Shape) -> list[Problem]:
    constraints = _constraints(shape)
    if not _has_type(value, constraints.types):
        return [((), f"{FAILED} be a {shape.type_name}")]
    found: list[Problem] = [((), message) for is_violated, message in constraints.violations if is_violated(value)]
    return found if constraints.check_members is None else found + constraints.check_members(value, shape)


def _has_type(value: object, expected: tuple[type, ...]) -> bool:
    """Returns whether a value has an expected type. A boolean is not an integer, unlike in Python."""
    return isinstance(value, expected) and (not isinstance(value, bool) or bool in expected or object in expected)


def _check_structure(value: dict[str, Any], shape: StructureShape) -> list[Problem]:
    found: list[Problem] = [
        ((name,), f"{FAILED} not be null") for name in shape.required_members if value.get(name) is None
    ]
    for name, member in shape.members.items():
        if value.get(name) is not None:
            _add(found, (name,), _problems(value[name], member))
    if shape.metadata.get("union") and sum(item is not None for item in value.values()) != 1:
        found.append(((), "failed to satisfy constraint: Exactly one member must be set"))
    return found


def _check_list(value: list[Any], shape: ListShape) -> list[Problem]:
    found: list[Problem] = []
    member = shape.member
    for index, item in enumerate(value, 1):
        if problems := _problems(item, member):
            _add(found, (str(index), "member"), problems)
            if len(found) >= MAX_PROBLEMS:
                break
    return found


def _check_map(value: dict[str, Any], shape: MapShape) -> list[Problem]:
    found: list[Problem] = []
    for key, item in value.items():
        _add(found, ("key",), _problems(key, shape.key))
        _add(found, (key,), _problems(item, shape.value))
        if len(found) >= MAX_PROBLEMS:
            break
    return found


def _add(found: list[Problem], names: tuple[str, ...], problems: list[Problem]) -> None:
    found.extend(((*names, *further), message) for further, message in problems)


MEMBER_CHECKS: dict[str, MemberCheck] = {
    "structure": _check_structure,
    "list": _check_list,
    "map": _check_map,
}


@cache
def _constraints(shape: Shape) -> _Constraints:
    types = PYTHON_TYPES.get(shape.type_name, (object,))
    return _Constraints(types, tuple(_violations(shape)), MEMBER_CHECKS.get(shape.type_name))


def _violations(shape: Shape) -> Iterator[tuple[Violation, str]]:
    measured = shape.type_name in MEASURED_BY_LENGTH
    noun = "length" if measured else "value"
    minimum, maximum, pattern = (shape.metadata.get(key) for key in ("min", "max", "pattern"))
    if minimum is not None and not (measured and minimum == 0):
        too_small: Violation = (lambda value: len(value) < minimum) if measured else (lambda value: value < minimum)
        yield too_small, f"{FAILED} have {noun} greater than or equal to {minimum}"
    if maximum is not None:
        too_large: Violation = (lambda value: len(value) > maximum) if measured else (lambda value: value > maximum)
        yield too_large, f"{FAILED} have {noun} less than or equal to {maximum}"
    if pattern is not None:
        matches = re.compile(pattern).fullmatch
        yield lambda value: not matches(value), f"{FAILED} satisfy regular expression pattern: {pattern}"
    if isinstance(shape, StringShape) and (values := shape.enum):
        yield lambda value: value not in values, f"{FAILED} satisfy enum value set: [{', '.join(values)}]"
