"""The types of values in the contract's JSON: text, numbers, choices, lists and file contents.

A field type parses JSON values, validates values that Python code passes, serializes values to JSON and describes
itself as JSON Schema.
"""

# ruff: noqa: D102 - FieldType documents the methods of every field type
from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, cast

from sandpiper_contract.errors import InvalidRequest
from sandpiper_contract.invalid_values import MISSING, invalid_value, invalid_without_value, require_instance

if TYPE_CHECKING:
    from collections.abc import Sequence
    from enum import StrEnum

MAX_PATH_CHARACTERS = 255
MAX_NUMBER = 2**53
"""Larger JSON numbers lose precision: Step Functions parses them as JavaScript does.
https://docs.aws.amazon.com/step-functions/latest/dg/concepts-state-machine-data.html"""

# Patterns in JSON Schema are ECMAScript regular expressions. These have the same meaning in Python.
CHARACTER_PATTERN = r"[^\u0000-\u001f\u007f-\u009f\u2028\u2029\ud800-\udfff]"
"""A character that is not a control character, a line terminator or a surrogate."""
PATH_PATTERN = rf"(?!(?:.*/)?\.{{0,2}}(?:/|$)){CHARACTER_PATTERN}+"
BASE64_PATTERN = "(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?"
TIMESTAMP_PATTERN = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?Z"
PERCENTAGE_PATTERN = "(?:100|[0-9]{1,2})%"
_PATH = re.compile(PATH_PATTERN)
_PERCENTAGE = re.compile(PERCENTAGE_PATTERN)
_TIMESTAMP = re.compile(TIMESTAMP_PATTERN)
_ENCODABLE = "a string that can be encoded as UTF-8"


class FieldType(Protocol):
    """The type of a field's value.

    `location` is the field's path in the request, such as `inputs[0].path`. Error messages begin with it.
    """

    def parse(self, location: str, value: object) -> Any:
        """Returns the Python value of a JSON value. Raises InvalidRequest."""
        ...

    def validate(self, location: str, value: object) -> Any:
        """Returns a Python value as `parse` would have returned it. Raises InvalidRequest."""
        ...

    def serialize(self, value: Any) -> object:
        """Returns the JSON value of a Python value."""
        ...

    def schema(self) -> dict[str, object]:
        """Returns the type as JSON Schema, draft 2020-12."""
        ...


class _JsonNative:
    """A type whose values are the same in Python and in JSON."""

    def parse(self, location: str, value: object) -> Any:
        raise NotImplementedError

    def validate(self, location: str, value: object) -> Any:
        return self.parse(location, value)

    def serialize(self, value: Any) -> object:
        return value


@dataclass(frozen=True, eq=False, repr=False)
class Text(_JsonNative):
    """A string that is not blank. Error messages do not repeat it."""

    max_characters: int | None = None

    def parse(self, location: str, value: object) -> str:
        if not isinstance(value, str) or not value.strip():
            raise invalid_without_value(location, value, "a string that is not blank")
        if self.max_characters is not None and len(value) > self.max_characters:
            raise invalid_without_value(location, value, f"a string of at most {self.max_characters:,} characters")
        if (index := _surrogate_index(value)) is not None:
            raise InvalidRequest(f"{location} has an unpaired surrogate at character {index}; allowed: {_ENCODABLE}")
        return value

    def schema(self) -> dict[str, object]:
        length = {} if self.max_characters is None else {"maxLength": self.max_characters}
        return {"type": "string", "pattern": r"\S", **length}


class Timestamp(_JsonNative):
    """A time in UTC, as Step Functions writes it, such as `2026-11-21T07:00:00.000Z`."""

    def parse(self, location: str, value: object) -> str:
        if not isinstance(value, str) or not _TIMESTAMP.fullmatch(value):
            raise invalid_value(location, value, "a time such as 2026-11-21T07:00:00.000Z")
        return value

    def schema(self) -> dict[str, object]:
        return {"type": "string", "pattern": f"^{TIMESTAMP_PATTERN}$"}


def _surrogate_index(value: str) -> int | None:
    """Returns the index of the first unpaired surrogate. JSON can contain one, but UTF-8 cannot encode it."""
    try:
        value.encode()
    except UnicodeEncodeError as error:
        return error.start
    return None


