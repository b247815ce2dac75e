"""Builds the errors for values that the contract rejects.

Each message has the field's location, the value or its shape, and what is allowed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sized
from typing import TypeVar

from sandpiper_contract.errors import InvalidRequest
from sandpiper_contract.truncation import truncate

MAX_SHOWN_BITS = 256
"""Maximum size of an integer in a message. Python refuses to print integers of more than 4,300 digits."""

T = TypeVar("T")


class Missing:
    """The type of `MISSING`."""


MISSING = Missing()
"""Stands for a field that is absent. Null is a value, and no field accepts it."""


def invalid_value(location: str, value: object, allowed: str) -> InvalidRequest:
    """Returns the error for a rejected value, for the caller to raise. The message repeats the value.

    Use `invalid_without_value` for fields that hold code or data.

    Example:
        >>> invalid_value("outputs.maxFiles", -1, "an integer from 0 to 1,000")
        InvalidRequest('outputs.maxFiles is -1; allowed: an integer from 0 to 1,000')
    """
    if not isinstance(value, str | int | float) or (isinstance(value, int) and value.bit_length() > MAX_SHOWN_BITS):
        return invalid_without_value(location, value, allowed)
    return InvalidRequest(f"{location} is {truncate(repr(value))}; allowed: {allowed}")


def invalid_without_value(location: str, value: object, allowed: str) -> InvalidRequest:
    """Returns the error for a rejected value, for the caller to raise. The message has the value's shape only.

    Messages are written to logs, which must not contain code or data.

    Example:
        >>> invalid_without_value("code", ["import os"], "a string that is not blank")
        InvalidRequest('code is a list of 1; allowed: a string that is not blank')
    """
    return InvalidRequest(f"{location} is {_describe(value)}; allowed: {allowed}")


def require_instance(location: str, value: object, expected: type[T]) -> T:
    """Returns the value if it is an instance of a Python type; raises InvalidRequest otherwise.

    Example:
        >>> require_instance("deadline", 60, Deadline)
        InvalidRequest: deadline is a number; allowed: Deadline
    """
    if not isinstance(value, expected):
        raise invalid_without_value(location, value, expected.__name__)
    return value


def _describe(value: object) -> str:
    """Returns the shape of a value: its type, and its size if it has one."""
    if value is MISSING:
        return "missing"
    if value is None:
        return "null"
    if isinstance(value, str) and not value:
        return "empty"
    size = len(value) if isinstance(value, Sized) else 0
    for python_type, template in _SHAPES:
        if isinstance(value, python_type):
            return template.format(size)
    return f"of type {type(value).__name__}"


_SHAPES: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (str, "a string of {:,} characters"),
    (bytes, "{:,} bytes"),
    ((list, tuple), "a list of {:,}"),
    (Mapping, "an object of {:,}"),
    (bool, "true or false"),
    ((int, float), "a number"),
)
