"""The kinds of values in the contract's JSON. Each reads an untyped value, writes it back and describes itself.

A kind also checks a value that is typed already, since a record may be made in Python, too. Every refusal names the
field, what it is and what is allowed.
"""

# ruff: noqa: D102 - FieldType documents the methods of every field type
from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping, Sized
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

from sandpiper_contract.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from enum import StrEnum

MAX_SHOWN_CHARACTERS = 60
"""How much of a refused value a message repeats."""
MAX_SHOWN_BITS = 256
"""Of a whole number that a message repeats; Python does not print one of more than 4,300 digits."""
MAX_PATH_CHARACTERS = 255
MAX_URI_CHARACTERS = len("s3://") + 63 + 1 + 1_024
"""By S3's limits for the name of a bucket and for a key."""
MAX_NUMBER = 2**53
"""Above it JSON's numbers are not exact: Step Functions reads them as JavaScript does.
https://docs.aws.amazon.com/step-functions/latest/dg/concepts-state-machine-data.html"""

# Patterns of JSON Schema, which are ECMAScript's: what stands in them means the same to Python.
_CHARACTER = r"[^\u0000-\u001f\u007f-\u009f\u2028\u2029\ud800-\udfff]"
"""A character that is no control character, no end of a line and no half of a surrogate pair."""
_BUCKET = "[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]"
PATH_PATTERN = rf"(?!(?:.*/)?\.{{0,2}}(?:/|$)){_CHARACTER}+"
S3_URI_PATTERN = f"s3://{_BUCKET}/{_CHARACTER}+"
S3_FOLDER_PATTERN = f"{S3_URI_PATTERN}/"
BASE64_PATTERN = "(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?"
S3_URI_FORMAT = "s3://BUCKET/KEY, BUCKET 3 to 63 of a-z 0-9 . - and KEY without control characters"
_PATH = re.compile(PATH_PATTERN)
_S3_URI = re.compile(S3_URI_PATTERN)
_S3_ROOT = re.compile(f"s3://{_BUCKET}/+")


T = TypeVar("T")


class Missing:
    """What a field holds that is not there; null is a value, and no field's."""


MISSING = Missing()


def truncate(text: str) -> str:
    """As much of a text as a message repeats."""
    return text if len(text) <= MAX_SHOWN_CHARACTERS else text[: MAX_SHOWN_CHARACTERS - 1] + "…"


def invalid_value(location: str, value: object, allowed: str) -> InvalidRequest:
    """The error for a field, to be raised by the caller. It repeats the value: not for fields of code or data."""
    if not isinstance(value, str | int | float) or (isinstance(value, int) and value.bit_length() > MAX_SHOWN_BITS):
        return invalid_without_value(location, value, allowed)
    return InvalidRequest(f"{location} is {truncate(repr(value))}; allowed: {allowed}")


def invalid_without_value(location: str, value: object, allowed: str) -> InvalidRequest:
    """The same without the value: an error's message goes to logs, where nobody's code and data belong."""
    return InvalidRequest(f"{location} is {_describe_value(value)}; allowed: {allowed}")


def _describe_value(value: object) -> str:
    if value is MISSING:
        return "missing"
    if value is None:
        return "null"
    if isinstance(value, str) and not value:
        return "empty"
    size = len(value) if isinstance(value, Sized) else 0
    for python_type, template in _DESCRIPTIONS:
        if isinstance(value, python_type):
            return template.format(size)
    return f"of type {type(value).__name__}"


_DESCRIPTIONS: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (str, "a string of {:,} characters"),
    (bytes, "{:,} bytes"),
    ((list, tuple), "a list of {:,}"),
    (Mapping, "an object of {:,}"),
    (bool, "true or false"),
    ((int, float), "a number"),
)


def require_instance(location: str, value: object, expected: type[T]) -> T:
    """The value, where it is of a type of Python's or ours; raises InvalidRequest naming `place`."""
    if not isinstance(value, expected):
        raise invalid_without_value(location, value, expected.__name__)
    return value


class FieldType(Protocol):
    """What a field holds."""

    def parse(self, location: str, value: object) -> Any:
        """The typed value, or InvalidRequest naming `place`, the field's path in the request."""
        ...

    def validate(self, location: str, value: object) -> Any:
        """A value that Python code gives, as `read` would have made it; raises InvalidRequest where it makes none."""
        ...

    def serialize(self, value: Any) -> object:
        """The value as JSON."""
        ...

    def schema(self) -> dict[str, object]:
        """The kind as JSON Schema, draft 2020-12."""
        ...


class _JsonNative:
    """A kind whose values are the same in JSON."""

    def parse(self, location: str, value: object) -> Any:
        raise NotImplementedError

    def validate(self, location: str, value: object) -> Any:
        return self.parse(location, value)

    def serialize(self, value: Any) -> object:
        return value