class AnyString(_JsonNative):
    """Any string, such as the output of a program."""

    def parse(self, location: str, value: object) -> str:
        if not isinstance(value, str):
            raise invalid_without_value(location, value, "a string")
        return value

    def schema(self) -> dict[str, object]:
        return {"type": "string"}


class JsonValue(_JsonNative):
    """Any JSON value, passed through unchanged."""

    def parse(self, location: str, value: object) -> object:
        if value is MISSING:
            raise invalid_without_value(location, value, "any JSON")
        return value

    def schema(self) -> dict[str, object]:
        return {}


@dataclass(frozen=True, eq=False, repr=False)
class Choice(_JsonNative):
    """One of a fixed set of strings."""

    choices: tuple[str, ...]

    def parse(self, location: str, value: object) -> str:
        if not isinstance(value, str) or value not in self.choices:
            raise invalid_value(location, value, " | ".join(self.choices))
        return value

    def schema(self) -> dict[str, object]:
        return {"type": "string", "enum": list(self.choices)}


@dataclass(frozen=True, eq=False, repr=False)
class DependentChoice(Choice):
    """One of a fixed set of strings, of which another field determines the allowed ones.

    The rule `DependentValues` checks the value, so that its message can name both fields.
    """

    def parse(self, location: str, value: object) -> str:
        if not isinstance(value, str):
            raise invalid_value(location, value, " | ".join(self.choices))
        return value


@dataclass(frozen=True, eq=False, repr=False)
class EnumMember:
    """A member of an enumeration, written as its value in JSON."""

    enum: type[StrEnum]

    def parse(self, location: str, value: object) -> StrEnum:
        try:
            return self.enum(value)
        except ValueError:
            raise invalid_value(location, value, " | ".join(self.enum)) from None

    def validate(self, location: str, value: object) -> StrEnum:
        return self.parse(location, value)

    def serialize(self, value: StrEnum) -> object:
        return value.value

    def schema(self) -> dict[str, object]:
        return {"type": "string", "enum": [member.value for member in self.enum]}


@dataclass(frozen=True, eq=False, repr=False)
class Integer(_JsonNative):
    """An integer from `minimum` to `maximum`, inclusive. 300.0 is valid, as in JSON Schema and JavaScript."""

    minimum: int
    maximum: int
    unit: str

    def parse(self, location: str, value: object) -> int:
        number = int(value) if isinstance(value, float) and value.is_integer() else value
        if type(number) is not int or not self.minimum <= number <= self.maximum:
            allowed = f"a whole number of {self.unit} from {self.minimum:,} to {self.maximum:,}"
            raise invalid_value(location, value, allowed)
        return number

    def schema(self) -> dict[str, object]:
        return {"type": "integer", "minimum": self.minimum, "maximum": self.maximum}


