"""Records that Python code makes are held to what those are held to that are read from JSON, in the same words."""

from __future__ import annotations

import dataclasses
import inspect
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from code_runner.agent_tools.results import FilesRead, Listed, Pushed, Ran, WorkspaceListing
from code_runner.agent_tools.specs import TextFile
from sandpiper_contract import field_types
from sandpiper_contract.errors import InvalidRequest
from sandpiper_contract.field_types import S3Object
from sandpiper_contract.files import InputFile, Outputs, Pattern, SkippedFile, SkipReason
from sandpiper_contract.handles import SessionHandle
from sandpiper_contract.records import Record, fields_of
from sandpiper_contract.requests import OpenSession, RunCode, RunInSession, StartCommand
from tests.unit.contract_values import JSON, ODD_PATHS, PATHS, RECORDS, edges, near, objects, of

if TYPE_CHECKING:
    from collections.abc import Callable

    from hypothesis.strategies import SearchStrategy

OF_TOOLS = (FilesRead, Listed, Pushed, Ran, WorkspaceListing)
ONE_OF_EACH: SearchStrategy[object] = (
    JSON
    | st.binary(max_size=4)
    | st.builds(S3Object, st.sampled_from(["abc", "a", "abc/d", 5]), PATHS | ODD_PATHS | st.none())
    | st.builds(Pattern, PATHS | ODD_PATHS | st.none())
    | st.sampled_from([*SkipReason, *(reason.value for reason in SkipReason), object(), {"a"}, Outputs()])
    | objects(InputFile).map(lambda value: record_of(InputFile, value))
)
TYPED = ONE_OF_EACH | st.lists(ONE_OF_EACH, max_size=2) | st.lists(ONE_OF_EACH, max_size=2).map(tuple)
"""Whatever Python code may give for a field."""


def record_of(record: type[Record], value: Any) -> object:
    """The record, or the value itself where it is none."""
    try:
        return record.from_json(value)
    except InvalidRequest:
        return value


def unchecked(record: type[Record], values: dict[str, object]) -> Record:
    made = object.__new__(record)
    vars(made).update(values)
    return made


def comes_back(made: Record) -> bool:
    """Whether writing and reading gives the same."""
    try:
        return type(made).from_json(made.to_json()) == made
    except (InvalidRequest, AttributeError, TypeError, ValueError):
        return False


@pytest.mark.parametrize("record", RECORDS.values(), ids=RECORDS)
def test_what_is_read_from_json_can_be_made_in_python_and_is_equal(record: type[Record]) -> None:
    taken = set[bool]()

    @settings(deadline=None, max_examples=100)
    @given(near(record))
    def check(value: Any) -> None:
        found = record_of(record, value)
        taken.add(isinstance(found, record))
        if isinstance(found, record):
            made = record(**vars(found))
            assert made == found
            assert hash(made) == hash(found)
            assert made.to_json() == found.to_json()
            return
        names = {field.name: field.attribute for field in fields_of(record)}
        plain = {names[name]: member for name, member in value.items() if name in names}
        known = len(plain) == len(value) and None not in plain.values()  # null is no field's, and None is "not there"
        if known and all(field.attribute in plain for field in fields_of(record) if field.required):
            with pytest.raises(InvalidRequest):
                record(**plain)

    check()
    assert taken == {True, False}


@pytest.mark.parametrize("record", RECORDS.values(), ids=RECORDS)
def test_a_record_is_made_only_of_values_that_writing_and_reading_gives_again(record: type[Record]) -> None:
    taken = set[bool]()

    @settings(deadline=None, max_examples=150)
    @given(st.data())
    def check(data: st.DataObject) -> None:
        value = data.draw(objects(record))
        found = record_of(record, value)
        if not isinstance(found, record):
            return
        field = data.draw(st.sampled_from(fields_of(record)))
        right = st.just(getattr(found, field.attribute))
        wild = data.draw(right | TYPED | of(field.field_type) | edges(field.field_type))
        values = vars(found) | {field.attribute: wild}
        try:
            made = record(**values)
        except InvalidRequest as refusal:
            assert "; allowed: " in str(refusal) or "not allowed: " in str(refusal) or "half a surr" in str(refusal)
            taken.add(False)
            assert not comes_back(unchecked(record, values))
        else:
            taken.add(True)
            assert comes_back(made)

    check()
    assert taken == {True, False}


@pytest.mark.parametrize("record", [*RECORDS.values(), *OF_TOOLS, TextFile])
def test_a_default_is_what_its_kind_takes(record: type[Record]) -> None:
    """So that it is taken as it is, which a record of defaults is mostly made of."""
    for field in fields_of(record):
        if field.default is not None:
            assert field.field_type.validate(field.name, field.default) == field.default