@dataclass(frozen=True, eq=False, repr=False)
class Text(_JsonNative):
    """A string that is more than white space. A refusal does not repeat it."""

    max_characters: int | None = None

    def parse(self, location: str, value: object) -> str:
        if not isinstance(value, str) or not value.strip():
            raise invalid_without_value(location, value, "a string that is more than white space")
        if self.max_characters is not None and len(value) > self.max_characters:
            raise invalid_without_value(location, value, f"a string of at most {self.max_characters:,} characters")
        if (at := _surrogate_index(value)) is not None:
            raise InvalidRequest(f"{location} has half a surrogate pair at character {at}; allowed: a string for UTF-8")
        return value

    def schema(self) -> dict[str, object]:
        length = {} if self.max_characters is None else {"maxLength": self.max_characters}
        return {"type": "string", "pattern": r"\S", **length}


def _surrogate_index(value: str) -> int | None:
    """Where a string cannot be encoded: JSON can carry half a pair, no service takes one."""
    try:
        value.encode()
    except UnicodeEncodeError as error:
        return error.start
    return None


class AnyString(_JsonNative):
    """What a program printed: any string."""

    def parse(self, location: str, value: object) -> str:
        if not isinstance(value, str):
            raise invalid_without_value(location, value, "a string")
        return value

    def schema(self) -> dict[str, object]:
        return {"type": "string"}


class JsonValue(_JsonNative):
    """Any JSON, to be read by who knows what it is."""

    def parse(self, location: str, value: object) -> object:
        if value is MISSING:
            raise invalid_without_value(location, value, "any JSON")
        return value

    def schema(self) -> dict[str, object]:
        return {}


@dataclass(frozen=True, eq=False, repr=False)
class Choice(_JsonNative):
    """One of a few words."""

    choices: tuple[str, ...]

    def parse(self, location: str, value: object) -> str:
        if not isinstance(value, str) or value not in self.choices:
            raise invalid_value(location, value, " | ".join(self.choices))
        return value

    def schema(self) -> dict[str, object]:
        return {"type": "string", "enum": list(self.choices)}


@dataclass(frozen=True, eq=False, repr=False)
class DependentChoice(Choice):
    """One of a few words, of which the rule `Among` says which are allowed beside another field's value."""

    def parse(self, location: str, value: object) -> str:
        if not isinstance(value, str):
            raise invalid_value(location, value, " | ".join(self.choices))
        return value


@dataclass(frozen=True, eq=False, repr=False)
class EnumMember:
    """One of the words of an enumeration, as its member."""

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
    """A whole number from `low` to `high`, both included. 300.0 is one, too, as in JSON Schema and in JavaScript."""

    minimum: int
    maximum: int
    unit: str

    def parse(self, location: str, value: object) -> int:
        whole = int(value) if isinstance(value, float) and value.is_integer() else value
        if type(whole) is not int or not self.minimum <= whole <= self.maximum:
            raise invalid_value(
                location, value, f"a whole number of {self.unit} from {self.minimum:,} to {self.maximum:,}"
            )
        return whole

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


class Boolean(_JsonNative):
    """True or false."""

    def parse(self, location: str, value: object) -> bool:
        if not isinstance(value, bool):
            raise invalid_value(location, value, "true | false")
        return value

    def schema(self) -> dict[str, object]:
        return {"type": "boolean"}


class RelativePath(_JsonNative):
    """A path under the working directory, as the service's file tools take it."""

    def parse(self, location: str, value: object) -> str:
        return parse_relative_path(location, value)

    def schema(self) -> dict[str, object]:
        return {"type": "string", "maxLength": MAX_PATH_CHARACTERS, "pattern": f"^{PATH_PATTERN}$"}


def parse_relative_path(location: str, value: object) -> str:
    """A path under the working directory; raises InvalidRequest naming `place`."""
    if not isinstance(value, str) or len(value) > MAX_PATH_CHARACTERS or not _PATH.fullmatch(value):
        allowed = (
            f"a relative path of at most {MAX_PATH_CHARACTERS} characters, no control characters, "
            "no part that is '.', '..' or empty"
        )
        raise invalid_value(location, value, allowed)
    return value


class Utf8:
    """A file's content as text; its bytes are UTF-8. A refusal does not repeat it."""

    def parse(self, location: str, value: object) -> bytes:
        try:
            return cast("str", value).encode()
        except (AttributeError, UnicodeEncodeError):
            raise invalid_without_value(location, value, "a string that UTF-8 can hold") from None

    def validate(self, location: str, value: object) -> bytes:
        data = require_instance(location, value, bytes)
        try:
            data.decode()
        except UnicodeDecodeError:
            raise invalid_without_value(location, value, "bytes that are text in UTF-8") from None
        return data

    def serialize(self, value: bytes) -> object:
        return value.decode()

    def schema(self) -> dict[str, object]:
        return {"type": "string"}


