"""Records created in Python are validated like records parsed from JSON, with the same messages."""

from __future__ import annotations

import dataclasses
import inspect
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from code_runner.agent_tools.results import ExecutionResult, FilesListed, FilesPushed, FilesRead, WorkspaceListing
from code_runner.agent_tools.specs import TextFile
from sandpiper_contract import field_types
from sandpiper_contract.errors import InvalidRequest
from sandpiper_contract.files import InputFile, Outputs, SkippedFile, SkipReason
from sandpiper_contract.globs import Pattern
from sandpiper_contract.handles import SessionHandle
from sandpiper_contract.records import Record, fields_of
from sandpiper_contract.requests import OpenSession, RunCode, RunInSession, StartCommand
from sandpiper_contract.s3_objects import S3Object
from tests.support.contract_values import (
    INVALID_PATHS,
    JSON,
    PATHS,
    RECORDS,
    boundary_values,
    nearly_valid,
    valid_objects,
    valid_values,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from hypothesis.strategies import SearchStrategy

TOOL_RESULTS = (FilesRead, FilesListed, FilesPushed, ExecutionResult, WorkspaceListing)
PYTHON_VALUES: SearchStrategy[object] = (
    JSON
    | st.binary(max_size=4)
    | st.builds(S3Object, st.sampled_from(["abc", "a", "abc/d", 5]), PATHS | INVALID_PATHS | st.none())
    | st.builds(Pattern, PATHS | INVALID_PATHS | st.none())
    | st.sampled_from([*SkipReason, *(reason.value for reason in SkipReason), object(), {"a"}, Outputs()])
    | valid_objects(InputFile).map(lambda value: parse_or_keep(InputFile, value))
)
ARGUMENTS = PYTHON_VALUES | st.lists(PYTHON_VALUES, max_size=2) | st.lists(PYTHON_VALUES, max_size=2).map(tuple)
"""Values that Python code may pass for a field."""


def parse_or_keep(record: type[Record], value: Any) -> object:
    """Returns the parsed record, or the value itself if it is not valid."""
    try:
        return record.from_json(value)
    except InvalidRequest:
        return value


def without_validation(record: type[Record], values: dict[str, object]) -> Record:
    created = object.__new__(record)
    vars(created).update(values)
    return created


def survives_round_trip(created: Record) -> bool:
    """Returns whether serializing and parsing a record returns an equal record."""
    try:
        return type(created).from_json(created.to_json()) == created
    except (InvalidRequest, AttributeError, TypeError, ValueError):
        return False


@pytest.mark.parametrize("record", RECORDS.values(), ids=RECORDS)
def test_a_record_parsed_from_json_equals_the_record_created_in_python(record: type[Record]) -> None:
    outcomes = set[bool]()

    @settings(deadline=None, max_examples=40)
    @given(nearly_valid(record))
    def check(value: Any) -> None:
        parsed = parse_or_keep(record, value)
        outcomes.add(isinstance(parsed, record))
        if isinstance(parsed, record):
            created = record(**vars(parsed))
            assert created == parsed
            assert hash(created) == hash(parsed)
            assert created.to_json() == parsed.to_json()
            return
        names = {field.name: field.attribute for field in fields_of(record)}
        plain = {names[name]: member for name, member in value.items() if name in names}
        known = len(plain) == len(value) and None not in plain.values()  # null is never valid; None means absent
        if known and all(field.attribute in plain for field in fields_of(record) if field.required):
            with pytest.raises(InvalidRequest):
                record(**plain)

    check()
    assert outcomes == {True, False}


@pytest.mark.parametrize("record", [record for record in RECORDS.values() if fields_of(record)])
def test_a_record_accepts_exactly_the_values_that_survive_a_round_trip(record: type[Record]) -> None:
    outcomes = set[bool]()

    @settings(deadline=None, max_examples=100, derandomize=True)  # random examples can lack one of the outcomes
    @given(st.data())
    def check(data: st.DataObject) -> None:
        value = data.draw(valid_objects(record))
        parsed = parse_or_keep(record, value)
        if not isinstance(parsed, record):
            return
        field = data.draw(st.sampled_from(fields_of(record)))
        unchanged = st.just(getattr(parsed, field.attribute))
        argument = data.draw(unchanged | ARGUMENTS | valid_values(field.field_type) | boundary_values(field.field_type))
        values = vars(parsed) | {field.attribute: argument}
        try:
            created = record(**values)
        except InvalidRequest as error:
            assert any(part in str(error) for part in ("; allowed: ", "not allowed: ", "unpaired surrogate"))
            outcomes.add(False)
            assert not survives_round_trip(without_validation(record, values))
        else:
            outcomes.add(True)
            assert survives_round_trip(created)

    check()
    assert outcomes == {True, False}


@pytest.mark.parametrize("record", [*RECORDS.values(), *TOOL_RESULTS, TextFile])
def test_a_default_is_valid_for_its_field_type(record: type[Record]) -> None:
    """Records use defaults without validation."""
    for field in fields_of(record):
        if field.default is not None:
            assert field.field_type.validate(field.name, field.default) == field.default


def test_a_parsed_record_is_not_validated_again(monkeypatch: pytest.MonkeyPatch) -> None:
    value = {"code": "1", "inputs": [{"path": "a", "text": "b"}], "outputs": {"maxFiles": 1}}
    parsed = RunCode.from_json(value)

    def validate(*_: object) -> None:
        raise AssertionError("validated again")

    for field_type in (
        field_types.Text,
        field_types.Utf8,
        field_types.RelativePath,
        field_types.Integer,
        field_types.ListOf,
    ):
        monkeypatch.setattr(field_type, "validate", validate)
    assert RunCode.from_json(value) == parsed
    with pytest.raises(AssertionError):
        RunCode(code="1")


def test_numbers_lists_and_enum_members_are_normalized_like_parsed_ones() -> None:
    created = Outputs(paths=[Pattern("a")], max_files=3.0)  # pyright: ignore[reportArgumentType]
    assert created.to_json() == Outputs.from_json({"paths": ["a"], "maxFiles": 3}).to_json()
    assert isinstance(created.paths, tuple)
    assert SkippedFile("a", 1, "no such file").reason is SkipReason.NOT_FOUND  # pyright: ignore[reportArgumentType]


class Undecodable(bytes):
    """Content that validation must not decode."""

    def decode(self, *_: object, **__: object) -> str:
        raise AssertionError("decoded")


def test_validation_does_not_decode_binary_content() -> None:
    assert InputFile.from_bytes("a", Undecodable(b"\xff")).data == b"\xff"


SESSION = SessionHandle("sandbox", "1")
BLANK = "a string that is not blank"
LANGUAGES = "python | javascript | typescript"
INVALID: dict[str, tuple[Callable[..., Record], dict[str, Any]]] = {
    "paths[0] is a string of 5 characters; allowed: Pattern": (Outputs, {"paths": ("a.txt",)}),
    "maxFiles is -1; allowed: a whole number of files from 0 to 1,000": (Outputs, {"max_files": -1}),
    "outputs.figures is true; allowed: only if language is python": (
        RunCode,
        {"code": "1", "language": "javascript", "outputs": Outputs(figures=True)},
    ),
    "base64 is a string of 4 characters; allowed: bytes": (InputFile.from_bytes, {"path": "x", "data": "text"}),
    "text is 1 bytes; allowed: bytes that are valid UTF-8": (InputFile, {"path": "x", "text": b"\xff"}),
    "inputs[0] is an object of 1; allowed: InputFile": (RunCode, {"code": "1", "inputs": [{"path": "a"}]}),
    "sessionTimeoutSeconds is '60'; allowed: a whole number of seconds from 60 to 28,800": (
        OpenSession,
        {"session_timeout_seconds": "60"},
    ),
    f"language is 'ruby'; allowed: {LANGUAGES}": (RunCode, {"code": "1", "language": "ruby"}),
    f"language is 5; allowed: {LANGUAGES}": (RunCode, {"code": "1", "language": 5}),
    f"language is null; allowed: {LANGUAGES}": (RunCode, {"code": "1", "language": None}),
    f"code is a number; allowed: {BLANK}": (RunCode, {"code": 5}),
    "outputs is an object of 0; allowed: Outputs": (RunInSession, {"session": SESSION, "code": "1", "outputs": {}}),
    "runtime is 'ruby', but language is python; allowed: python": (StartCommand, {"code": "1", "runtime": "ruby"}),
    "s3Uri is 's3://a/b'; allowed: s3://BUCKET/KEY, BUCKET 3 to 63 of a-z 0-9 . - and KEY without control characters": (
        InputFile,
        {"path": "x", "s3_uri": S3Object("a", "b")},
    ),
    "s3Prefix is 's3://abc/b', which does not end with a slash; allowed: s3://BUCKET/FOLDER/": (
        InputFile,
        {"path": "x", "s3_prefix": S3Object("abc", "b")},
    ),
}


@pytest.mark.parametrize(("message", "invalid"), INVALID.items(), ids=INVALID)
def test_an_error_states_field_value_and_allowed_values(
    message: str, invalid: tuple[Callable[..., Record], dict[str, Any]]
) -> None:
    create, fields = invalid
    with pytest.raises(InvalidRequest) as error:
        create(**fields)
    assert str(error.value) == message


def test_a_record_follows_its_signature_and_is_immutable() -> None:
    assert list(inspect.signature(SkippedFile).parameters) == [field.attribute for field in fields_of(SkippedFile)]
    create: Any = SkippedFile
    created = create("a", 1, reason=SkipReason.CHANGED)
    assert (created.path, created.size, created.reason) == ("a", 1, SkipReason.CHANGED)
    assert dataclasses.replace(created, size=2) == create("a", 2, SkipReason.CHANGED)
    keyword_only: Any = RunCode
    for call in (lambda: create("a"), lambda: create("a", 1, SkipReason.CHANGED, 2), lambda: keyword_only("1")):
        with pytest.raises(TypeError):
            call()
    with pytest.raises(dataclasses.FrozenInstanceError):
        created.path = "b"
    with pytest.raises(dataclasses.FrozenInstanceError):
        del created.path
