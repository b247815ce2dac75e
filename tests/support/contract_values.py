"""Hypothesis strategies for values of the contract: valid values, boundary values and arbitrary JSON."""

from __future__ import annotations

import base64
from functools import cache
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from sandpiper_contract import field_types, s3_objects
from sandpiper_contract.events import Event
from sandpiper_contract.files import SERVICE_FILES
from sandpiper_contract.globs import Glob
from sandpiper_contract.operations import OPERATIONS
from sandpiper_contract.records import Nested, fields_of
from sandpiper_contract.rules import ExactlyOne
from sandpiper_contract.schemas import all_records
from sandpiper_contract.workflows import CheckedRequest, CheckRequest

if TYPE_CHECKING:
    from collections.abc import Callable

    from hypothesis.strategies import SearchStrategy

    from sandpiper_contract.records import Field, Record

Json = Any
WITH_ANY_JSON = (Event, CheckRequest, CheckedRequest)
"""Records with a field of any JSON, which is valid for every value and cannot be hashed."""
RECORDS: dict[str, type[Record]] = {record.__name__: record for record in all_records() if record not in WITH_ANY_JSON}
"""Every request, result and nested record type by name."""

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=8)
JSON: SearchStrategy[Json] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=-(10**400), max_value=10**400)
    | st.floats(allow_nan=False, allow_infinity=False)
    | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY_TEXT, inner, max_size=3),
    max_leaves=6,
)
NAMES = st.sampled_from(["a", "b", "A", "a b", "Grüße", "…", "\u202f", ".x", "...", "*", "[a-z]", *SERVICE_FILES[:2]])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
INVALID_PATHS = st.sampled_from(
    ["/a", "a/", "a//b", ".", "..", "../a", "a/..", "a/./b", "a\n", "a\x7f", "a\u2028", "\ud800"]
)
URIS = st.builds("s3://{}/{}".format, st.sampled_from(["abc", "a.b-c", "x" * 63]), PATHS)
BOUNDARY_URIS = st.sampled_from(
    ["s3://ab/c", "s3://abc", "s3://abc/", "s3://abc//", "s3://ABC/d", "https://abc/d", "s3://abc/\n"]
)
BASE64 = st.binary(max_size=5).map(lambda data: base64.b64encode(data).decode())
BOUNDARY_BASE64 = st.sampled_from(
    ["=", "A", "AA", "AAA", "AA=", "AA==", "AAAA=", "AAAA====", "AA==AA==", "AR==", "A-_A", "AAAA\n", " "]
)


def _numbers(minimum: int, maximum: int) -> SearchStrategy[Json]:
    integers = st.sampled_from([minimum, maximum]) | st.integers(minimum, maximum)
    return integers | integers.map(float).filter(lambda number: minimum <= number <= maximum)


VALID: dict[type, Callable[[Any], SearchStrategy[Json]]] = {
    field_types.Text: lambda _: st.sampled_from(["x", " x", "é\n"]),
    field_types.Timestamp: lambda _: st.sampled_from(["2026-11-21T07:00:00.000Z", "2026-11-21T07:00:00Z"]),
    field_types.AnyString: lambda _: ANY_TEXT,
    field_types.JsonValue: lambda _: JSON,
    field_types.Choice: lambda choice: st.sampled_from(choice.choices),
    field_types.DependentChoice: lambda choice: st.sampled_from(choice.choices),
    field_types.EnumMember: lambda member: st.sampled_from([each.value for each in member.enum]),
    field_types.Integer: lambda integer: _numbers(integer.minimum, integer.maximum),
    field_types.CountOrPercentage: lambda either: (
        _numbers(0, either.maximum) | st.integers(0, 100).map("{}%".format) | st.just("05%")
    ),
    field_types.Number: lambda _: _numbers(0, field_types.MAX_NUMBER) | st.floats(0, 1e6),
    field_types.Boolean: lambda _: st.booleans(),
    field_types.RelativePath: lambda _: PATHS,
    Glob: lambda _: PATHS,
    field_types.Utf8: lambda _: st.text(max_size=5),
    field_types.Base64: lambda _: BASE64,
    s3_objects.S3Uri: lambda _: URIS,
    s3_objects.S3Folder: lambda _: URIS.map(lambda uri: f"{uri}/"),
    field_types.ListOf: lambda list_of: st.lists(valid_values(list_of.item_type), max_size=3),
    Nested: lambda nested: valid_objects(nested.record),
}
"""Valid values of each field type."""

