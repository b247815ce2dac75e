"""`sandpiper run --session`: steps of a YAML file, their results, and approvals between them."""

from __future__ import annotations

import json
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

from sandpiper.session_file import read_session_file
from tests.support.cli import COMMAND, sandpiper
from tests.support.project import PROJECT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.product import Product

SESSION = """\
steps:
  - codeFile: programs/load.py
    inputs:
      - file: data.csv
    approval:
      message: Is the [bold]total[/] right?
  - command: cat data.csv; exit 3
    continueOnError: true
  - code: |
      open('total.txt', 'w').write(str(total))
      print('published')
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Returns a YAML file with a program and an input next to it."""
    (tmp_path / "programs").mkdir()
    (tmp_path / "programs" / "load.py").write_text("total = sum(map(int, open('data.csv')))\nprint(total)\n")
    (tmp_path / "data.csv").write_text("1\n2\n")
    (tmp_path / "nightly.yaml").write_text(SESSION)
    return tmp_path / "nightly.yaml"


def running() -> str:
    """Returns the ARN of the only running session."""
    listed = sandpiper("runs", "list", "--workflow", "run-session", "--status", "RUNNING", "--json")
    (execution,) = json.loads(listed.stdout)
    return execution["arn"]


def started(file: Path, *options: str | Path) -> subprocess.Popen[str]:
    """Starts the steps of a file, and returns the command when it waits for the approval."""
    command = [COMMAND, "run", "--session", file, *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=PROJECT)
    assert process.stderr is not None
    messages: list[str] = []
    for line in process.stderr:
        messages.append(line)
        if line.startswith("reject: "):
            return process
    raise AssertionError(f"exit code {process.wait()} before the approval: {''.join(messages)}")


def test_steps_are_shown_as_they_end_and_wait_for_an_approval(product: Product, file: Path, tmp_path: Path) -> None:
    process = started(file, "--out", tmp_path / "out")
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline() == "3\n"
    arn = running()
    approved = sandpiper("runs", "approve", arn, "--by", "ana")
    assert approved.stderr == "approved step 0: Is the [bold]total[/] right?\n"
    output, messages = process.communicate(timeout=60)
    assert (process.returncode, output) == (0, "published\n"), messages
    assert "\n1\n2\n" in messages  # the service returns the stdout of a failed command as its stderr
    assert "step 1: exit code 3, " in messages
    assert (tmp_path / "out" / "step-2" / "total.txt").read_text() == "3"
    shown = sandpiper("runs", "show", arn).stdout
    rows = shown.partition("Steps of the session\n")[2].splitlines()
    assert [row.split() for row in rows[1:4]] == [
        ["0", "0", "-", "-", "ana"],
        ["1", "3", "-", "-", "-"],
        ["2", "0", "-", "-", "-"],
    ]
    assert product.live_sessions() == []


def test_a_rejected_approval_ends_the_command_with_its_reason(product: Product, file: Path, tmp_path: Path) -> None:
    process = started(file, "--out", tmp_path / "out", "--json")
    arn = running()
    assert sandpiper("runs", "reject", arn, "--reason", "too low", "--by", "ana").returncode == 0
    output, messages = process.communicate(timeout=60)
    assert (process.returncode, messages.splitlines()[-1]) == (
        2,
        "error: ApprovalRejected: step 0 was rejected by ana: too low",
    )
    ended = json.loads(output)
    assert [step["result"]["stdout"] for step in ended["steps"]] == ["3"]
    assert (ended["status"], ended["error"]) == ("FAILED", "ApprovalRejected")
    assert product.live_sessions() == []


def test_an_interrupted_command_stops_the_session_that_waits(product: Product, file: Path) -> None:
    process = started(file)
    process.send_signal(signal.SIGINT)
    _, messages = process.communicate(timeout=60)
    assert (process.returncode, "interrupted: the execution was stopped" in messages) == (130, True), messages
    (latest,) = json.loads(sandpiper("runs", "list", "--workflow", "run-session", "--limit", "1", "--json").stdout)
    assert latest["status"] == "ABORTED"
    sandpiper("runs", "stop", latest["arn"])
    assert product.live_sessions() == []


