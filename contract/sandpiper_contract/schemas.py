"""The contract as JSON Schema, draft 2020-12, for who writes requests and reads results in another language.

What a schema refuses is refused. It cannot say that inputs lie apart, that a string has no half of a surrogate pair,
and what a session's interpreter is; so some of what it takes is refused, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from sandpiper_contract.events import Event
from sandpiper_contract.field_types import ListOf
from sandpiper_contract.operations import OPERATIONS
from sandpiper_contract.records import Nested, fields_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandpiper_contract.field_types import FieldType
    from sandpiper_contract.records import Field, Record

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schemas() -> dict[str, dict[str, object]]:
    """Every schema by its name: `run_code.request`, `run_code.result`, …, `event`."""
    found = {"event": _event()}
    for name, operation in OPERATIONS.items():
        found[f"{name}.request"] = schema_of(operation.request)
        found[f"{name}.result"] = schema_of(operation.result)
    return found


def all_records() -> Iterator[type[Record]]:
    """Every record of the contract, some more than once."""
    for operation in OPERATIONS.values():
        for record in (operation.request, operation.result):
            yield record
            yield from _nested_records(record)
    yield Event
    yield from _nested_records(Event)


def schema_of(record: type[Record]) -> dict[str, object]:
    """A record's schema, whole: the records in it are in its `$defs`."""
    inner = {each.__name__: _object(each) for each in _nested_records(record)}
    return {"$schema": DIALECT, **_object(record), **({"$defs": dict(sorted(inner.items()))} if inner else {})}


def _event() -> dict[str, object]:
    """An event's request is that of its operation."""
    schema = schema_of(Event)
    defs = cast("dict[str, object]", schema.setdefault("$defs", {}))
    choices: list[object] = []
    for name, operation in OPERATIONS.items():
        for record in (operation.request, *_nested_records(operation.request)):
            defs[record.__name__] = _object(record)
        request = {"$ref": f"#/$defs/{operation.request.__name__}"}
        choices.append({"properties": {"operation": {"const": name}, "request": request}})
    return {**schema, "oneOf": choices, "$defs": dict(sorted(defs.items()))}


def _object(record: type[Record]) -> dict[str, object]:
    fields = fields_of(record)
    rules = [schema for rule in record.RULES if (schema := rule.schema(record))]
    return {
        "title": record.__name__,
        "description": (record.__doc__ or "").partition("\n\n")[0].replace("\n", " "),
        "type": "object",
        "properties": {field.name: _property(field) for field in fields},
        "required": [field.name for field in fields if field.required],
        "additionalProperties": False,
        **({"allOf": rules} if rules else {}),
    }


def _property(field: Field) -> dict[str, object]:
    default = {} if field.default is None else {"default": field.field_type.serialize(field.default)}
    return {"description": field.description, **field.field_type.schema(), **default}


def _nested_records(record: type[Record]) -> Iterator[type[Record]]:
    """The records that a record holds, at any depth."""
    for field in fields_of(record):
        for inner in _records_in(field.field_type):
            yield inner
            yield from _nested_records(inner)


def _records_in(field_type: FieldType) -> Iterator[type[Record]]:
    if isinstance(field_type, Nested):
        yield field_type.record
    elif isinstance(field_type, ListOf):
        yield from _records_in(field_type.item_type)