BOUNDARY: dict[type, Callable[[Any], SearchStrategy[Json]]] = {
    field_types.Text: lambda text: st.sampled_from(
        ["", " ", "\x1c", "\ud800", "x" * (text.max_characters or 1), "x" * 2049]
    ),
    field_types.Timestamp: lambda _: st.sampled_from(
        [
            "",
            "2026-11-21",
            "2026-11-21T07:00:00",
            "2026-11-21T07:00:00.Z",
            "2026-11-21T07:00:00Z\n",
            "٢026-11-21T07:00:00Z",
        ]
    ),
    field_types.DependentChoice: lambda choice: st.sampled_from([*choice.choices, "", "python3"]),
    field_types.Integer: lambda integer: st.sampled_from(
        [integer.minimum - 1, integer.maximum + 1, integer.minimum + 0.5, 1e300, True]
    ),
    field_types.CountOrPercentage: lambda either: st.sampled_from(
        [-1, either.maximum + 1, 0.5, True, "101%", "-1%", "5", "%", "5%\n", "1.5%"]
    ),
    field_types.Number: lambda _: st.sampled_from([-1, -0.0, field_types.MAX_NUMBER + 2, 1e300, 10**400, False]),
    field_types.RelativePath: lambda _: INVALID_PATHS | st.sampled_from(["x" * 255, "x" * 256]),
    Glob: lambda _: INVALID_PATHS,
    field_types.Base64: lambda _: BOUNDARY_BASE64,
    s3_objects.S3Uri: lambda _: (
        BOUNDARY_URIS | st.sampled_from([f"s3://{'b' * 63}/{'k' * length}" for length in (1024, 1025)])
    ),
    s3_objects.S3Folder: lambda _: BOUNDARY_URIS | URIS,
    field_types.ListOf: lambda list_of: (
        valid_values(list_of.item_type).map(lambda value: [value] * (list_of.max_items + 1))
        if list_of.max_items < 1000
        else JSON
    ),
}
"""Values of each field type on both sides of its limits."""


def valid_values(field_type: Any) -> SearchStrategy[Json]:
    """Returns valid JSON values of a field type."""
    return VALID[type(field_type)](field_type)


def boundary_values(field_type: object) -> SearchStrategy[Json]:
    """Returns boundary values of a field type, or arbitrary JSON if it has no limits."""
    return BOUNDARY.get(type(field_type), lambda _: JSON)(field_type)


@cache
def valid_objects(record: type[Record]) -> SearchStrategy[Json]:
    """Returns objects whose fields are valid; most of them also satisfy the record's rules."""
    required = {field.name: valid_values(field.field_type) for field in fields_of(record) if field.required}
    optional = {field.name: valid_values(field.field_type) for field in fields_of(record) if not field.required}
    objects = st.fixed_dictionaries(required, optional=optional)
    for rule in record.RULES:
        if isinstance(rule, ExactlyOne):
            selections = [{fields_by_attribute(record)[field].name} for field in rule.fields]
            values = values_of_fields(record, rule.fields)
            objects = st.builds(_with_selected, objects, st.sampled_from(selections), values) | objects
    return objects


def fields_by_attribute(record: type[Record]) -> dict[str, Field]:
    return {field.attribute: field for field in fields_of(record)}


def values_of_fields(record: type[Record], attributes: tuple[str, ...]) -> SearchStrategy[Json]:
    fields = fields_by_attribute(record)
    return st.fixed_dictionaries({fields[each].name: valid_values(fields[each].field_type) for each in attributes})


def _with_selected(value: Json, selected: set[str], values: Json) -> Json:
    """Returns the object with the selected ones of `values`, and without the others."""
    return {name: value[name] for name in value if name not in values} | {name: values[name] for name in selected}


def _nested_record(field: Field) -> Any:
    """Returns the record type that a field contains, directly or in a list; None for other fields."""
    field_type: Any = field.field_type
    if isinstance(field_type, field_types.ListOf):
        field_type = field_type.item_type
    return field_type.record if isinstance(field_type, Nested) else None


@st.composite
def nearly_valid(draw: Any, record: type[Record]) -> Json:
    """Draws an object that is valid or has one change, at any depth, that may make it invalid."""
    value = draw(valid_objects(record))
    change = draw(st.sampled_from(["none", "boundary", "boundary", "any", "unknown", "missing", "nested"]))
    fields = fields_of(record)
    if not fields:
        return {draw(ANY_TEXT): draw(JSON)} if change == "unknown" else value
    field = draw(st.sampled_from(fields))
    if change == "boundary":
        field = draw(st.sampled_from([each for each in fields if type(each.field_type) in BOUNDARY] or fields))
        return value | {field.name: draw(boundary_values(field.field_type))}
    if change == "any":
        return value | {field.name: draw(JSON)}
    if change == "unknown":
        return value | {draw(ANY_TEXT): draw(JSON)}
    if change == "missing":
        return {name: member for name, member in value.items() if name != field.name}
    nested = [each for each in fields if _nested_record(each)]
    if change == "nested" and nested:
        field = draw(st.sampled_from(nested))
        inner = nearly_valid(_nested_record(field))
        is_list = isinstance(field.field_type, field_types.ListOf)
        return value | {field.name: draw(st.lists(inner, max_size=2) if is_list else inner)}
    return value


@st.composite
def nearly_valid_events(draw: Any) -> Json:
    """Draws an event whose request is nearly valid for its operation, in half of the cases."""
    name = draw(st.sampled_from(list(OPERATIONS)))
    event = draw(nearly_valid(Event))
    if draw(st.booleans()):
        return event | {"operation": name, "request": draw(nearly_valid(OPERATIONS[name].request))}
    return event
