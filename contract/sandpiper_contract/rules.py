"""Rules between the fields of a record. Each rule checks a record and describes itself as JSON Schema.

A rule refers to fields by their Python names. `outputs.figures` is the field `figures` of the record in the field
`outputs`. Error messages show JSON names.
"""

# ruff: noqa: D102 - Rule documents the methods of every rule
from __future__ import annotations

import json
from dataclasses import dataclass
from functools import reduce
from itertools import combinations
from typing import TYPE_CHECKING, cast

from sandpiper_contract.errors import InvalidRequest
from sandpiper_contract.records import camel_case, fields_of
from sandpiper_contract.truncation import truncate

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sandpiper_contract.records import Record


@dataclass(frozen=True, eq=False, repr=False)
class ExactlyOne:
    """Exactly one of these fields is set."""

    fields: tuple[str, ...]

    def check(self, record: Record) -> None:
        present = [camel_case(field) for field in self.fields if _value_of(record, field) is not None]
        if len(present) != 1:
            fields = ", ".join(map(camel_case, self.fields))
            message = (
                f"{' and '.join(present)} are set; allowed: exactly one of {fields}"
                if present
                else f"none of {fields} is set; allowed: exactly one of them"
            )
            raise InvalidRequest(message)

    def schema(self, record: type[Record]) -> dict[str, object]:  # noqa: ARG002 - signature of Rule
        return {"oneOf": [{"required": [camel_case(field)]} for field in self.fields]}


@dataclass(frozen=True, eq=False, repr=False)
class AtMostOne:
    """At most one of these fields is set."""

    fields: tuple[str, ...]

    def check(self, record: Record) -> None:
        present = [camel_case(field) for field in self.fields if _value_of(record, field) is not None]
        if len(present) > 1:
            fields = ", ".join(map(camel_case, self.fields))
            raise InvalidRequest(f"{' and '.join(present)} are set; allowed: at most one of {fields}")

    def schema(self, record: type[Record]) -> dict[str, object]:  # noqa: ARG002 - signature of Rule
        pairs = combinations(map(camel_case, self.fields), 2)
        return {"not": {"anyOf": [{"required": list(pair)} for pair in pairs]}}


@dataclass(frozen=True, eq=False, repr=False)
class RequiresOneOf:
    """A value of a field requires that one of `fields` is set."""

    field: str
    value: object
    fields: tuple[str, ...]

    def check(self, record: Record) -> None:
        if _value_of(record, self.field) == self.value and all(_value_of(record, name) is None for name in self.fields):
            fields = " or ".join(map(camel_case, self.fields))
            raise InvalidRequest(f"{camel_case(self.field)} is {_format(self.value)}; allowed: only with {fields}")

    def schema(self, record: type[Record]) -> dict[str, object]:  # noqa: ARG002 - signature of Rule
        return {
            "if": _condition(self.field, (self.value,), required=True),
            "then": {"anyOf": [{"required": [camel_case(field)]} for field in self.fields]},
        }


@dataclass(frozen=True, eq=False, repr=False)
class RequiresValue:
    """Some values of a field require another field to have one of `other_values`.

    None in `other_values` means that the other field is absent. `values` never includes the field's default.
    """

    field: str
    values: tuple[object, ...]
    other_field: str
    other_values: tuple[object, ...]

    def check(self, record: Record) -> None:
        value = _value_of(record, self.field)
        if value in self.values and _value_of(record, self.other_field) not in self.other_values:
            other = camel_case(self.other_field)
            choices = " | ".join(_format(each) for each in self.other_values if each is not None)
            allowed = f"only if {other} is {choices}" if choices else f"only without {other}"
            raise InvalidRequest(f"{camel_case(self.field)} is {_format(value)}; allowed: {allowed}")

    def schema(self, record: type[Record]) -> dict[str, object]:
        (default,) = [field.default for field in fields_of(record) if field.attribute == self.other_field]
        return {
            "if": _condition(self.field, self.values, required=True),
            "then": _condition(self.other_field, self.other_values, required=default not in self.other_values),
        }


@dataclass(frozen=True, eq=False, repr=False)
class DependentValues:
    """A field is absent or has one of the values that another field allows.

    `table` has an entry for every value of the field `key_field`. The type of `field` is `DependentChoice`.
    """

    field: str
    table: Mapping[str, Sequence[str]]
    key_field: str

    def check(self, record: Record) -> None:
        value, key = _value_of(record, self.field), cast("str", _value_of(record, self.key_field))
        if value is not None and value not in self.table[key]:
            field = f"{camel_case(self.field)} is {truncate(repr(value))}"
            choices = " | ".join(self.table[key])
            raise InvalidRequest(f"{field}, but {camel_case(self.key_field)} is {key}; allowed: {choices}")

    def schema(self, record: type[Record]) -> dict[str, object]:
        (default,) = [field.default for field in fields_of(record) if field.attribute == self.key_field]
        conditions = [
            {
                "if": _condition(self.key_field, (key,), required=key != default),
                "then": _condition(self.field, choices, required=False),
            }
            for key, choices in self.table.items()
        ]
        return {"allOf": conditions}


@dataclass(frozen=True, eq=False, repr=False)
class ForbiddenValue:
    """A field must not have a value, for the reason that the error message states."""

    field: str
    value: object
    reason: str

    def check(self, record: Record) -> None:
        if _value_of(record, self.field) == self.value:
            raise InvalidRequest(f"{camel_case(self.field)} is {_format(self.value)}; not allowed: {self.reason}")

    def schema(self, record: type[Record]) -> dict[str, object]:  # noqa: ARG002 - signature of Rule
        return {"not": _condition(self.field, (self.value,), required=True)}


@dataclass(frozen=True, eq=False, repr=False)
class AtMostLess:
    """If both fields are set, the first is at most the second less `reserve`."""

    field: str
    other_field: str
    reserve: int
    unit: str

    def check(self, record: Record) -> None:
        value, other = _value_of(record, self.field), _value_of(record, self.other_field)
        if isinstance(value, int) and isinstance(other, int) and value > other - self.reserve:
            raise InvalidRequest(
                f"{camel_case(self.field)} is {value:,}; allowed: at most {other - self.reserve:,} {self.unit}, which "
                f"is {camel_case(self.other_field)} less {self.reserve}"
            )

    def schema(self, record: type[Record]) -> dict[str, object]:  # noqa: ARG002 - JSON Schema cannot compare fields
        return {}


def _value_of(record: Record, field: str) -> object:
    return reduce(getattr, field.split("."), record)


def _format(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _condition(field: str, values: Sequence[object], *, required: bool) -> dict[str, object]:
    """Returns the schema of an object whose field has one of the values, or is absent if it is not required."""
    name, _, inner = field.partition(".")
    choices = [value for value in values if value is not None]
    schema = _condition(inner, values, required=required) if inner else {"enum": choices} if choices else False
    return {"properties": {camel_case(name): schema}, **({"required": [camel_case(name)]} if required else {})}