def test_what_is_read_is_not_checked_a_second_time(monkeypatch: pytest.MonkeyPatch) -> None:
    value = {"code": "1", "inputs": [{"path": "a", "text": "b"}], "outputs": {"maxFiles": 1}}
    found = RunCode.from_json(value)

    def check(*_: object) -> None:
        raise AssertionError("checked again")

    for field_type in (
        field_types.Text,
        field_types.Utf8,
        field_types.RelativePath,
        field_types.Integer,
        field_types.ListOf,
    ):
        monkeypatch.setattr(field_type, "validate", check)
    assert RunCode.from_json(value) == found
    with pytest.raises(AssertionError):
        RunCode(code="1")


def test_numbers_and_lists_are_as_reading_makes_them() -> None:
    made = Outputs(paths=[Pattern("a")], max_files=3.0)  # pyright: ignore[reportArgumentType]
    assert made.to_json() == Outputs.from_json({"paths": ["a"], "maxFiles": 3}).to_json()
    assert isinstance(made.paths, tuple)
    assert SkippedFile("a", 1, "no such file").reason is SkipReason.NOT_FOUND  # pyright: ignore[reportArgumentType]


class Unread(bytes):
    """Content that nobody may look at only to check it."""

    def decode(self, *_: object, **__: object) -> str:
        raise AssertionError("looked at")


def test_bytes_are_not_carried_through_base64_to_be_checked() -> None:
    assert InputFile.from_bytes("a", Unread(b"\xff")).data == b"\xff"


SESSION = SessionHandle("sandbox", "1")
WHITE = "a string that is more than white space"
LANGUAGES = "python | javascript | typescript"
WRONG: dict[str, tuple[Callable[..., Record], dict[str, Any]]] = {
    "paths[0] is a string of 5 characters; allowed: Pattern": (Outputs, {"paths": ("a.txt",)}),
    "maxFiles is -1; allowed: a whole number of files from 0 to 1,000": (Outputs, {"max_files": -1}),
    "outputs.figures is true; allowed: only where language is python": (
        RunCode,
        {"code": "1", "language": "javascript", "outputs": Outputs(figures=True)},
    ),
    "base64 is a string of 4 characters; allowed: bytes": (InputFile.from_bytes, {"path": "x", "data": "text"}),
    "text is 1 bytes; allowed: bytes that are text in UTF-8": (InputFile, {"path": "x", "text": b"\xff"}),
    "inputs[0] is an object of 1; allowed: InputFile": (RunCode, {"code": "1", "inputs": [{"path": "a"}]}),
    "sessionTimeoutSeconds is '60'; allowed: a whole number of seconds from 60 to 28,800": (
        OpenSession,
        {"session_timeout_seconds": "60"},
    ),
    f"language is 'ruby'; allowed: {LANGUAGES}": (RunCode, {"code": "1", "language": "ruby"}),
    f"language is 5; allowed: {LANGUAGES}": (RunCode, {"code": "1", "language": 5}),
    f"language is null; allowed: {LANGUAGES}": (RunCode, {"code": "1", "language": None}),
    f"code is a number; allowed: {WHITE}": (RunCode, {"code": 5}),
    "outputs is an object of 0; allowed: Outputs": (RunInSession, {"session": SESSION, "code": "1", "outputs": {}}),
    "runtime is 'ruby' where language is python; allowed: python": (StartCommand, {"code": "1", "runtime": "ruby"}),
    "s3Uri is 's3://a/b'; allowed: s3://BUCKET/KEY, BUCKET 3 to 63 of a-z 0-9 . - and KEY without control characters": (
        InputFile,
        {"path": "x", "s3_uri": S3Object("a", "b")},
    ),
    "s3Prefix is 's3://abc/b', without a slash at its end; allowed: s3://BUCKET/FOLDER/": (
        InputFile,
        {"path": "x", "s3_prefix": S3Object("abc", "b")},
    ),
}


@pytest.mark.parametrize(("message", "wrong"), WRONG.items(), ids=WRONG)
def test_a_refusal_names_field_value_and_what_is_allowed(
    message: str, wrong: tuple[Callable[..., Record], dict[str, Any]]
) -> None:
    make, fields = wrong
    with pytest.raises(InvalidRequest) as refusal:
        make(**fields)
    assert str(refusal.value) == message


def test_a_record_is_made_as_its_signature_says_and_stays_as_it_is() -> None:
    assert list(inspect.signature(SkippedFile).parameters) == [field.attribute for field in fields_of(SkippedFile)]
    makes: Any = SkippedFile
    made = makes("a", 1, reason=SkipReason.CHANGED)
    assert (made.path, made.size, made.reason) == ("a", 1, SkipReason.CHANGED)
    assert dataclasses.replace(made, size=2) == makes("a", 2, SkipReason.CHANGED)
    needs: Any = RunCode
    for make in (lambda: makes("a"), lambda: makes("a", 1, SkipReason.CHANGED, 2), lambda: needs("1")):
        with pytest.raises(TypeError):
            make()
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.path = "b"
    with pytest.raises(dataclasses.FrozenInstanceError):
        del made.path
