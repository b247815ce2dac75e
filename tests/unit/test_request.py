"""What the contract takes and what it refuses: every refusal names the field, its value and what is allowed."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from sandpiper_contract.errors import ERRORS, RETRYABLE, InvalidRequest
from sandpiper_contract.field_types import S3Object
from sandpiper_contract.files import Outputs
from sandpiper_contract.requests import RunCode

CODE: dict[str, Any] = {"code": "print(1)"}
FIELDS = "code, codeS3Uri, language, runtime, interpreter, sessionTimeoutSeconds, inputs, outputs, failOnError"
OUTPUTS = "paths, maxFiles, maxBytes, figures, linkSeconds"
CONTENTS = "text, base64, s3Uri, s3Prefix"
SECONDS = "a whole number of seconds from 60 to 28,800"
PATH = "a relative path of at most 255 characters, no control characters, no part that is '.', '..' or empty"
ONCE = "each path once, and no file where another needs a folder"
ADDRESS = "s3://BUCKET/KEY, BUCKET 3 to 63 of a-z 0-9 . - and KEY without control characters"


def test_code_alone_is_a_request_with_the_connectors_defaults() -> None:
    request = RunCode.from_json(CODE)
    assert request == RunCode(code="print(1)", language="python", session_timeout_seconds=None)
    assert request.outputs == Outputs(max_files=10, max_bytes=10 * 1024 * 1024)


def test_inputs_come_as_text_base64_or_address() -> None:
    request = RunCode.from_json(
        CODE
        | {
            "inputs": [
                {"path": "a.txt", "text": "é"},
                {"path": "data/b.bin", "base64": base64.b64encode(b"\0\xff").decode()},
                {"path": "Umsatz 2026 – März.csv", "s3Uri": "s3://some-bucket/tenants/demo/inputs/x y.csv"},
            ]
        }
    )
    contents = {file.path: file.data if file.data is not None else file.s3_uri for file in request.inputs}
    assert contents == {
        "a.txt": "é".encode(),
        "data/b.bin": b"\0\xff",
        "Umsatz 2026 – März.csv": S3Object("some-bucket", "tenants/demo/inputs/x y.csv"),
    }


@pytest.mark.parametrize("seconds", [60, 300, 28_800])
def test_session_timeouts_at_the_limits_are_taken(seconds: int) -> None:
    assert RunCode.from_json(CODE | {"sessionTimeoutSeconds": seconds}).session_timeout_seconds == seconds


REFUSALS: list[tuple[object, str]] = [
    ("print(1)", "request is a string of 8 characters; allowed: a JSON object"),
    ({}, "none of code, codeS3Uri is given; allowed: exactly one of them"),
    (
        CODE | {"codeS3Uri": "s3://bucket/program.py"},
        "code and codeS3Uri are given; allowed: exactly one of code, codeS3Uri",
    ),
    ({"Code": "print(1)"}, f"Code is not a field; the fields are {FIELDS}"),
    *(
        (
            CODE | {"inputs": [{"path": "in", "s3Prefix": f"s3://bucket/{key}"}]},
            f"inputs[0].s3Prefix is 's3://bucket/{shown}; allowed: s3://BUCKET/FOLDER/",
        )
        for key, shown in (
            ("", "', which names no folder"),
            ("/", "/', which names no folder"),
            ("tenants", "tenants', without a slash at its end"),
            ("t" * 60, f"{'t' * 46}…, without a slash at its end"),
        )
    ),
    (
        CODE | {"inputs": [{"path": "in", "s3Uri": f"s3://bucket/{'k' * 2000}"}]},
        f"inputs[0].s3Uri is 's3://bucket/{'k' * 46}… of 2,012 characters; allowed: "
        "s3://BUCKET/KEY of at most 1,093 characters",
    ),
    (CODE | {"runtime": "python3"}, "runtime is 'python3' where language is python; allowed: python"),
    (CODE | {"runtime": "deno"}, "runtime is 'deno' where language is python; allowed: python"),
    (
        CODE | {"runtime": "python", "language": "typescript"},
        "runtime is 'python' where language is typescript; allowed: deno | nodejs",
    ),
    (CODE | {"runtime": 3}, "runtime is 3; allowed: deno | nodejs | python"),
    ({"code": ""}, "code is empty; allowed: a string that is more than white space"),
    ({"code": " \n\t"}, "code is a string of 3 characters; allowed: a string that is more than white space"),
    ({"code": {"password": "x"}}, "code is an object of 1; allowed: a string that is more than white space"),
    (CODE | {"language": "perl"}, "language is 'perl'; allowed: python | javascript | typescript"),
    (CODE | {"sessionTimeoutSeconds": 59}, f"sessionTimeoutSeconds is 59; allowed: {SECONDS}"),
    (CODE | {"sessionTimeoutSeconds": 28_801}, f"sessionTimeoutSeconds is 28801; allowed: {SECONDS}"),
    (CODE | {"sessionTimeoutSeconds": True}, f"sessionTimeoutSeconds is True; allowed: {SECONDS}"),
    (CODE | {"timeout": 60}, f"timeout is not a field; the fields are {FIELDS}"),
    (CODE | {"inputs": {}}, "inputs is an object of 0; allowed: a list"),
    (CODE | {"inputs": [{"path": "x", "text": ""}] * 101}, "inputs is a list of 101; allowed: a list of at most 100"),
    (CODE | {"inputs": [{"path": "../x", "text": ""}]}, f"inputs[0].path is '../x'; allowed: {PATH}"),
    (CODE | {"inputs": [{"path": "/etc/passwd", "text": ""}]}, f"inputs[0].path is '/etc/passwd'; allowed: {PATH}"),
    (CODE | {"inputs": [{"path": "a\ud800", "text": ""}]}, f"inputs[0].path is 'a\\ud800'; allowed: {PATH}"),
    (CODE | {"inputs": [{"path": "a", "text": ""}] * 2}, f"inputs[1].path is 'a'; allowed: {ONCE}"),
    (
        CODE | {"inputs": [{"path": "a", "text": ""}, {"path": "a/b", "text": ""}]},
        f"inputs[1].path is 'a/b'; allowed: {ONCE}",
    ),
    (
        CODE | {"inputs": [{"path": "a/b", "text": ""}, {"path": "a", "text": ""}]},
        f"inputs[1].path is 'a'; allowed: {ONCE}",
    ),
    (CODE | {"inputs": [{"path": "a"}]}, f"inputs[0]: none of {CONTENTS} is given; allowed: exactly one of them"),
    (
        CODE | {"inputs": [{"path": "a", "base64": "%"}]},
        "inputs[0].base64 is a string of 1 characters; allowed: a string in base64",
    ),
    (
        CODE | {"inputs": [{"path": "a", "base64": "AAAA="}]},
        "inputs[0].base64 is a string of 5 characters; allowed: a string in base64",
    ),
    (
        CODE | {"inputs": [{"path": "a", "text": 7}]},
        "inputs[0].text is a number; allowed: a string that UTF-8 can hold",
    ),
    (CODE | {"inputs": [{"path": "a", "s3Uri": "b/c"}]}, f"inputs[0].s3Uri is 'b/c'; allowed: {ADDRESS}"),
    (
        CODE | {"inputs": [{"path": "a", "s3Uri": "s3://bucket/\ud800"}]},
        f"inputs[0].s3Uri is 's3://bucket/\\ud800'; allowed: {ADDRESS}",
    ),
    (CODE | {"outputs": {"maxFiles": -1}}, "outputs.maxFiles is -1; allowed: a whole number of files from 0 to 1,000"),
    (CODE | {"outputs": {"files": 1}}, f"outputs.files is not a field; the fields are {OUTPUTS}"),
]


@pytest.mark.parametrize(("request_", "message"), REFUSALS)
def test_a_refusal_names_field_value_and_what_is_allowed(request_: object, message: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        RunCode.from_json(request_)
    assert str(refusal.value) == message


SECRET = "hunter2" * 20


@pytest.mark.parametrize("field", ["code", "language", "inputs", "interpreter"])
@pytest.mark.parametrize("value", [{"password": SECRET}, [SECRET], {SECRET: 1}, 7 * [{"path": "a", "text": [SECRET]}]])
def test_a_refusal_does_not_repeat_code_or_data(field: str, value: object) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        RunCode.from_json({**CODE, field: value})
    assert "hunter2" not in str(refusal.value)


def test_only_errors_of_code_that_did_not_run_may_be_retried() -> None:
    assert set(RETRYABLE) == {"Throttled", "QuotaExceeded", "RunUnderWay"}
    assert {"SessionLost", "DeadlineExceeded", "ServiceFault"} <= ERRORS.keys() - set(RETRYABLE)
