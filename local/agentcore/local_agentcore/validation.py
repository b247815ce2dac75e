"""Checks a parsed request against the service's own model, as the service does: types, lengths and patterns.

A request near its limit may have millions of members: what a shape demands is worked out once, and the place of a
member only where it is at fault.
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
"""Told of one request: its answer has to stay readable."""

Problem = tuple[tuple[str, ...], str]
"""The names that lead from a value to the member at fault, and what is wrong with that."""
Test = Callable[[Any], bool]
InMembers = Callable[[Any, Any], list[Problem]]


@dataclass(frozen=True)
class _Demands:
    """What a shape demands of its values: types, no test that is true, and what each kind of member has to be."""

    types: tuple[type, ...]
    tests: tuple[tuple[Test, str], ...]
    in_members: InMembers | None


def validate(parameters: dict[str, Any], shape: StructureShape) -> None:
    """Checks a request.

    Raises:
        ValidationError: with the members at fault, of very many the first.
    """
    found = _problems(parameters, shape)[:MAX_PROBLEMS]
    problems = [FieldProblem(".".join(names), message) for names, message in found]
    if not problems:
        return
    least = "At least " if len(problems) == MAX_PROBLEMS else ""
    count = f"{least}{len(problems)} validation error{'s' if len(problems) > 1 else ''} detected"
    details = "; ".join(f"Value at '{problem.name}' {problem.message}" for problem in problems)
    raise ValidationError(f"{count}: {details}", problems=problems)


def _problems(value: Any, shape: Shape) -> list[Problem]:
    demands = _demands(shape)
    if not _has_type(value, demands.types):
        return [((), f"{FAILED} be a {shape.type_name}")]
    found: list[Problem] = [((), message) for is_broken, message in demands.tests if is_broken(value)]
    return found if demands.in_members is None else found + demands.in_members(value, shape)


def _has_type(value: object, expected: tuple[type, ...]) -> bool:
    """Python counts True as an integer; the service does not."""
    return isinstance(value, expected) and (not isinstance(value, bool) or bool in expected or object in expected)


def _in_structure(value: dict[str, Any], shape: StructureShape) -> list[Problem]:
    found: list[Problem] = [
        ((name,), f"{FAILED} not be null") for name in shape.required_members if value.get(name) is None
    ]
    for name, member in shape.members.items():
        if value.get(name) is not None:
            _add(found, (name,), _problems(value[name], member))
    if shape.metadata.get("union") and sum(item is not None for item in value.values()) != 1:
        found.append(((), "failed to satisfy constraint: Exactly one member must be set"))
    return found


def _in_list(value: list[Any], shape: ListShape) -> list[Problem]:
    found: list[Problem] = []
    member = shape.member
    for index, item in enumerate(value, 1):
        if problems := _problems(item, member):
            _add(found, (str(index), "member"), problems)
            if len(found) >= MAX_PROBLEMS:
                break
    return found


def _in_map(value: dict[str, Any], shape: MapShape) -> list[Problem]:
    found: list[Problem] = []
    for key, item in value.items():
        _add(found, ("key",), _problems(key, shape.key))
        _add(found, (key,), _problems(item, shape.value))
        if len(found) >= MAX_PROBLEMS:
            break
    return found


def _add(found: list[Problem], names: tuple[str, ...], problems: list[Problem]) -> None:
    found.extend(((*names, *further), message) for further, message in problems)


IN_MEMBERS: dict[str, InMembers] = {
    "structure": _in_structure,
    "list": _in_list,
    "map": _in_map,
}


@cache
def _demands(shape: Shape) -> _Demands:
    types = PYTHON_TYPES.get(shape.type_name, (object,))
    return _Demands(types, tuple(_tests(shape)), IN_MEMBERS.get(shape.type_name))


def _tests(shape: Shape) -> Iterator[tuple[Test, str]]:
    measured = shape.type_name in MEASURED_BY_LENGTH
    noun = "length" if measured else "value"
    least, most, pattern = (shape.metadata.get(key) for key in ("min", "max", "pattern"))
    if least is not None and not (measured and least == 0):
        too_small: Test = (lambda value: len(value) < least) if measured else (lambda value: value < least)
        yield too_small, f"{FAILED} have {noun} greater than or equal to {least}"
    if most is not None:
        too_large: Test = (lambda value: len(value) > most) if measured else (lambda value: value > most)
        yield too_large, f"{FAILED} have {noun} less than or equal to {most}"
    if pattern is not None:
        matches = re.compile(pattern).fullmatch
        yield lambda value: not matches(value), f"{FAILED} satisfy regular expression pattern: {pattern}"
    if isinstance(shape, StringShape) and (values := shape.enum):
        yield lambda value: value not in values, f"{FAILED} satisfy enum value set: [{', '.join(values)}]"
