"""`sandpiper runs` and the options of `sandpiper run` for runs that continue without the command."""

from __future__ import annotations

import json
import signal
import subprocess
import time
import uuid
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from sandpiper import approvals
from tests.support.cli import COMMAND, sandpiper
from tests.support.project import PROJECT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.product import Product

PATIENCE_SECONDS = 60
FAILING = """
import sys
open('a.txt', 'w').write('a')
print('[bold]x[/] \\x1b[2J')
sys.exit(3)
"""


@pytest.fixture(scope="module")
def failed(deployed: object, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, subprocess.CompletedProcess[str]]:  # noqa: ARG001
    """Runs a failing program with --fail-on-error. Returns the ARN of its execution, and the command."""
    out = tmp_path_factory.mktemp("failed")
    run = sandpiper("run", "-", "--fail-on-error", "--follow", "--out", out, text=FAILING)
    (arn,) = [line.split()[1] for line in run.stderr.splitlines() if line.startswith("execution ")]
    return arn, run


def start(product: Product, workflow: str = "run-code", **request: Any) -> str:
    """Starts an execution as an application does, and waits for its end. Returns its ARN."""
    workflows: Any = product.session.client("stepfunctions")
    machine = product.deployment.workflows[workflow]
    arn = workflows.start_execution(stateMachineArn=machine, input=json.dumps(request))["executionArn"]
    until = time.monotonic() + PATIENCE_SECONDS
    while workflows.describe_execution(executionArn=arn)["status"] == "RUNNING":
        assert time.monotonic() < until
        time.sleep(0.1)
    return arn


def shown(arn: str) -> Any:
    """Returns the JSON of `sandpiper runs show`."""
    return json.loads(sandpiper("runs", "show", arn, "--json").stdout)


def test_a_program_that_fails_with_fail_on_error_has_its_output_and_exit_code(
    failed: tuple[str, subprocess.CompletedProcess[str]],
) -> None:
    arn, run = failed
    assert (run.returncode, run.stdout) == (1, "[bold]x[/] \x1b[2J\n"), run.stderr
    assert "a.txt" in run.stderr
    assert " RunCode\n" in run.stderr
    execution: Any = boto3.client("stepfunctions").describe_execution(executionArn=arn)
    assert (execution["status"], execution["error"]) == ("FAILED", "CodeFailed")


