"""Rules between the fields of a record, as data: each checks a record and says the same as JSON Schema.

A rule names fields as Python has them; a dot leads into a field that is a record itself. What it says to people has the
names of JSON.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, cast

from sandpiper_contract.errors import InvalidRequest
from sandpiper_contract.field_types import cut
from sandpiper_contract.records import camel_case, fields_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sandpiper_contract.records import Record


@dataclass(frozen=True, eq=False, repr=False)
class ExactlyOne:
    """One of these fields is there, and no other of them."""

    fields: tuple[str, ...]

    def check(self, record: Record) -> None:
        """As Rule has it."""
        given = [camel_case(field) for field in self.fields if _value(record, field) is not None]
        if len(given) != 1:
            fields = ", ".join(map(camel_case, self.fields))
            message = (
                f"{' and '.join(given)} are given; allowed: exactly one of {fields}"
                if given
                else f"none of {fields} is given; allowed: exactly one of them"
            )
            raise InvalidRequest(message)

    def schema(self, record: type[Record]) -> dict[str, object]:  # noqa: ARG002 - as Rule has it
        """As Rule has it."""
        return {"oneOf": [{"required": [camel_case(field)]} for field in self.fields]}


@dataclass(frozen=True, eq=False, repr=False)
class Where:
    """A field has some values only where another has one of some; `None` among them stands for one that is not there.

    The first is never the field's default.
    """

    field: str
    values: tuple[object, ...]
    needs: str
    among: tuple[object, ...]

    def check(self, record: Record) -> None:
        """As Rule has it."""
        value = _value(record, self.field)
        if value in self.values and _value(record, self.needs) not in self.among:
            needs = camel_case(self.needs)
            words = " | ".join(_shown(each) for each in self.among if each is not None)
            allowed = f"only where {needs} is {words}" if words else f"only without {needs}"
            raise InvalidRequest(f"{camel_case(self.field)} is {_shown(value)}; allowed: {allowed}")

    def schema(self, record: type[Record]) -> dict[str, object]:
        """As Rule has it."""
        (default,) = [field.default for field in fields_of(record) if field.attribute == self.needs]
        return {
            "if": _has(self.field, self.values, required=True),
            "then": _has(self.needs, self.among, required=default not in self.among),
        }


@dataclass(frozen=True, eq=False, repr=False)
class Among:
    """A field has one of the words that another field's word has in a table, or is not there.

    Every word of the other field is in the table; the first field's kind is `WordAmong`.
    """

    field: str
    table: Mapping[str, Sequence[str]]
    by: str

    def check(self, record: Record) -> None:
        """As Rule has it."""
        value, key = _value(record, self.field), cast("str", _value(record, self.by))
        if value is not None and value not in self.table[key]:
            field = f"{camel_case(self.field)} is {cut(repr(value))}"
            words = " | ".join(self.table[key])
            raise InvalidRequest(f"{field} where {camel_case(self.by)} is {key}; allowed: {words}")

    def schema(self, record: type[Record]) -> dict[str, object]:
        """As Rule has it."""
        (default,) = [field.default for field in fields_of(record) if field.attribute == self.by]
        choices = [
            {
                "if": _has(self.by, (key,), required=key != default),
                "then": _has(self.field, words, required=False),
            }
            for key, words in self.table.items()
        ]
        return {"allOf": choices}


@dataclass(frozen=True, eq=False, repr=False)
class Never:
    """A field has no such value here, for the reason given."""

    field: str
    value: object
    because: str

    def check(self, record: Record) -> None:
        """As Rule has it."""
        if _value(record, self.field) == self.value:
            raise InvalidRequest(f"{camel_case(self.field)} is {_shown(self.value)}; not allowed: {self.because}")

    def schema(self, record: type[Record]) -> dict[str, object]:  # noqa: ARG002 - as Rule has it
        """As Rule has it."""
        return {"not": _has(self.field, (self.value,), required=True)}


def _value(record: Record, field: str) -> object:
    return reduce(getattr, field.split("."), record)


def _shown(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _has(field: str, values: Sequence[object], *, required: bool) -> dict[str, object]:
    """The schema of an object whose field is one of the values, or not there where it is not required."""
    name, _, inner = field.partition(".")
    words = [value for value in values if value is not None]
    schema = _has(inner, values, required=required) if inner else {"enum": words} if words else False
    return {"properties": {camel_case(name): schema}, **({"required": [camel_case(name)]} if required else {})}