def test_a_failed_step_is_the_exit_code_and_large_files_are_uploaded(product: Product, tmp_path: Path) -> None:
    (tmp_path / "large.bin").write_bytes(bytes(200_000))
    (tmp_path / "check.py").write_text("import os, sys\nprint(os.path.getsize('large.bin'))\nsys.exit('wrong')\n")
    file = tmp_path / "steps.yaml"
    file.write_text("steps: [{codeFile: check.py, inputs: [{file: large.bin}]}, {command: echo not reached}]\n")
    run = sandpiper("run", "--session", file, "--follow", "--out", tmp_path / "out")
    assert (run.returncode, run.stdout) == (1, "200000\n"), run.stderr
    assert run.stderr.splitlines()[-1] == "CodeFailed: step 0 of 2 ended with exit code 1"
    assert " Open session\n" in run.stderr
    assert product.live_sessions() == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "steps:\n- code: print(1)\n- comand: ls\n",
            "{file}:3: steps[1].comand is an unknown field; allowed: code, codeFile, ",
        ),
        (
            "steps:\n- command: ls\n- continueOnError: true\n",
            "{file}:3: steps[1] has neither a program nor files; ",
        ),
        ("steps:\n- code: 1\n", "{file}:2: steps[0].code is a number; allowed: a string"),
        ("steps: [\n", "{file}:2: this line is not YAML ("),
        ("steps:\n- code: a\n  code: b\n", "{file}:3: code duplicates line 2; allowed: each key once"),
        ("steps:\n- 1: a\n", "{file}:2: the key 1 is no text; allowed: keys that are text"),
        ("steps:\n- codeFile: none.py\n", "{file}:2: steps[0].codeFile: {folder}/none.py: No such file or directory"),
        ("steps:\n- codeFile: a.py\n  command: ls\n", "{file}:2: steps[0].codeFile and command exclude each other"),
        (
            "steps:\n- command: ls\n  inputs:\n  - file: none\n",
            "{file}:4: steps[0].inputs[0].file: {folder}/none is no file",
        ),
        (
            "steps:\n- command: ls\n  approval:\n    message: a\n    timeoutSeconds: 3\n",
            "{file}:5: steps[0].approval.timeoutSeconds is 3; allowed: a whole number of seconds from 60",
        ),
        ("a: &a [*a]\n", "{file}:1: this line has the alias *a inside the value that it stands for"),
        ("", "{file}: the file is empty; allowed: a mapping of steps, interpreter, sessionTimeoutSeconds"),
    ],
)
def test_an_invalid_file_is_one_message_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "steps.yaml"
    file.write_text(text)
    run = sandpiper("run", "--session", file)
    expected = "error: " + message.format(file=file, folder=tmp_path)
    (line,) = run.stderr.splitlines()
    assert (run.returncode, line[: len(expected)]) == (2, expected)


def test_the_file_of_the_page_on_workflows_is_valid(tmp_path: Path) -> None:
    section = (PROJECT / "docs" / "tenant-workflows.md").read_text().partition("### From a YAML file\n")[2]
    (tmp_path / "programs").mkdir()
    (tmp_path / "programs" / "load.py").write_text("total = 1")
    (tmp_path / "claims.csv").write_text("1")
    (tmp_path / "nightly.yaml").write_text(section.partition("```yaml\n")[2].partition("```")[0])
    request = read_session_file(tmp_path / "nightly.yaml").request
    assert [step.keys() & {"code", "command"} for step in request["steps"]] == [
        {"code"},
        {"command"},
        {"code"},
        {"code"},
    ]


def test_options_of_programs_are_refused_with_the_steps_of_a_file(file: Path) -> None:
    run = sandpiper("run", "--session", file, "--timeout", "3")
    message = "error: --timeout cannot be used here: the file of --session has the options of its steps; allowed: --"
    assert (run.returncode, run.stderr.startswith(message)) == (2, True), run.stderr
    run = sandpiper("run", "-", "--max-concurrency", "3")
    assert run.stderr == "error: --max-concurrency is an option of a batch; allowed: with --batch MANIFEST\n"