@dataclass(frozen=True, eq=False, repr=False)
class Number(_JsonNative):
    """A number that is not negative."""

    unit: str

    def parse(self, location: str, value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= MAX_NUMBER:
            raise invalid_value(location, value, f"a number of {self.unit} from 0 to {MAX_NUMBER:,}")
        return float(value)

    def schema(self) -> dict[str, object]:
        return {"type": "number", "minimum": 0, "maximum": MAX_NUMBER}


@dataclass(frozen=True, eq=False, repr=False)
class CountOrPercentage(_JsonNative):
    """An integer from 0 to `maximum`, or a whole percentage such as `5%`."""

    maximum: int
    unit: str

    def parse(self, location: str, value: object) -> int | str:
        if isinstance(value, str) and _PERCENTAGE.fullmatch(value):
            return value
        number = int(value) if isinstance(value, float) and value.is_integer() else value
        if type(number) is not int or not 0 <= number <= self.maximum:
            allowed = f"a whole number of {self.unit} from 0 to {self.maximum:,}, or a percentage from 0% to 100%"
            raise invalid_value(location, value, allowed)
        return number

    def schema(self) -> dict[str, object]:
        count = {"type": "integer", "minimum": 0, "maximum": self.maximum}
        return {"anyOf": [count, {"type": "string", "pattern": f"^{PERCENTAGE_PATTERN}$"}]}


class Boolean(_JsonNative):
    """True or false."""

    def parse(self, location: str, value: object) -> bool:
        if not isinstance(value, bool):
            raise invalid_value(location, value, "true | false")
        return value

    def schema(self) -> dict[str, object]:
        return {"type": "boolean"}


class RelativePath(_JsonNative):
    """A path below the working directory, as the service's file tools accept it."""

    def parse(self, location: str, value: object) -> str:
        return parse_relative_path(location, value)

    def schema(self) -> dict[str, object]:
        return {"type": "string", "maxLength": MAX_PATH_CHARACTERS, "pattern": f"^{PATH_PATTERN}$"}


def parse_relative_path(location: str, value: object) -> str:
    """Returns the path if it is a valid relative path. Raises InvalidRequest.

    Example:
        >>> parse_relative_path("path", "reports/2026/summary.csv")
        'reports/2026/summary.csv'
    """
    if not isinstance(value, str) or len(value) > MAX_PATH_CHARACTERS or not _PATH.fullmatch(value):
        allowed = (
            f"a relative path of at most {MAX_PATH_CHARACTERS} characters, no control characters, "
            "no part that is '.', '..' or empty"
        )
        raise invalid_value(location, value, allowed)
    return value


class Utf8:
    """The content of a text file. Its Python value is the UTF-8 bytes. Error messages do not repeat it."""

    def parse(self, location: str, value: object) -> bytes:
        try:
            return cast("str", value).encode()
        except (AttributeError, UnicodeEncodeError):
            raise invalid_without_value(location, value, _ENCODABLE) from None

    def validate(self, location: str, value: object) -> bytes:
        data = require_instance(location, value, bytes)
        try:
            data.decode()
        except UnicodeDecodeError:
            raise invalid_without_value(location, value, "bytes that are valid UTF-8") from None
        return data

    def serialize(self, value: bytes) -> object:
        return value.decode()

    def schema(self) -> dict[str, object]:
        return {"type": "string"}


class Base64:
    """The content of any file, written as base64 in JSON. Error messages do not repeat it."""

    def parse(self, location: str, value: object) -> bytes:
        text = value if isinstance(value, str) else "!"
        try:
            data = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            raise invalid_without_value(location, value, "a base64 string") from None
        if len(text) != -(-len(data) // 3) * 4:  # Python accepts padding that is not needed
            raise invalid_without_value(location, value, "a base64 string")
        return data

    def validate(self, location: str, value: object) -> bytes:
        return require_instance(location, value, bytes)

    def serialize(self, value: bytes) -> object:
        return base64.b64encode(value).decode()

    def schema(self) -> dict[str, object]:
        return {"type": "string", "contentEncoding": "base64", "pattern": f"^{BASE64_PATTERN}$"}


@dataclass(frozen=True, eq=False, repr=False)
class ListOf:
    """A list whose items have one type."""

    item_type: FieldType
    max_items: int
    min_items: int = 0

    def parse(self, location: str, value: object) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise invalid_without_value(location, value, "a list")
        items = self._require_length(location, cast("list[object]", value))
        return tuple(self.item_type.parse(f"{location}[{index}]", item) for index, item in enumerate(items))

    def validate(self, location: str, value: object) -> tuple[Any, ...]:
        if not isinstance(value, tuple | list):
            raise invalid_without_value(location, value, "a tuple or a list")
        items = self._require_length(location, cast("Sequence[object]", value))
        return tuple(self.item_type.validate(f"{location}[{index}]", item) for index, item in enumerate(items))

    def _require_length(self, location: str, items: Sequence[object]) -> Sequence[object]:
        if not self.min_items <= len(items) <= self.max_items:
            length = f"{self.min_items:,} to {self.max_items:,}" if self.min_items else f"at most {self.max_items:,}"
            raise invalid_without_value(location, items, f"a list of {length}")
        return items

    def serialize(self, value: tuple[Any, ...]) -> object:
        return [self.item_type.serialize(item) for item in value]

    def schema(self) -> dict[str, object]:
        minimum = {"minItems": self.min_items} if self.min_items else {}
        return {"type": "array", "items": self.item_type.schema(), **minimum, "maxItems": self.max_items}
