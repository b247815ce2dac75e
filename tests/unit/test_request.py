"""What the contract takes and what it refuses: every refusal names the field, its value and what is allowed."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from sandpiper_contract.errors import ERRORS, RETRYABLE, InvalidRequest
from sandpiper_contract.request import OutputLimits, RunRequest, S3Object

CODE: dict[str, Any] = {"code": "print(1)"}


def test_code_alone_is_a_request_with_the_connectors_defaults() -> None:
    request = RunRequest.from_json(CODE)
    assert request == RunRequest(code="print(1)", language="python", session_timeout_seconds=300)
    assert request.outputs == OutputLimits(max_files=10, max_bytes=10 * 1024 * 1024)


def test_inputs_come_as_text_base64_or_address() -> None:
    request = RunRequest.from_json(
        CODE
        | {
            "inputs": [
                {"path": "a.txt", "text": "é"},
                {"path": "data/b.bin", "base64": base64.b64encode(b"\0\xff").decode()},
                {"path": "Umsatz 2026 – März.csv", "s3Uri": "s3://some-bucket/tenants/demo/inputs/x y.csv"},
            ]
        }
    )
    contents = {file.path: file.content for file in request.inputs}
    assert contents == {
        "a.txt": "é".encode(),
        "data/b.bin": b"\0\xff",
        "Umsatz 2026 – März.csv": S3Object("some-bucket", "tenants/demo/inputs/x y.csv"),
    }


@pytest.mark.parametrize("seconds", [60, 300, 28_800])
def test_session_timeouts_at_the_limits_are_taken(seconds: int) -> None:
    assert RunRequest.from_json(CODE | {"sessionTimeoutSeconds": seconds}).session_timeout_seconds == seconds


REFUSALS: list[tuple[object, str]] = [
    ("print(1)", "request is 'print(1)'; allowed: a JSON object"),
    ({}, "code is None; allowed: a string that is not empty"),
    ({"code": ""}, "code is ''; allowed: a string that is not empty"),
    ({"code": " \n\t"}, r"code is ' \n\t'; allowed: code that is more than white space"),
    ({"code": 5}, "code is 5; allowed: a string that is not empty"),
    (CODE | {"language": "perl"}, "language is 'perl'; allowed: python | javascript | typescript"),
    (
        CODE | {"sessionTimeoutSeconds": 59},
        "sessionTimeoutSeconds is 59; allowed: a whole number of seconds from 60 to 28,800",
    ),
    (
        CODE | {"sessionTimeoutSeconds": 28_801},
        "sessionTimeoutSeconds is 28801; allowed: a whole number of seconds from 60 to 28,800",
    ),
    (
        CODE | {"sessionTimeoutSeconds": True},
        "sessionTimeoutSeconds is True; allowed: a whole number of seconds from 60 to 28,800",
    ),
    (
        CODE | {"timeout": 60},
        "timeout is 60; allowed: no such field; the fields are "
        "code, language, interpreter, sessionTimeoutSeconds, inputs, outputs",
    ),
    (CODE | {"inputs": {}}, "inputs is {}; allowed: a list"),
    (
        CODE | {"inputs": [{"path": "../x", "text": ""}]},
        "inputs[0].path is '../x'; allowed: a relative path without '..', at most 255 characters",
    ),
    (
        CODE | {"inputs": [{"path": "/etc/passwd", "text": ""}]},
        "inputs[0].path is '/etc/passwd'; allowed: a relative path without '..', at most 255 characters",
    ),
    (
        CODE | {"inputs": [{"path": "a", "text": ""}, {"path": "a", "text": ""}]},
        "inputs[1].path is 'a'; allowed: each path once",
    ),
    (CODE | {"inputs": [{"path": "a"}]}, "inputs[0] is []; allowed: exactly one of text, base64, s3Uri"),
    (CODE | {"inputs": [{"path": "a", "base64": "%"}]}, "inputs[0].base64 is '%'; allowed: base64"),
    (CODE | {"inputs": [{"path": "a", "s3Uri": "b/c"}]}, "inputs[0].s3Uri is 'b/c'; allowed: s3://BUCKET/KEY"),
    (
        CODE | {"outputs": {"maxFiles": -1}},
        "outputs.maxFiles is -1; allowed: a whole number of files from 0 to 1,000",
    ),
    (
        CODE | {"outputs": {"files": 1}},
        "outputs.files is 1; allowed: no such field; the fields are maxFiles, maxBytes",
    ),
]


@pytest.mark.parametrize(("request_", "message"), REFUSALS)
def test_a_refusal_names_field_value_and_what_is_allowed(request_: object, message: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        RunRequest.from_json(request_)
    assert str(refusal.value) == message


def test_a_refusal_does_not_repeat_a_whole_program() -> None:
    with pytest.raises(InvalidRequest) as refusal:
        RunRequest.from_json(CODE | {"language": "secret" * 1000})
    assert len(str(refusal.value)) < 150


def test_only_errors_of_code_that_did_not_run_may_be_retried() -> None:
    assert set(RETRYABLE) == {"Throttled", "QuotaExceeded"}
    assert {"SessionLost", "DeadlineExceeded", "ServiceFault"} <= ERRORS.keys() - set(RETRYABLE)