def test_a_failed_run_is_listed_shown_and_downloaded(
    failed: tuple[str, subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    arn, _ = failed
    name = arn.rpartition(":")[2]
    listed = sandpiper("runs", "list", "--workflow", "run-code", "--status", "failed", "--limit", "50")
    (line,) = [line for line in listed.stdout.splitlines() if line.startswith(name)]
    assert "CodeFailed" in line
    (item,) = [each for each in json.loads(sandpiper("runs", "list", "--json").stdout) if each["arn"] == arn]
    assert (item["status"], item["error"], item["workflow"]) == ("FAILED", "CodeFailed", "run-code")

    text = sandpiper("runs", "show", name)
    assert text.returncode == 0, text.stderr
    assert "\nstdout\n  [bold]x[/] �[2J\n" in text.stdout
    assert "codeCharacters" in text.stdout
    assert "sys.exit" in sandpiper("runs", "show", name, "--code").stdout
    full = shown(arn)
    assert (full["exitCode"], full["results"][0]["stdout"]) == (1, "[bold]x[/] \x1b[2J")
    assert full["estimatedUsd"] > 0
    assert (full["steps"][0]["name"], len(full["steps"][0]["attempts"])) == ("RunCode", 1)
    assert full["sessions"][0]["session"]

    followed = sandpiper("runs", "show", name, "--follow")
    assert followed.returncode == 1
    assert "RunCode: attempt 1 failed: CodeFailed" in followed.stderr
    files = sandpiper("runs", "files", name, "--out", tmp_path, "--json")
    assert [file["savedTo"] for file in json.loads(files.stdout)] == [str(tmp_path / "a.txt")], files.stderr
    (tmp_path / "a.txt").write_text("mine")
    again = sandpiper("runs", "files", name, "--out", tmp_path)
    assert (again.returncode, (tmp_path / "a.txt").read_text()) == (2, "mine")


def test_a_detached_run_continues_until_it_is_stopped(product: Product, tmp_path: Path) -> None:
    run = sandpiper("run", "-", "--detach", text="import time; time.sleep(60)")
    arn = run.stdout.strip()
    assert (run.returncode, arn.startswith("arn:")) == (0, True), run.stderr
    assert f"sandpiper runs show --follow {arn}" in run.stderr
    assert arn in [
        item["arn"] for item in json.loads(sandpiper("runs", "list", "--status", "RUNNING", "--json").stdout)
    ]
    for arguments in (("files", arn, "--out", tmp_path), ("retry", arn, "--yes")):
        refused = sandpiper("runs", *arguments)
        assert (refused.returncode, f"{arn} is running" in refused.stderr) == (2, True), refused.stderr
    follower = subprocess.Popen(
        [COMMAND, "runs", "show", arn, "--follow"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=PROJECT,
    )
    assert follower.stderr is not None
    assert "RunCode" in follower.stderr.readline()
    follower.send_signal(signal.SIGINT)
    message = follower.stderr.read()
    assert (follower.wait(30), "the execution continues" in message) == (130, True), message
    until = time.monotonic() + PATIENCE_SECONDS
    while not (live := product.live_sessions()):
        assert time.monotonic() < until
        time.sleep(0.1)

    stopped = json.loads(sandpiper("runs", "stop", arn, "--json").stdout)
    assert stopped["arn"] == arn
    assert set(stopped["sessions"]) <= set(live)  # the rule of the workflow may have stopped the session before
    assert product.live_sessions() == []
    after = shown(arn)
    assert (after["status"], [each["session"] for each in after["sessions"]]) == ("ABORTED", live)
    refused = sandpiper("runs", "retry", arn)
    assert (refused.returncode, "may have run (ABORTED)" in refused.stderr) == (2, True), refused.stderr


def test_only_code_that_has_not_run_is_repeated_without_consent(product: Product) -> None:
    invalid = start(product, code="print(1)", interpreter="none")
    retried = sandpiper("runs", "retry", invalid)
    reason = "the code of the earlier run has not run: it failed with InterpreterNotFound before\n"
    assert (retried.returncode, retried.stderr) == (0, reason)
    assert shown(retried.stdout.strip())["request"] == shown(invalid)["request"]

    done = start(product, code="print(6 * 7)", outputs={"paths": []})
    refused = sandpiper("runs", "retry", done)
    assert (refused.returncode, "may have run (SUCCEEDED)" in refused.stderr) == (2, True)
    before = product.executions()
    again = json.loads(sandpiper("runs", "retry", done, "--yes", "--json").stdout)
    assert (again["retryOf"], product.executions()) == (done, before + 1)
    followed = sandpiper("runs", "show", again["arn"], "--follow", "--json")
    assert (followed.returncode, json.loads(followed.stdout)["results"][0]["stdout"]) == (0, "42")


def test_a_command_is_followed_with_its_last_lines_and_its_files(product: Product, tmp_path: Path) -> None:
    run = sandpiper("run", "--command", "echo one; sleep 4; echo two > b.txt", "--follow", "--out", tmp_path)
    assert (run.returncode, run.stdout.strip()) == (0, "one"), run.stderr
    assert "\n  one\n" in run.stderr
    assert (tmp_path / "b.txt").read_text() == "two\n"
    assert product.live_sessions() == []


def test_an_approval_is_answered_once(product: Product, tmp_path: Path) -> None:
    workflows: Any = product.session.client("stepfunctions")
    steps = [
        {"code": "open('c.txt', 'w').write('0'); print('first')", "approval": {"message": "Send [bold]it[/]?"}},
        {"code": "open('c.txt', 'w').write('1'); print('second')"},
    ]
    machine, name = product.deployment.workflows["run-session"], f"nightly-{uuid.uuid4()}"
    started = workflows.start_execution(stateMachineArn=machine, name=name, input=json.dumps({"steps": steps}))
    until = time.monotonic() + PATIENCE_SECONDS
    while approvals.pending_approval(product.session, started["executionArn"]) is None:
        assert time.monotonic() < until
        time.sleep(0.2)
    elsewhere = {"SANDPIPER_ENVIRONMENT": "", "SANDPIPER_TENANT": "", "AWS_REGION": "", "AWS_DEFAULT_REGION": ""}
    approve = ("runs", "approve", started["executionArn"], "--by", "ana")
    approved = sandpiper(*approve, variables=elsewhere, cwd=tmp_path)
    assert (approved.returncode, approved.stderr) == (0, "approved step 0: Send [bold]it[/]?\n")
    again = sandpiper("runs", "reject", name, "--reason", "late")
    assert (again.returncode, "does not wait for an approval" in again.stderr) == (2, True), again.stderr
    followed = sandpiper("runs", "show", name, "--follow", "--json")
    shown_run = json.loads(followed.stdout)
    assert [(one["label"], one["stdout"]) for one in shown_run["results"]] == [
        ("step 0", "first"),
        ("step 1", "second"),
    ]
    assert shown_run["output"]["steps"][0]["approval"]["by"] == "ana"
    files = sandpiper("runs", "files", name, "--out", tmp_path)
    assert files.returncode == 0, files.stderr
    assert [(tmp_path / f"step-{number}" / "c.txt").read_text() for number in (0, 1)] == ["0", "1"]


def test_only_the_failed_items_of_a_batch_are_repeated(product: Product) -> None:
    bucket, prefix = product.deployment.bucket, product.deployment.prefix
    key = f"{prefix}/inputs/{uuid.uuid4()}.jsonl"
    product.session.client("s3").put_object(Bucket=bucket, Key=key, Body=b'{"n": 1}\n{"n": 0}\n{"n": 2}\n')
    code = "import json; print(6 / json.load(open('item.json'))['n'])"
    batch = start(
        product,
        workflow="run-batch",
        items={"location": f"s3://{bucket}/{key}", "format": "jsonl"},
        request={"code": code, "failOnError": True, "outputs": {"paths": []}},
    )
    refused = sandpiper("runs", "retry", batch)
    assert (refused.returncode, "the code of 1 failed item of" in refused.stderr) == (2, True), refused.stderr
    retried = sandpiper("runs", "retry", batch, "--yes")
    assert retried.returncode == 0, retried.stderr
    again = json.loads(sandpiper("runs", "show", retried.stdout.strip(), "--follow", "--json").stdout)
    assert (again["output"]["summary"]["count"], again["output"]["summary"]["failed"]) == (1, 1)
    assert again["estimatedUsd"] > 0


@pytest.mark.usefixtures("product")
def test_the_capacity_of_a_batch_is_planned_from_trial_runs_of_its_program(tmp_path: Path) -> None:
    program, item = tmp_path / "program.py", tmp_path / "item.json"
    program.write_text("import json; open('out.txt', 'w').write('x' * json.load(open('item.json')))")
    item.write_text("123")
    planned = sandpiper("capacity", "--items", "100", "--measure", program, "--item", item, "--files", "2", "--json")
    assert planned.returncode == 0, planned.stderr
    job = json.loads(planned.stdout)["job"]
    assert (job["files_per_item"], job["bytes_per_item"], job["item_bytes"]) == (2, 123, 3)
    assert 0 < job["program_seconds"] < PATIENCE_SECONDS
    program.write_text("raise SystemExit(3)")
    failed = sandpiper("capacity", "--items", "100", "--measure", program)
    assert (failed.returncode, failed.stdout) == (2, "")
    assert "error: the program ended with exit code" in failed.stderr


@pytest.mark.usefixtures("product")
@pytest.mark.parametrize("command", ["show", "files", "stop", "retry"])
def test_an_unknown_execution_is_one_message(command: str) -> None:
    for execution in ("nothing", ""):
        ended = sandpiper("runs", command, execution)
        assert (ended.returncode, ended.stdout) == (2, "")
        (message,) = ended.stderr.splitlines()
        assert message.startswith(f"error: '{execution}' is not an execution of the tenant's workflows (")
        assert "90 days" in message


def test_the_arn_of_an_execution_that_does_not_exist_is_one_message(product: Product) -> None:
    arn = product.deployment.execution_arn("none")
    ended = sandpiper("runs", "show", arn)
    assert (ended.returncode, len(ended.stderr.splitlines())) == (2, 1)
    assert f"error: {arn} does not exist; allowed: " in ended.stderr


@pytest.mark.usefixtures("product")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--workflow", "x"], "error: --workflow is 'x'; allowed: "),
        (["--status", "done"], "error: --status is 'done'; allowed: RUNNING | SUCCEEDED | FAILED | TIMED_OUT | "),
    ],
)
def test_an_unknown_filter_is_refused_with_the_allowed_values(arguments: list[str], message: str) -> None:
    ended = sandpiper("runs", "list", *arguments)
    assert (ended.returncode, ended.stderr.startswith(message)) == (2, True), ended.stderr
