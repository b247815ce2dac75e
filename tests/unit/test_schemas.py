"""The JSON Schemas of the contract: they are the code's own, and what they take is what `from_json` takes."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import given, settings
from jsonschema import Draft202012Validator, ValidationError, validators

from sandpiper_contract.errors import InvalidRequest
from sandpiper_contract.events import Event
from sandpiper_contract.schemas import schema_of, schemas
from tests.unit.contract_values import JSON, RECORDS, near, near_events

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandpiper_contract.records import Record

PROJECT = Path(__file__).resolve().parents[2]
BEYOND_JSON_SCHEMA = (
    "allowed: each path once, and no file where another needs a folder",
    "allowed: a path outside of what the service keeps",
    "half a surrogate pair",
    "allowed: a string that UTF-8 can hold",
)
"""What else a request may be refused for. The first two are the rule of inputs, the others are no text in UTF-8."""


def pattern(_: Any, expression: str, instance: object, __: Any) -> Iterator[ValidationError]:
    """ECMAScript's `$` is the end alone; Python's is before a line feed there, too."""
    if isinstance(instance, str) and not re.search(expression.replace("$", r"\Z"), instance):
        yield ValidationError(f"{instance!r} does not match {expression!r}")


Validator: Any = cast("Any", validators).extend(Draft202012Validator, {"pattern": pattern})


def read(record: type[Record], value: object) -> Record | str:
    """The record, or the refusal."""
    try:
        return record.from_json(value)
    except InvalidRequest as refusal:
        return str(refusal)


def agree(found: Record | str, is_valid: bool) -> None:
    if isinstance(found, str) and is_valid:
        assert any(reason in found for reason in BEYOND_JSON_SCHEMA), found
    else:
        assert is_valid is not isinstance(found, str), found


def test_the_files_are_what_the_code_says(tmp_path: Path) -> None:
    subprocess.run([sys.executable, str(PROJECT / "tools" / "contract_pages.py"), str(tmp_path)], check=True)
    made = {path.name: path.read_text() for path in tmp_path.iterdir()}
    kept = {path.name: path.read_text() for path in (PROJECT / "docs" / "contract").iterdir()}
    assert len(made) == 21
    assert made == kept, "if this is meant: python tools/contract_pages.py"


@pytest.mark.parametrize("name", schemas())
def test_each_is_a_schema_of_its_dialect_that_describes_every_field(name: str) -> None:
    schema: Any = schemas()[name]
    Validator.check_schema(schema)
    for each in (schema, *schema.get("$defs", {}).values()):
        assert each["additionalProperties"] is False
        assert all(described["description"] for described in (each, *each["properties"].values()))


@pytest.mark.parametrize("record", RECORDS.values(), ids=RECORDS)
def test_a_schema_takes_what_the_code_takes(record: type[Record]) -> None:
    validator, taken = Validator(schema_of(record)), set[bool]()

    @settings(deadline=None, max_examples=150)
    @given(near(record))
    def check(value: object) -> None:
        found = read(record, value)
        agree(found, validator.is_valid(value))
        taken.add(not isinstance(found, str))
        if not isinstance(found, str):
            assert record.from_json(found.to_json()) == found

    check()
    assert taken == {True, False}


@pytest.mark.parametrize("record", RECORDS.values(), ids=RECORDS)
@settings(deadline=None, max_examples=30)
@given(value=JSON)
def test_whatever_json_is_no_request_has_one_message(record: type[Record], value: object) -> None:
    agree(read(record, value), Validator(schema_of(record)).is_valid(value))


def test_an_event_s_schema_takes_what_the_function_takes() -> None:
    validator, taken = Validator(schemas()["event"]), set[bool]()

    @settings(deadline=None, max_examples=200)
    @given(near_events())
    def check(value: object) -> None:
        try:
            found = Event.from_json(value, "event").typed_request()
        except InvalidRequest as refusal:
            found = str(refusal)
        agree(found, validator.is_valid(value))
        taken.add(not isinstance(found, str))

    check()
    assert taken == {True, False}
