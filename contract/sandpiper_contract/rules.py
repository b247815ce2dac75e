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
from sandpiper_contract.field_types import truncate
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
        given = [camel_case(field) for field in self.fields if _value_of(record, field) is not None]
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
class RequiresValue:
    """A field has some values only where another has one of some; `None` among them stands for one that is not there.

    The first is never the field's default.
    """

    field: str
    values: tuple[object, ...]
    other_field: str
    other_values: tuple[object, ...]

    def check(self, record: Record) -> None:
        """As Rule has it."""
        value = _value_of(record, self.field)
        if value in self.values and _value_of(record, self.other_field) not in self.other_values:
            other = camel_case(self.other_field)
            choices = " | ".join(_format(each) for each in self.other_values if each is not None)
            allowed = f"only where {other} is {choices}" if choices else f"only without {other}"
            raise InvalidRequest(f"{camel_case(self.field)} is {_format(value)}; allowed: {allowed}")

    def schema(self, record: type[Record]) -> dict[str, object]:
        """As Rule has it."""
        (default,) = [field.default for field in fields_of(record) if field.attribute == self.other_field]
        return {
            "if": _condition(self.field, self.values, required=True),
            "then": _condition(self.other_field, self.other_values, required=default not in self.other_values),
        }


@dataclass(frozen=True, eq=False, repr=False)
class DependentValues:
    """A field has one of the words that another field's word has in a table, or is not there.

    Every word of the other field is in the table; the first field's kind is `WordAmong`.
    """

    field: str
    table: Mapping[str, Sequence[str]]
    key_field: str

    def check(self, record: Record) -> None:
        """As Rule has it."""
        value, key = _value_of(record, self.field), cast("str", _value_of(record, self.key_field))
        if value is not None and value not in self.table[key]:
            field = f"{camel_case(self.field)} is {truncate(repr(value))}"
            choices = " | ".join(self.table[key])
            raise InvalidRequest(f"{field} where {camel_case(self.key_field)} is {key}; allowed: {choices}")

    def schema(self, record: type[Record]) -> dict[str, object]:
        """As Rule has it."""
        (default,) = [field.default for field in fields_of(record) if field.attribute == self.key_field]
        choices = [
            {
                "if": _condition(self.key_field, (key,), required=key != default),
                "then": _condition(self.field, choices, required=False),
            }
            for key, choices in self.table.items()
        ]
        return {"allOf": choices}


@dataclass(frozen=True, eq=False, repr=False)
class ForbiddenValue:
    """A field has no such value here, for the reason given."""

    field: str
    value: object
    reason: str

    def check(self, record: Record) -> None:
        """As Rule has it."""
        if _value_of(record, self.field) == self.value:
            raise InvalidRequest(f"{camel_case(self.field)} is {_format(self.value)}; not allowed: {self.reason}")

    def schema(self, record: type[Record]) -> dict[str, object]:  # noqa: ARG002 - as Rule has it
        """As Rule has it."""
        return {"not": _condition(self.field, (self.value,), required=True)}


def _value_of(record: Record, field: str) -> object:
    return reduce(getattr, field.split("."), record)


def _format(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _condition(field: str, values: Sequence[object], *, required: bool) -> dict[str, object]:
    """The schema of an object whose field is one of the values, or not there where it is not required."""
    name, _, inner = field.partition(".")
    choices = [value for value in values if value is not None]
    schema = _condition(inner, values, required=required) if inner else {"enum": choices} if choices else False
    return {"properties": {camel_case(name): schema}, **({"required": [camel_case(name)]} if required else {})}
