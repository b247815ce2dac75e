"""Values of the contract's kinds as Hypothesis makes them: right ones, ones at an edge, and whatever JSON there is."""

from __future__ import annotations

import base64
from functools import cache
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from sandpiper_contract import field_types
from sandpiper_contract.events import Event
from sandpiper_contract.files import SERVICE_FILES, Glob
from sandpiper_contract.operations import OPERATIONS
from sandpiper_contract.records import Nested, fields_of
from sandpiper_contract.rules import ExactlyOne
from sandpiper_contract.schemas import all_records

if TYPE_CHECKING:
    from collections.abc import Callable

    from hypothesis.strategies import SearchStrategy

    from sandpiper_contract.records import Record

Json = Any
RECORDS: dict[str, type[Record]] = {record.__name__: record for record in all_records() if record is not Event}
"""Every request and result, and what is in them."""

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
ODD_PATHS = st.sampled_from(
    ["/a", "a/", "a//b", ".", "..", "../a", "a/..", "a/./b", "a\n", "a\x7f", "a\u2028", "\ud800"]
)
URIS = st.builds("s3://{}/{}".format, st.sampled_from(["abc", "a.b-c", "x" * 63]), PATHS)
ODD_URIS = st.sampled_from(
    ["s3://ab/c", "s3://abc", "s3://abc/", "s3://abc//", "s3://ABC/d", "https://abc/d", "s3://abc/\n"]
)
BASE64 = st.binary(max_size=5).map(lambda data: base64.b64encode(data).decode())
ODD_BASE64 = st.sampled_from(
    ["=", "A", "AA", "AAA", "AA=", "AA==", "AAAA=", "AAAA====", "AA==AA==", "AR==", "A-_A", "AAAA\n", " "]
)


def _numbers(low: int, high: int) -> SearchStrategy[Json]:
    whole = st.sampled_from([low, high]) | st.integers(low, high)
    return whole | whole.map(float).filter(lambda number: low <= number <= high)


VALUES: dict[type, Callable[[Any], SearchStrategy[Json]]] = {
    field_types.Text: lambda _: st.sampled_from(["x", " x", "é\n"]),
    field_types.AnyString: lambda _: ANY_TEXT,
    field_types.JsonValue: lambda _: JSON,
    field_types.Choice: lambda field_type: st.sampled_from(field_type.choices),
    field_types.DependentChoice: lambda field_type: st.sampled_from(field_type.choices),
    field_types.EnumMember: lambda field_type: st.sampled_from([member.value for member in field_type.enum]),
    field_types.Integer: lambda field_type: _numbers(field_type.minimum, field_type.maximum),
    field_types.Number: lambda _: _numbers(0, field_types.MAX_NUMBER) | st.floats(0, 1e6),
    field_types.Boolean: lambda _: st.booleans(),
    field_types.RelativePath: lambda _: PATHS,
    Glob: lambda _: PATHS,
    field_types.Utf8: lambda _: st.text(max_size=5),
    field_types.Base64: lambda _: BASE64,
    field_types.S3Uri: lambda _: URIS,
    field_types.S3Folder: lambda _: URIS.map(lambda uri: f"{uri}/"),
    field_types.ListOf: lambda field_type: st.lists(of(field_type.item_type), max_size=3),
    Nested: lambda field_type: objects(field_type.record),
}
"""Values that a field type accepts."""

