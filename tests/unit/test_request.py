"""Requests that the contract accepts and rejects. Each error states the field, its value and the allowed values."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from sandpiper_contract.errors import ERRORS, RETRYABLE, InvalidRequest
from sandpiper_contract.files import Outputs
from sandpiper_contract.requests import RunCode
from sandpiper_contract.s3_objects import S3Object

CODE: dict[str, Any] = {"code": "print(1)"}
FIELDS = (
    "code, codeS3Uri, language, runtime, interpreter, timeoutSeconds, sessionTimeoutSeconds, inputs, outputs, "
    "failOnError"
)
OUTPUTS = "paths, maxFiles, maxBytes, figures, linkSeconds, maxResultBytes"
CONTENTS = "text, base64, s3Uri, s3Prefix"
SECONDS = "a whole number of seconds from 60 to 28,800"
PATH = "a relative path of at most 255 characters, no control characters, no part that is '.', '..' or empty"
UNIQUE = "unique paths, none below another file"
ADDRESS = "s3://BUCKET/KEY, BUCKET 3 to 63 of a-z 0-9 . - and KEY without control characters"


def test_a_request_with_code_only_has_the_defaults_of_the_connector() -> None:
    request = RunCode.from_json(CODE)
    assert request == RunCode(code="print(1)", language="python", session_timeout_seconds=None)
    assert request.outputs == Outputs(max_files=10, max_bytes=10 * 1024 * 1024)


def test_input_content_is_text_base64_or_an_s3_address() -> None:
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
def test_session_timeouts_at_the_limits_are_accepted(seconds: int) -> None:
    assert RunCode.from_json(CODE | {"sessionTimeoutSeconds": seconds}).session_timeout_seconds == seconds


INVALID: list[tuple[object, str]] = [
    ("print(1)", "request is a string of 8 characters; allowed: a JSON object"),
    ({}, "none of code, codeS3Uri is set; allowed: exactly one of them"),
    (
        CODE | {"codeS3Uri": "s3://bucket/program.py"},
        "code and codeS3Uri are set; allowed: exactly one of code, codeS3Uri",
    ),
    ({"Code": "print(1)"}, f"Code is an unknown field; allowed: {FIELDS}"),
    *(
        (
            CODE | {"inputs": [{"path": "in", "s3Prefix": f"s3://bucket/{key}"}]},
            f"inputs[0].s3Prefix is 's3://bucket/{shown}; allowed: s3://BUCKET/FOLDER/",
        )
        for key, shown in (
            ("", "', which has no folder"),
            ("/", "/', which has no folder"),
            ("tenants", "tenants', which does not end with a slash"),
            ("t" * 60, f"{'t' * 46}…, which does not end with a slash"),
        )
    ),
    (
        CODE | {"inputs": [{"path": "in", "s3Uri": f"s3://bucket/{'k' * 2000}"}]},
        f"inputs[0].s3Uri is 's3://bucket/{'k' * 46}… of 2,012 characters; allowed: "
        "s3://BUCKET/KEY of at most 1,093 characters",
    ),
    (CODE | {"runtime": "python3"}, "runtime is 'python3', but language is python; allowed: python"),
    (CODE | {"runtime": "deno"}, "runtime is 'deno', but language is python; allowed: python"),
    (
        CODE | {"runtime": "python", "language": "typescript"},
        "runtime is 'python', but language is typescript; allowed: deno | nodejs",
    ),
    (CODE | {"runtime": 3}, "runtime is 3; allowed: deno | nodejs | python"),
    ({"code": ""}, "code is empty; allowed: a string that is not blank"),
    ({"code": " \n\t"}, "code is a string of 3 characters; allowed: a string that is not blank"),
    ({"code": {"password": "x"}}, "code is an object of 1; allowed: a string that is not blank"),
    (CODE | {"language": "perl"}, "language is 'perl'; allowed: python | javascript | typescript"),
    (CODE | {"sessionTimeoutSeconds": 59}, f"sessionTimeoutSeconds is 59; allowed: {SECONDS}"),
    (CODE | {"sessionTimeoutSeconds": 28_801}, f"sessionTimeoutSeconds is 28801; allowed: {SECONDS}"),
    (CODE | {"sessionTimeoutSeconds": True}, f"sessionTimeoutSeconds is True; allowed: {SECONDS}"),
    (
        CODE | {"timeoutSeconds": 841},
        "timeoutSeconds is 841; allowed: a whole number of seconds from 1 to 840",
    ),
    (
        CODE | {"timeoutSeconds": 41, "sessionTimeoutSeconds": 60},
        "timeoutSeconds is 41; allowed: at most 40 seconds, which is sessionTimeoutSeconds less 20",
    ),
    (CODE | {"timeout": 60}, f"timeout is an unknown field; allowed: {FIELDS}"),
    (CODE | {"inputs": {}}, "inputs is an object of 0; allowed: a list"),
    (CODE | {"inputs": [{"path": "x", "text": ""}] * 101}, "inputs is a list of 101; allowed: a list of at most 100"),
    (CODE | {"inputs": [{"path": "../x", "text": ""}]}, f"inputs[0].path is '../x'; allowed: {PATH}"),
    (CODE | {"inputs": [{"path": "/etc/passwd", "text": ""}]}, f"inputs[0].path is '/etc/passwd'; allowed: {PATH}"),
    (CODE | {"inputs": [{"path": "a\ud800", "text": ""}]}, f"inputs[0].path is 'a\\ud800'; allowed: {PATH}"),
    (CODE | {"inputs": [{"path": "a", "text": ""}] * 2}, f"inputs[1].path is 'a'; allowed: {UNIQUE}"),
    (
        CODE | {"inputs": [{"path": "a", "text": ""}, {"path": "a/b", "text": ""}]},
        f"inputs[1].path is 'a/b'; allowed: {UNIQUE}",
    ),
    (
        CODE | {"inputs": [{"path": "a/b", "text": ""}, {"path": "a", "text": ""}]},
        f"inputs[1].path is 'a'; allowed: {UNIQUE}",
    ),
    (
        CODE | {"inputs": [{"path": "я" * 128, "text": ""}]},
        f"inputs[0].path is '{'я' * 58}…; allowed: names of at most 255 bytes in UTF-8",
    ),
    (CODE | {"inputs": [{"path": "a"}]}, f"inputs[0]: none of {CONTENTS} is set; allowed: exactly one of them"),
    (
        CODE | {"inputs": [{"path": "a", "base64": "%"}]},
        "inputs[0].base64 is a string of 1 characters; allowed: a base64 string",
    ),
    (
        CODE | {"inputs": [{"path": "a", "base64": "AAAA="}]},
        "inputs[0].base64 is a string of 5 characters; allowed: a base64 string",
    ),
    (
        CODE | {"inputs": [{"path": "a", "text": 7}]},
        "inputs[0].text is a number; allowed: a string that can be encoded as UTF-8",
    ),
    (CODE | {"inputs": [{"path": "a", "s3Uri": "b/c"}]}, f"inputs[0].s3Uri is 'b/c'; allowed: {ADDRESS}"),
    (
        CODE | {"inputs": [{"path": "a", "s3Uri": "s3://bucket/\ud800"}]},
        f"inputs[0].s3Uri is 's3://bucket/\\ud800'; allowed: {ADDRESS}",
    ),
    (CODE | {"outputs": {"maxFiles": -1}}, "outputs.maxFiles is -1; allowed: a whole number of files from 0 to 1,000"),
    (CODE | {"outputs": {"files": 1}}, f"outputs.files is an unknown field; allowed: {OUTPUTS}"),
]


@pytest.mark.parametrize(("request_", "message"), INVALID)
def test_an_error_states_field_value_and_allowed_values(request_: object, message: str) -> None:
    with pytest.raises(InvalidRequest) as error:
        RunCode.from_json(request_)
    assert str(error.value) == message


SECRET = "hunter2" * 20


@pytest.mark.parametrize("field", ["code", "language", "inputs", "interpreter"])
@pytest.mark.parametrize("value", [{"password": SECRET}, [SECRET], {SECRET: 1}, 7 * [{"path": "a", "text": [SECRET]}]])
def test_an_error_does_not_repeat_code_or_data(field: str, value: object) -> None:
    with pytest.raises(InvalidRequest) as error:
        RunCode.from_json({**CODE, field: value})
    assert "hunter2" not in str(error.value)


def test_only_errors_before_the_code_ran_are_retryable() -> None:
    assert set(RETRYABLE) == {"Throttled", "QuotaExceeded", "NotStarted", "RunUnderWay"}
    assert {"SessionLost", "DeadlineExceeded", "ServiceFault"} <= ERRORS.keys() - set(RETRYABLE)
