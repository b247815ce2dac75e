"""Fingerprints of requests are stable across releases and differ for different requests and runs."""

from __future__ import annotations

from typing import Annotated

from code_runner.idempotency.fingerprint import fingerprints
from sandpiper_contract.field_types import Boolean, ListOf, Text
from sandpiper_contract.files import InputFile, Outputs
from sandpiper_contract.records import Nested, Record, record
from sandpiper_contract.requests import RunCode, RunCommand
from sandpiper_contract.run import Run

RUN = Run("arn:aws:states:eu-west-1:123456789012:execution:flow:daily-1", "Run")


@record
class Part(Record):
    """A record in a request."""

    name: Annotated[str, Text(), "A name."]


@record
class Request(Record):
    """A request of this release."""

    one: Annotated[Part, Nested(Part), "A part."]
    more: Annotated[tuple[Part, ...], ListOf(Nested(Part), 9), "Parts."] = ()


@record
class NextPart(Record):
    """The same part in the next release, which has more fields."""

    name: Annotated[str, Text(), "A name."]
    uppercase: Annotated[bool, Boolean(), "New."] = False


@record
class NextRequest(Record):
    """The same request in the next release, which has more fields."""

    one: Annotated[NextPart, Nested(NextPart), "A part."]
    more: Annotated[tuple[NextPart, ...], ListOf(Nested(NextPart), 9), "Parts."] = ()
    quick: Annotated[bool, Boolean(), "New."] = False


NextRequest.__name__ = Request.__name__


def test_new_optional_fields_do_not_change_fingerprints() -> None:
    request = {"one": {"name": "a"}, "more": [{"name": "b"}]}
    known, _ = fingerprints(RUN, Request.from_json(request))
    assert fingerprints(RUN, NextRequest.from_json(request))[0] == known
    assert fingerprints(RUN, NextRequest.from_json(request | {"quick": False}))[0] == known
    assert fingerprints(RUN, NextRequest.from_json(request | {"quick": True}))[0] != known
    assert fingerprints(RUN, NextRequest.from_json(request | {"one": {"name": "a", "uppercase": True}}))[0] != known


def test_different_requests_and_runs_have_different_fingerprints() -> None:
    requests: list[tuple[Run, Record]] = [
        (RUN, RunCode(code="1")),
        (RUN, RunCode(code="2")),
        (RUN, RunCommand(command="1")),
        (RUN, RunCode(code="1", outputs=Outputs(max_files=1))),
        (RUN, RunCode(code="1", inputs=(InputFile.from_bytes("a", b"1"),))),
        (RUN, RunCode(code="1", inputs=(InputFile.from_bytes("a", b"2"),))),
        (Run(RUN.execution, "Run", started="2026-11-21T07:00:00.000Z"), RunCode(code="1")),
        (Run(RUN.execution, "Run", started="2027-03-01T07:00:00.000Z"), RunCode(code="1")),
        (Run(RUN.execution.replace("eu-west-1", "eu-west-3"), "Run"), RunCode(code="1")),
        (Run(RUN.execution.replace("1234", "4321"), "Run"), RunCode(code="1")),
    ]
    assert len({fingerprints(*request)[0] for request in requests}) == len(requests)
