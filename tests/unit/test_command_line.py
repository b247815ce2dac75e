"""The examples in the help of `sandpiper run` are valid, and its errors name flags instead of fields."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from sandpiper.cli import app, run
from sandpiper.cli.run_flags import BATCH_FLAGS, FLAGS, in_flags, location_as_flag
from sandpiper_contract.batches import RunBatch
from sandpiper_contract.files import Outputs
from sandpiper_contract.records import fields_of
from sandpiper_contract.requests import RunCode

COMMAND: Any = get_command(app)
RUN = COMMAND.commands["run"]
EXAMPLES = [found[1] for found in re.finditer(r"sandpiper run (.*?)(?: \| .*)?$", run.EXAMPLES, re.MULTILINE)]
OPTIONS = {option for parameter in RUN.params for option in parameter.opts}


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_in_the_help_is_valid(example: str) -> None:
    parameters = RUN.make_context("run", shlex.split(example)).params
    assert parameters["file"] or parameters["command"] or parameters["session_file"]


def test_every_field_of_a_request_has_a_flag() -> None:
    """Except `code`, which is FILE, and `outputs.maxResultBytes`, which is for workflows with several results."""
    assert len(EXAMPLES) == 13
    fields = {field.name for field in fields_of(RunCode)} - {"outputs", "code"}
    outputs = {f"outputs.{field.name}" for field in fields_of(Outputs)} - {"outputs.maxResultBytes"}
    assert fields | outputs == set(FLAGS)
    batch = {field.name for field in fields_of(RunBatch)} - {"request", "items"}
    assert batch | {"items.location", "items.format"} == set(BATCH_FLAGS)
    assert {*FLAGS.values(), *BATCH_FLAGS.values()} - {"FILE"} <= OPTIONS


def test_the_run_code_page_has_every_option() -> None:
    page = (Path(__file__).parents[2] / "docs" / "run-code.md").read_text()
    assert {option for option in OPTIONS if not re.search(f"`{option}[` ]", page)} == {"-e", "file"}


@pytest.mark.parametrize(
    ("error", "message"),
    [
        ("outputs.maxFiles is 9; allowed: 1", "--max-files is 9; allowed: 1"),
        ("inputs[3].path is '../inputs'; allowed: x", "--input is '../inputs'; allowed: x"),
        (
            "outputs.figures is true; allowed: only if language is python",
            "--figures is true; allowed: only if --language is python",
        ),
        (
            "codeS3Uri is 's3://b/language'; allowed: objects below s3://b/tenants/a/inputs/",
            "FILE is 's3://b/language'; allowed: objects below s3://b/tenants/a/inputs/",
        ),
        ("request.timeoutSeconds is 0; allowed: 1", "--timeout is 0; allowed: 1"),
        ("itemsPerSession is 0; allowed: 1", "--items-per-session is 0; allowed: 1"),
        ("items.location is 'a'; allowed: b", "--batch is 'a'; allowed: b"),
        (
            "inputs[0].s3Uri s3://b/inputs/runtime: the object does not exist",
            "--input s3://b/inputs/runtime: the object does not exist",
        ),
    ],
)
def test_an_error_names_flags_instead_of_fields(error: str, message: str) -> None:
    assert in_flags(error) == message


@pytest.mark.parametrize(
    ("failure", "message"),
    [
        ("InvalidRequest: interpreter is 'a'; allowed: sandbox", "--interpreter is 'a'; allowed: sandbox"),
        (
            "InvalidRequest: codeS3Uri s3://b/language: not UTF-8 at byte 3; allowed: a program in UTF-8",
            "FILE s3://b/language: not UTF-8 at byte 3; allowed: a program in UTF-8",
        ),
        ("inputs[3].s3Uri is outside s3://b/inputs/", "--input is outside s3://b/inputs/"),
        (
            "SessionLost: running the code: ValidationException: Code interpreter session 01 is not active; it may",
            "SessionLost: running the code: ValidationException: Code interpreter session 01 is not active; it may",
        ),
        (
            "StorageError: inputs[0].s3Uri s3://b/inputs/a: the object does not exist",
            "StorageError: --input s3://b/inputs/a: the object does not exist",
        ),
        ("InvalidRequest: inputs[0] is 1; allowed: an object", "--input is 1; allowed: an object"),
        ("InvalidRequest: language models are unavailable", "language models are unavailable"),
    ],
)
def test_a_message_of_the_service_is_not_changed(failure: str, message: str) -> None:
    assert location_as_flag(failure) == message


@pytest.mark.parametrize(
    ("redirection", "message"),
    [
        (">&-", "error: standard output is closed; nothing was run\n"),
        (">/dev/full", "error: standard output cannot be written: No space left on device\n"),
        ("2>&-", ""),
        ("| true", ""),
    ],
)
def test_an_output_that_cannot_be_written_is_one_message(redirection: str, message: str) -> None:
    command = f"{shlex.quote(sys.executable)} -m sandpiper --version {redirection}"
    process = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert process.stderr == message
    assert process.returncode == (2 if message else 0)


def test_closed_standard_input_is_an_empty_program() -> None:
    command = f"{shlex.quote(sys.executable)} -m sandpiper run - <&-"
    process = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert process.stderr == "error: standard input: the program is empty; allowed: a program\n"
    assert process.returncode == 2