class Base64:
    """A file's content in base64, which carries any bytes. A refusal does not repeat it."""

    def parse(self, location: str, value: object) -> bytes:
        text = value if isinstance(value, str) else "!"
        try:
            data = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            raise invalid_without_value(location, value, "a string in base64") from None
        if len(text) != -(-len(data) // 3) * 4:  # Python takes padding after what needs none
            raise invalid_without_value(location, value, "a string in base64")
        return data

    def validate(self, location: str, value: object) -> bytes:
        return require_instance(location, value, bytes)

    def serialize(self, value: bytes) -> object:
        return base64.b64encode(value).decode()

    def schema(self) -> dict[str, object]:
        return {"type": "string", "contentEncoding": "base64", "pattern": f"^{BASE64_PATTERN}$"}


@dataclass(frozen=True)
class S3Object:
    """An object's address, or a prefix of such."""

    bucket: str
    key: str

    @property
    def uri(self) -> str:
        """The address as people write it."""
        return f"s3://{self.bucket}/{self.key}"

    @classmethod
    def parse(cls, location: str, value: object) -> S3Object:
        """Reads `s3://BUCKET/KEY`; raises InvalidRequest naming `place`."""
        if isinstance(value, str) and len(value) > MAX_URI_CHARACTERS:
            allowed = f"s3://BUCKET/KEY of at most {MAX_URI_CHARACTERS:,} characters"
            raise InvalidRequest(
                f"{location} is {truncate(repr(value))} of {len(value):,} characters; allowed: {allowed}"
            )
        if not isinstance(value, str) or not _S3_URI.fullmatch(value):
            raise invalid_value(location, value, S3_URI_FORMAT)
        bucket, _, key = value.removeprefix("s3://").partition("/")
        return cls(bucket, key)


class S3Uri:
    """An object's address."""

    def parse(self, location: str, value: object) -> S3Object:
        return S3Object.parse(location, value)

    def validate(self, location: str, value: object) -> S3Object:
        address = require_instance(location, value, S3Object)
        if self.parse(location, address.uri) != address:
            raise invalid_value(location, address.uri, "a bucket's name and a key, each a string")
        return address

    def serialize(self, value: S3Object) -> object:
        return value.uri

    def schema(self) -> dict[str, object]:
        return {"type": "string", "maxLength": MAX_URI_CHARACTERS, "pattern": f"^{S3_URI_PATTERN}$"}


class S3Folder(S3Uri):
    """A prefix that ends with a slash, so that it means a folder and not every name that begins so."""

    def parse(self, location: str, value: object) -> S3Object:
        if isinstance(value, str) and _S3_ROOT.fullmatch(value):
            raise InvalidRequest(
                f"{location} is {truncate(repr(value))}, which names no folder; allowed: s3://BUCKET/FOLDER/"
            )
        folder = S3Object.parse(location, value)
        if not folder.key.endswith("/"):  # a long address is cut in the message, which then does not show its end
            shown = f"{location} is {truncate(repr(value))}, without a slash at its end"
            raise InvalidRequest(f"{shown}; allowed: s3://BUCKET/FOLDER/")
        return folder

    def schema(self) -> dict[str, object]:
        return {"type": "string", "maxLength": MAX_URI_CHARACTERS, "pattern": f"^{S3_FOLDER_PATTERN}$"}


@dataclass(frozen=True, eq=False, repr=False)
class ListOf:
    """A list of one kind."""

    item_type: FieldType
    max_items: int

    def parse(self, location: str, value: object) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise invalid_without_value(location, value, "a list")
        entries = cast("list[object]", value)
        if len(entries) > self.max_items:
            raise invalid_without_value(location, entries, f"a list of at most {self.max_items:,}")
        return tuple(self.item_type.parse(f"{location}[{index}]", entry) for index, entry in enumerate(entries))

    def validate(self, location: str, value: object) -> tuple[Any, ...]:
        if not isinstance(value, tuple | list):
            raise invalid_without_value(location, value, "a tuple or a list")
        entries = cast("Sequence[object]", value)
        if len(entries) > self.max_items:
            raise invalid_without_value(location, entries, f"a list of at most {self.max_items:,}")
        return tuple(self.item_type.validate(f"{location}[{index}]", entry) for index, entry in enumerate(entries))

    def serialize(self, value: tuple[Any, ...]) -> object:
        return [self.item_type.serialize(entry) for entry in value]

    def schema(self) -> dict[str, object]:
        return {"type": "array", "items": self.item_type.schema(), "maxItems": self.max_items}
