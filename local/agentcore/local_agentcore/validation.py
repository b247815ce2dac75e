"""Checks a parsed request against the service's own model, as the service does: types, lengths, patterns, …"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any

from botocore.model import ListShape, MapShape, Shape, StringShape, StructureShape

from .errors import FieldProblem, ValidationError

if TYPE_CHECKING:
    from collections.abc import Iterator

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


def validate(parameters: dict[str, Any], shape: StructureShape) -> None:
    """Checks a request.

    Raises:
        ValidationError: with every member at fault.
    """
    problems = list(_problems(parameters, shape, ""))
    if not problems:
        return
    count = f"{len(problems)} validation error{'s' if len(problems) > 1 else ''} detected"
    details = "; ".join(f"Value at '{problem.name}' {problem.message}" for problem in problems)
    raise ValidationError(f"{count}: {details}", problems=problems)


def _problems(value: Any, shape: Shape, path: str) -> Iterator[FieldProblem]:
    if not _has_type(value, PYTHON_TYPES.get(shape.type_name, (object,))):
        yield FieldProblem(path, f"failed to satisfy constraint: Member must be a {shape.type_name}")
        return
    yield from _own_problems(value, shape, path)
    match shape:
        case StructureShape():
            yield from _member_problems(value, shape, path)
        case ListShape():
            for index, item in enumerate(value):
                yield from _problems(item, shape.member, f"{path}.{index + 1}.member")
        case MapShape():
            for key, item in value.items():
                yield from _problems(key, shape.key, f"{path}.key")
                yield from _problems(item, shape.value, f"{path}.{key}")
        case _:
            pass


def _has_type(value: object, expected: tuple[type, ...]) -> bool:
    """Python counts True as an integer; the service does not."""
    return isinstance(value, expected) and (not isinstance(value, bool) or bool in expected or object in expected)


def _member_problems(value: dict[str, Any], shape: StructureShape, path: str) -> Iterator[FieldProblem]:
    prefix = f"{path}." if path else ""
    for name in shape.required_members:
        if value.get(name) is None:
            yield FieldProblem(f"{prefix}{name}", "failed to satisfy constraint: Member must not be null")
    for name, member in shape.members.items():
        if value.get(name) is not None:
            yield from _problems(value[name], member, f"{prefix}{name}")
    if shape.metadata.get("union") and sum(item is not None for item in value.values()) != 1:
        yield FieldProblem(path, "failed to satisfy constraint: Exactly one member must be set")


def _own_problems(value: Any, shape: Shape, path: str) -> Iterator[FieldProblem]:
    constraint = "failed to satisfy constraint: Member must"
    by_length = shape.type_name in MEASURED_BY_LENGTH
    size = len(value) if by_length else value
    adjective = ("have length greater", "have length less") if by_length else ("have value greater", "have value less")
    minimum, maximum, pattern = (shape.metadata.get(key) for key in ("min", "max", "pattern"))
    if minimum is not None and size < minimum:
        yield FieldProblem(path, f"{constraint} {adjective[0]} than or equal to {minimum}")
    if maximum is not None and size > maximum:
        yield FieldProblem(path, f"{constraint} {adjective[1]} than or equal to {maximum}")
    if pattern is not None and not _compiled(pattern).fullmatch(value):
        yield FieldProblem(path, f"{constraint} satisfy regular expression pattern: {pattern}")
    if isinstance(shape, StringShape) and shape.enum and value not in shape.enum:
        yield FieldProblem(path, f"{constraint} satisfy enum value set: [{', '.join(shape.enum)}]")


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)
