"""The contract as JSON Schema, draft 2020-12, for clients in other languages.

A request that violates its schema is rejected. A valid request can still be rejected, because JSON Schema cannot
express that input paths are distinct, that a string has no unpaired surrogates, or which interpreters exist.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from sandpiper_contract.batches import ItemResult
from sandpiper_contract.events import Event
from sandpiper_contract.field_types import ListOf
from sandpiper_contract.operations import OPERATIONS
from sandpiper_contract.records import Nested, fields_of
from sandpiper_contract.workflows import WORKFLOWS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandpiper_contract.field_types import FieldType
    from sandpiper_contract.records import Field, Record

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schemas() -> dict[str, dict[str, object]]:
    """Returns the schemas by name: `run_code.request`, …, `workflow.run-code.request`, …, `item_result`, `event`.

    Example:
        >>> schemas()["run_code.request"]["properties"]["language"]["enum"]
        ['python', 'javascript', 'typescript']
    """
    by_name = {"event": _event(), "item_result": schema_of(ItemResult)}
    for name, operation in OPERATIONS.items():
        by_name[f"{name}.request"] = schema_of(operation.request)
        by_name[f"{name}.result"] = schema_of(operation.result)
    for name, workflow in WORKFLOWS.items():
        by_name[f"workflow.{name}.request"] = schema_of(workflow.request)
        by_name[f"workflow.{name}.result"] = schema_of(workflow.result)
    return by_name


def all_records() -> Iterator[type[Record]]:
    """Yields every record type of the contract, some more than once.

    Example:
        >>> {record.__name__ for record in all_records()} >= {"RunCode", "InputFile", "Event"}
        True
    """
    for types in (*OPERATIONS.values(), *WORKFLOWS.values()):
        for record in (types.request, types.result):
            yield record
            yield from _nested_records(record)
    for record in (ItemResult, Event):
        yield record
        yield from _nested_records(record)


def schema_of(record: type[Record]) -> dict[str, object]:
    """Returns the schema of a record type, with the records that it contains in `$defs`.

    Example:
        >>> schema_of(RunCode)["$defs"].keys()
        dict_keys(['InputFile', 'Outputs'])
    """
    inner = {each.__name__: _object(each) for each in _nested_records(record)}
    return {"$schema": DIALECT, **_object(record), **({"$defs": dict(sorted(inner.items()))} if inner else {})}


def _event() -> dict[str, object]:
    """Returns the schema of an event, whose request depends on its operation."""
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
    """Yields the record types that a record type contains, at any depth."""
    for field in fields_of(record):
        for inner in _records_in(field.field_type):
            yield inner
            yield from _nested_records(inner)


def _records_in(field_type: FieldType) -> Iterator[type[Record]]:
    if isinstance(field_type, Nested):
        yield field_type.record
    elif isinstance(field_type, ListOf):
        yield from _records_in(field_type.item_type)