EDGES: dict[type, Callable[[Any], SearchStrategy[Json]]] = {
    field_types.Text: lambda field_type: st.sampled_from(
        ["", " ", "\x1c", "\ud800", "x" * (field_type.max_characters or 1), "x" * 2049]
    ),
    field_types.DependentChoice: lambda field_type: st.sampled_from([*field_type.choices, "", "python3"]),
    field_types.Integer: lambda field_type: st.sampled_from(
        [field_type.minimum - 1, field_type.maximum + 1, field_type.minimum + 0.5, 1e300, True]
    ),
    field_types.Number: lambda _: st.sampled_from([-1, -0.0, field_types.MAX_NUMBER + 2, 1e300, 10**400, False]),
    field_types.RelativePath: lambda _: ODD_PATHS | st.sampled_from(["x" * 255, "x" * 256]),
    Glob: lambda _: ODD_PATHS,
    field_types.Base64: lambda _: ODD_BASE64,
    field_types.S3Uri: lambda _: ODD_URIS | st.sampled_from([f"s3://{'b' * 63}/{'k' * most}" for most in (1024, 1025)]),
    field_types.S3Folder: lambda _: ODD_URIS | URIS,
    field_types.ListOf: lambda field_type: (
        of(field_type.item_type).map(lambda value: [value] * (field_type.max_items + 1))
        if field_type.max_items < 1000
        else JSON
    ),
}
"""Boundary values of a field type, on either side."""


def of(field_type: Any) -> SearchStrategy[Json]:
    """Values that a field type accepts."""
    return VALUES[type(field_type)](field_type)


def edges(field_type: object) -> SearchStrategy[Json]:
    """Boundary values of a field type, or any at all where it has none."""
    return EDGES.get(type(field_type), lambda _: JSON)(field_type)


@cache
def objects(record: type[Record]) -> SearchStrategy[Json]:
    """Objects that a record takes, as far as each field goes; between them, most keep to the rules."""
    required = {field.name: of(field.field_type) for field in fields_of(record) if field.required}
    optional = {field.name: of(field.field_type) for field in fields_of(record) if not field.required}
    found = st.fixed_dictionaries(required, optional=optional)
    for rule in record.RULES:
        if isinstance(rule, ExactlyOne):
            one_each = [{fields_by_attribute(record)[field].name} for field in rule.fields]
            found = st.builds(_with_one, found, st.sampled_from(one_each), of_fields(record, rule.fields)) | found
    return found


def fields_by_attribute(record: type[Record]) -> dict[str, Any]:
    return {field.attribute: field for field in fields_of(record)}


def of_fields(record: type[Record], attributes: tuple[str, ...]) -> SearchStrategy[Json]:
    fields = fields_by_attribute(record)
    return st.fixed_dictionaries({fields[each].name: of(fields[each].field_type) for each in attributes})


def _with_one(value: Json, kept: set[str], ones: Json) -> Json:
    return {name: value[name] for name in value if name not in ones} | {name: ones[name] for name in kept}


@st.composite
def near(draw: Any, record: type[Record]) -> Json:
    """An object that is right, or has one thing in it that may be wrong, at any depth."""
    value = draw(objects(record))
    change = draw(st.sampled_from(["none", "edge", "edge", "any", "unknown", "lost", "inner"]))
    fields = fields_of(record)
    field = draw(st.sampled_from(fields))
    if change == "edge":
        fields = [each for each in fields if type(each.field_type) in EDGES] or fields
        field = draw(st.sampled_from(fields))
        return value | {field.name: draw(edges(field.field_type))}
    if change == "any":
        return value | {field.name: draw(JSON)}
    if change == "unknown":
        return value | {draw(ANY_TEXT): draw(JSON)}
    if change == "lost":
        return {name: member for name, member in value.items() if name != field.name}
    inner = [each for each in fields if isinstance(each.field_type, Nested)]
    items = [
        each
        for each in fields
        if isinstance(each.field_type, field_types.ListOf) and isinstance(each.field_type.item_type, Nested)
    ]
    if change == "inner" and inner + items:
        field = draw(st.sampled_from(inner + items))
        field_type: Any = field.field_type
        changed = (
            draw(near(field_type.record))
            if isinstance(field_type, Nested)
            else draw(st.lists(near(field_type.item_type.record), max_size=2))
        )
        return value | {field.name: changed}
    return value


@st.composite
def near_events(draw: Any) -> Json:
    """An event whose request is nearly one of its operation's."""
    name = draw(st.sampled_from(list(OPERATIONS)))
    event = draw(near(Event))
    return (
        event | {"operation": name, "request": draw(near(OPERATIONS[name].request))} if draw(st.booleans()) else event
    )
