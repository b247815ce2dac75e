"""The JSON Schemas in docs/contract are up to date, and they accept what `from_json` accepts."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import given, settings
from jsonschema import Draft202012Validator, ValidationError, validators

from sandpiper_contract.errors import InvalidRequest
from sandpiper_contract.events import Event
from sandpiper_contract.schemas import schema_of, schemas
from tests.support.contract_values import JSON, RECORDS, nearly_valid, nearly_valid_events
from tests.support.project import PROJECT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sandpiper_contract.records import Record

BEYOND_JSON_SCHEMA = (
    "allowed: unique paths, none below another file",
    "allowed: a path outside the service's own files",
    "allowed: names of at most 255 bytes in UTF-8",
    "unpaired surrogate",
    "allowed: a string that can be encoded as UTF-8",
    "which is sessionTimeoutSeconds less",
)
"""Errors that JSON Schema cannot express: colliding input paths, sizes in UTF-8, strings that UTF-8 cannot encode, and
fields that are compared."""


def pattern(_: Any, expression: str, instance: object, __: Any) -> Iterator[ValidationError]:
    """Checks `pattern` as ECMAScript does: `$` does not match before a final newline."""
    if isinstance(instance, str) and not re.search(expression.replace("$", r"\Z"), instance):
        yield ValidationError(f"{instance!r} does not match {expression!r}")


Validator: Any = cast("Any", validators).extend(Draft202012Validator, {"pattern": pattern})


def parse(record: type[Record], value: object) -> Record | str:
    """Returns the record, or the error message."""
    try:
        return record.from_json(value)
    except InvalidRequest as error:
        return str(error)


def assert_agreement(parsed: Record | str, is_valid: bool) -> None:
    if isinstance(parsed, str) and is_valid:
        assert any(reason in parsed for reason in BEYOND_JSON_SCHEMA), parsed
    else:
        assert is_valid is not isinstance(parsed, str), parsed


def test_the_generated_pages_are_up_to_date(tmp_path: Path) -> None:
    subprocess.run([sys.executable, str(PROJECT / "tools" / "contract_pages.py"), str(tmp_path)], check=True)
    generated = {path.name: path.read_text() for path in tmp_path.iterdir()}
    committed = {path.name: path.read_text() for path in (PROJECT / "docs" / "contract").iterdir()}
    assert len(generated) == 42
    assert generated == committed, "run: python tools/contract_pages.py"


@pytest.mark.parametrize("name", schemas())
def test_each_schema_is_valid_and_describes_every_field(name: str) -> None:
    schema: Any = schemas()[name]
    Validator.check_schema(schema)
    for each in (schema, *schema.get("$defs", {}).values()):
        assert each["additionalProperties"] is False
        assert all(described["description"] for described in (each, *each["properties"].values()))


@pytest.mark.parametrize("record", RECORDS.values(), ids=RECORDS)
def test_a_schema_accepts_what_from_json_accepts(record: type[Record]) -> None:
    validator, outcomes = Validator(schema_of(record)), set[bool]()

    @settings(deadline=None, max_examples=60)
    @given(nearly_valid(record))
    def check(value: object) -> None:
        parsed = parse(record, value)
        assert_agreement(parsed, validator.is_valid(value))
        outcomes.add(not isinstance(parsed, str))
        if not isinstance(parsed, str):
            assert record.from_json(parsed.to_json()) == parsed

    check()
    assert outcomes == {True, False}


@pytest.mark.parametrize("record", RECORDS.values(), ids=RECORDS)
@settings(deadline=None, max_examples=30)
@given(value=JSON)
def test_arbitrary_json_is_accepted_or_has_an_error_message(record: type[Record], value: object) -> None:
    assert_agreement(parse(record, value), Validator(schema_of(record)).is_valid(value))


def test_the_event_schema_accepts_what_the_function_accepts() -> None:
    validator, outcomes = Validator(schemas()["event"]), set[bool]()

    @settings(deadline=None, max_examples=100)
    @given(nearly_valid_events())
    def check(value: object) -> None:
        try:
            parsed = Event.from_json(value, "event").typed_request()
        except InvalidRequest as error:
            parsed = str(error)
        assert_agreement(parsed, validator.is_valid(value))
        outcomes.add(not isinstance(parsed, str))

    check()
    assert outcomes == {True, False}
