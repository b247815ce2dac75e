"""`sandpiper runs`: executions, steps and tables from the responses of Step Functions."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from unittest.mock import Mock

import boto3
import botocore.session
import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.parsers import create_parser
from typer.testing import CliRunner

from sandpiper import deployment
from sandpiper.cli import app
from sandpiper.cli.demo import FinishedBatch, print_batch
from sandpiper.cli.output import PlainConsole
from sandpiper.cli.run_options import RunOptions
from sandpiper.cli.runs.batch import batch_exit_code
from sandpiper.cli.runs.reconnection import interrupted
from sandpiper.cli.runs.tables import print_list, print_run
from sandpiper.deployment import Deployment
from sandpiper.errors import CliError
from sandpiper.execution_control import require_workflow
from sandpiper.names import tenant_of_state_machine
from sandpiper.runs.as_json import run_json
from sandpiper.runs.batches import FailedItem, failed_items
from sandpiper.runs.cost import estimated_usd, with_prices
from sandpiper.runs.executions import Execution, from_description
from sandpiper.runs.files import DownloadedRun
from sandpiper.runs.finding import find_execution
from sandpiper.runs.follow import new_text, progress_lines
from sandpiper.runs.history import last_output, steps_of
from sandpiper.runs.listing import list_executions
from sandpiper.runs.retrying import NOT_RUN
from sandpiper.runs.session_progress import finished_steps, waits_for_approval
from sandpiper_contract.errors import ERRORS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from sandpiper.runs.history import Step

MACHINE = "arn:aws:states:eu-west-1:123456789012:stateMachine:sandpiper-prod-claims-run-code"
ARN = f"{MACHINE.replace('stateMachine', 'execution')}:daily-1"
DEPLOYMENT = Deployment("123456789012", "", MACHINE, "data", "tenants/claims", {"a": "a-1"}, {"run-code": MACHINE})
START = 1_795_000_000
FORGED = "a\x1b[2J[bold]b[/] :smile:\nStatus  SUCCEEDED"
RESULT = {
    "stdout": FORGED,
    "stderr": "",
    "exitCode": 3,
    "executionTimeMs": 60_000.0,
    "files": [{"path": "x\n\x1b]0;t", "contentType": "text/plain", "size": 9, "s3Uri": "s3://b/k", "sha256": ""}],
    "skipped": [],
}
MODEL = botocore.session.get_session().get_service_model("stepfunctions")


def parsed(operation: str, response: Mapping[str, Any]) -> Any:
    """Returns a response as boto3 does: members that the service's model does not have are dropped."""
    shape: Any = MODEL.operation_model(operation).output_shape
    return create_parser("json").parse(
        {"status_code": 200, "headers": {}, "body": json.dumps(response).encode()}, shape
    )


def described(*, workflow: str = "run-code", **values: Any) -> Execution:
    response = {"executionArn": ARN, "name": "daily-1", "status": "SUCCEEDED", "startDate": START}
    return from_description(parsed("DescribeExecution", {**response, **values}), workflow)


def event(number: int, previous: int, kind: str, **details: Any) -> dict[str, Any]:
    return {"id": number, "previousEventId": previous, "type": kind, "timestamp": START + number, **details}


def entered(number: int, previous: int, kind: str, name: str) -> dict[str, Any]:
    details = {"name": name, "input": "{}", "inputDetails": {"truncated": False}}
    return event(number, previous, f"{kind}StateEntered", stateEnteredEventDetails=details)


def exited(number: int, previous: int, kind: str, name: str, output: object) -> dict[str, Any]:
    details = {"name": name, "output": json.dumps(output), "outputDetails": {"truncated": False}}
    return event(number, previous, f"{kind}StateExited", stateExitedEventDetails=details)


def steps(*events: dict[str, Any]) -> list[Step]:
    return steps_of(parsed("GetExecutionHistory", {"events": events})["events"])


def printed_run(execution: Execution, found: list[Step] | None = None, *, with_code: bool = False) -> str:
    file = io.StringIO()
    print_run(PlainConsole(file=file, width=100), execution, found or [], [], with_code=with_code)
    return file.getvalue()


THROTTLED = {"error": "Throttled", "cause": json.dumps({"errorMessage": "rate exceeded", "errorType": "Throttled"})}
TASK = {"resourceType": "lambda", "resource": "invoke"}
RETRIED = (
    event(1, 0, "ExecutionStarted", executionStartedEventDetails={"input": "{}", "roleArn": "r"}),
    entered(2, 0, "Task", "RunCode"),
    event(3, 2, "TaskScheduled", taskScheduledEventDetails={**TASK, "region": "eu-west-1", "parameters": "{}"}),
    event(4, 3, "TaskStarted", taskStartedEventDetails=TASK),
    event(5, 4, "TaskFailed", taskFailedEventDetails={**TASK, **THROTTLED}),
    event(6, 5, "TaskScheduled", taskScheduledEventDetails={**TASK, "region": "eu-west-1", "parameters": "{}"}),
    event(7, 6, "TaskStarted", taskStartedEventDetails=TASK),
    event(8, 7, "TaskSucceeded", taskSucceededEventDetails={**TASK, "output": "{}"}),
    exited(9, 8, "Task", "RunCode", {}),
    event(10, 9, "ExecutionSucceeded", executionSucceededEventDetails={"output": "{}"}),
)
"""A history in the form of https://docs.aws.amazon.com/step-functions/latest/apireference/API_HistoryEvent.html."""


def test_a_step_has_its_attempts_with_their_errors() -> None:
    (step,) = steps(*RETRIED)
    assert (step.name, step.type, step.seconds) == ("RunCode", "Task", 7.0)
    assert [(one.error, one.message) for one in step.attempts] == [("Throttled", "rate exceeded"), ("", "")]
    assert [one.ended and one.ended - one.started for one in step.attempts] == [timedelta(seconds=2)] * 2


def test_events_of_parallel_branches_belong_to_their_own_states() -> None:
    first, second = steps(
        entered(2, 0, "Task", "A"),
        entered(3, 0, "Task", "B"),
        event(4, 2, "LambdaFunctionScheduled", lambdaFunctionScheduledEventDetails={"resource": "f"}),
        event(5, 3, "LambdaFunctionScheduled", lambdaFunctionScheduledEventDetails={"resource": "f"}),
        event(6, 4, "LambdaFunctionTimedOut", lambdaFunctionTimedOutEventDetails={}),
        exited(7, 5, "Task", "B", {}),
    )
    assert ([one.error for one in first.attempts], first.exited) == (["States.Timeout"], None)
    assert ([one.error for one in second.attempts], second.seconds) == ([""], 4.0)


def test_progress_only_adds_lines() -> None:
    for count in range(len(RETRIED)):
        before, after = progress_lines(steps(*RETRIED[:count])), progress_lines(steps(*RETRIED[: count + 1]))
        assert after[: len(before)] == before
    assert [line[9:] for line in progress_lines(steps(*RETRIED))] == [
        "RunCode",
        "RunCode: attempt 1 failed: Throttled: rate exceeded",
    ]


def test_the_last_lines_of_a_command_are_those_of_the_last_poll_until_it_ends() -> None:
    polls = [
        entered(2, 0, "Task", "Poll"),
        exited(3, 2, "Task", "Poll", {"ended": False, "stdout": "1\n", "stderr": ""}),
        entered(4, 3, "Task", "Poll"),
        exited(5, 4, "Task", "Poll", {"ended": False, "stdout": "1\n2\n", "stderr": "w\n"}),
        entered(6, 5, "Wait", "Wait"),
    ]
    assert last_output(steps(*polls)) == ("1\n2\n", "w\n")
    assert last_output(steps(*polls[:1], exited(3, 2, "Task", "Poll", {"ended": True, "stdout": "1\n"}))) is None
    shown = printed_run(described(status="RUNNING"), steps(*polls))
    assert "\nLast lines of stdout\n  1\n  2\n" in shown


@pytest.mark.parametrize(
    ("before", "now", "new"),
    [
        ("", "1\n", "1\n"),
        ("1\n", "1\n", ""),
        ("1\n2\n3\n", "2\n3\n4\n", "4\n"),
        ("1\n2", "1\n23", "3"),
        ("1\n1\n", "1\n1\n1\n", "1\n"),
        ("1\n2\n", "8\n9\n", "8\n9\n"),
    ],
)
def test_only_new_lines_of_a_running_command_are_shown(before: str, now: str, new: str) -> None:
    assert new_text(before, now) == new


def test_an_execution_has_the_results_of_its_programs() -> None:
    one = described(output=json.dumps(RESULT))
    assert (one.exit_code, [result.label for result in one.results]) == (3, [""])
    steps_output = {"steps": [{"index": 0, "result": RESULT}, {"index": 1, "error": "Throttled"}]}
    several = described(output=json.dumps(steps_output))
    assert [result.label for result in several.results] == ["step 0"]
    session = {"errorMessage": "step 1 failed", "errorType": "CodeFailed", "steps": steps_output["steps"]}
    failed_session = described(status="FAILED", error="CodeFailed", cause=json.dumps(session))
    assert (failed_session.message, len(failed_session.results)) == ("step 1 failed", 1)
    failed = described(status="FAILED", output='{"Error": "x"}', error="SessionLost")  # as in the embedded AWS
    assert (failed.results, failed.output) == ([], None)


@pytest.mark.parametrize("output", ["", "1", "[]", '{"stdout": 1}', "not JSON"])
def test_an_output_of_another_form_has_no_result(output: str) -> None:
    execution = described(output=output)
    assert (execution.exit_code, execution.results) == (None, [])
    assert "exit code" not in printed_run(execution)


def test_a_report_cannot_be_imitated_and_does_not_control_the_terminal() -> None:
    forged: dict[str, Any] = {"status": "FAILED", "stopDate": START + 5, "error": "E\n\x1b[2J", "cause": FORGED}
    shown = printed_run(described(output=json.dumps(RESULT), stopDate=START + 5)) + printed_run(described(**forged))
    assert "\x1b" not in shown
    assert "  a�[2J[bold]b[/] :smile:\n  Status  SUCCEEDED\n" in shown
    assert "\nStatus" not in shown
    assert "\nx��]0;t  text/plain  9 B   s3://b/k" in shown
    assert "E��[2J: a�[2J[bold]b[/] :smile:�Status  SUCCEEDED\n" in shown


def test_a_list_is_one_line_for_each_execution() -> None:
    file = io.StringIO()
    ended = described(output=json.dumps(RESULT), stopDate=START + 3_600, name=FORGED)
    failed = described(status="FAILED", stopDate=START + 1, error="Error\n" * 50)
    print_list(PlainConsole(file=file, width=20), [ended, failed])
    header, first, second, end = file.getvalue().split("\n")
    assert end == ""
    assert header.split() == [
        "name",
        "workflow",
        "status",
        "started",
        "duration",
        "exit",
        "code",
        "error",
        "est.",
        "cost",
    ]
    assert first.split("  ")[-1].strip() == "$0.010942"  # a minute of a processor and an hour of a gigabyte
    assert " 1 h  " in first
    assert "�[2J[bold]b[/] :smile:�Status  SUCCEEDED" in first
    assert "Error�Error�" in second
    assert len(second) < 300


def test_the_demo_shows_the_summary_and_the_failed_items_of_its_batch() -> None:
    summary = {"count": 20, "succeeded": 18, "failed": 2, "programsFailed": 0, "p50Ms": 12.0, "p95Ms": 40.0}
    summary |= {"failures": [{"name": "CodeFailed", "count": 2}], "sessionSeconds": 21.0, "calls": 62, "bytes": 0}
    ended = described(workflow="run-batch", output=json.dumps({"summary": summary}), stopDate=START + 9)
    failed = [FailedItem(index, "CodeFailed", "the program ended with exit code 1") for index in (4, 17)]
    file = io.StringIO()
    print_batch(PlainConsole(file=file, width=100), FinishedBatch(DownloadedRun(ended), failed))
    lines = [line.split() for line in file.getvalue().splitlines() if line]
    assert lines[0] == ["examples/claim_reserve.py", "for", "each", "line", "of", "examples/claims.jsonl"]
    assert [row[:2] for row in lines if row[0] in {"items", "errors", "4", "17"}] == [
        ["items", "2/20"],
        ["errors", "2"],
        ["4", "CodeFailed"],
        ["17", "CodeFailed"],
    ]
    assert "sandpiper runs show" not in file.getvalue()  # nothing can be shown, because the embedded AWS has ended


def test_a_session_has_a_line_for_each_step() -> None:
    entries = [
        {"index": 0, "stateLost": False, "result": RESULT, "approval": {"by": FORGED, "at": ""}},
        {"index": 1, "stateLost": True, "error": "Throttled", "cause": "rate exceeded"},
    ]
    session = described(workflow="run-session", output=json.dumps({"steps": entries}), stopDate=START + 9)
    _, first, second, *_ = printed_run(session).partition("Steps of the session\n")[2].splitlines()
    assert first.startswith("0     3          -                         -           a�[2J[bold]b[/] :smile:�Status")
    assert second.rstrip() == "1     -          Throttled: rate exceeded  yes         -"


def test_the_finished_steps_of_a_running_session_are_known_from_its_states() -> None:
    failed = {**TASK, "error": "StorageError", "cause": json.dumps({"errorMessage": "no object"})}
    states = steps(
        entered(1, 0, "Task", "Run step"),
        event(2, 1, "TaskScheduled", taskScheduledEventDetails={**TASK, "region": "eu-west-1", "parameters": "{}"}),
        exited(3, 2, "Task", "Run step", RESULT),
        entered(4, 3, "Task", "Run step"),
        event(5, 4, "TaskScheduled", taskScheduledEventDetails={**TASK, "region": "eu-west-1", "parameters": "{}"}),
        event(6, 5, "TaskFailed", taskFailedEventDetails=failed),
        exited(7, 6, "Task", "Run step", {"Error": "StorageError"}),
        entered(8, 7, "Pass", "Record error"),
        exited(9, 8, "Pass", "Record error", {}),
        entered(10, 9, "Task", "Wait for approval"),
    )
    assert [(step.index, step.result and step.result["exitCode"], step.error) for step in finished_steps(states)] == [
        (0, 3, ""),
        (1, None, "StorageError: no object"),
    ]
    for visited, waits in ((states, True), (states[:-1], False)):
        assert waits_for_approval(visited) == waits
        file, running = io.StringIO(), described(workflow="run-session", status="RUNNING")
        print_run(PlainConsole(file=file, width=100), running, visited, [], with_code=False)
        assert (f"an approval: sandpiper runs approve {ARN}" in file.getvalue()) == waits
        assert run_json(running, visited, [], with_code=False)["waitsForApproval"] == waits


@pytest.mark.parametrize(
    ("summary", "status", "code"),
    [
        ({"failed": 0, "programsFailed": 0}, "SUCCEEDED", 0),
        ({"failed": 0, "programsFailed": 1}, "SUCCEEDED", 1),
        ({"failed": 1, "programsFailed": 0}, "SUCCEEDED", 1),
        ({"failed": 0, "programsFailed": 0}, "FAILED", 2),
        (None, "FAILED", 2),
    ],
)
def test_the_exit_code_of_a_batch_is_that_of_its_worst_item(
    summary: dict[str, int] | None, status: str, code: int
) -> None:
    batch = replace(described(workflow="run-batch", status=status, stopDate=START + 9), summary=summary)
    assert batch_exit_code(batch) == code
    assert batch_exit_code(batch, tolerated=True) == (0 if code == 1 else code)


def test_only_the_first_failed_items_are_read() -> None:
    lines = ({"index": index, "result": {"exitCode": index % 2}} for index in range(100))
    assert [item.index for item in failed_items(lines, 50)] == list(range(1, 20, 2))
    assert next(lines)["index"] == 20
    only = [{"index": 0, "error": {"name": "SessionLost", "message": "m"}}]
    assert failed_items(only, 1) == [FailedItem(0, "SessionLost", "m")]


def test_programs_and_files_are_shown_only_on_request() -> None:
    request = {"code": "SECRET", "steps": [{"code": "SECRET"}], "inputs": [{"path": "a", "text": "SECRET"}]}
    execution = described(input=json.dumps(request))
    assert "SECRET" not in printed_run(execution) + json.dumps(run_json(execution, [], [], with_code=False))
    assert '"codeCharacters": 6' in printed_run(execution)
    assert printed_run(execution, with_code=True).count("SECRET") == 3
    assert json.dumps(run_json(execution, [], [], with_code=True)).count("SECRET") == 3


def test_an_unfinished_run_has_no_estimated_cost_and_a_batch_that_of_its_summary() -> None:
    summary = {"count": 9, "failed": 1, "programsFailed": 2, "estimatedUsd": 12.5}
    batch = described(workflow="run-batch", output=json.dumps({"summary": summary}), stopDate=START + 9)
    assert run_json(batch, [], [], with_code=False)["estimatedUsd"] == 12.5
    assert batch.failed_items == 3
    assert run_json(described(status="RUNNING"), [], [], with_code=False)["estimatedUsd"] is None


def test_a_run_without_usage_has_the_prices_of_its_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "one.yaml").write_text(
        "name: one\naccount: '111122223333'\nregion: eu-west-1\nowner: tests\ninterpreters: {run: {}}\n"
        "prices: {vcpu_hour: 3.6, gb_hour: 0}\n"
    )
    result: dict[str, Any] = {"stdout": "", "stderr": "", "exitCode": 0, "files": [], "executionTimeMs": 2000}
    old = described(output=json.dumps(result), stopDate=START + 9)
    new = described(output=json.dumps({**result, "usage": {"sessionSeconds": 1, "estimatedUsd": 0.5}}))
    file = str(tmp_path / "one.yaml")
    assert [estimated_usd(each) for each in with_prices([old, new], file)] == [0.002, 0.5]
    monkeypatch.setattr(deployment, "prices_of", None)
    assert estimated_usd(*with_prices([new], file)) == 0.5, "the file is not read if all executions state their cost"


def test_errors_after_which_code_has_not_run_are_those_that_state_it() -> None:
    states_it = re.compile(r"The code has not run\.|before the code ran\.")
    assert set(NOT_RUN) == {name for name, error in ERRORS.items() if states_it.search(error.__doc__ or "")}


@pytest.mark.parametrize(
    ("arn", "message"),
    [
        ("arn:aws:s3:::bucket", "is not the ARN of an execution"),
        (ARN.replace("123456789012", "210987654321"), "of account 210987654321; allowed: executions of account 1234"),
        (ARN.replace("eu-west-1", "us-east-1"), "of region us-east-1; allowed: executions of region eu-west-1"),
        (ARN.replace("-claims-", "-other-"), "of state machine sandpiper-prod-other-run-code; allowed: executions of"),
        (ARN.replace(":execution:", ":express:") + ":1", "is an Express execution, which Step Functions does not keep"),
    ],
)
def test_an_execution_of_others_is_refused_without_a_call(arn: str, message: str) -> None:
    with pytest.raises(CliError, match=message):
        find_execution(boto3.Session("key", "secret", region_name="eu-west-1"), DEPLOYMENT, arn)


@pytest.mark.parametrize(
    ("machine", "named"),
    [
        ("sandpiper-prod-claims-run-session", ("prod", "claims")),
        ("sandpiper-prod-card-claims-run-code-express", ("prod", "card-claims")),
        ("sandpiper-prod-x-run-run-code", ("prod", "x-run")),
        ("sandpiper-prod-run-code", None),
        ("sandpiper-prod-claims-report", None),
        ("my-sandpiper-prod-claims-run-code", None),
    ],
)
def test_a_state_machine_names_its_environment_and_tenant(machine: str, named: tuple[str, str] | None) -> None:
    assert tenant_of_state_machine(machine) == named


@pytest.mark.parametrize(
    ("execution", "environment", "tenant", "expected"),
    [
        (ARN, None, None, ("prod", "claims", "eu-west-1")),
        (ARN, None, "other", ("prod", "other", "eu-west-1")),
        (ARN, "envs/prod.yaml", None, ("envs/prod.yaml", "claims", "ap-south-1")),
        (ARN, "dev", "x", ("dev", "x", "ap-south-1")),
        (f"{ARN[:-7]}/Items:child-1", None, None, ("prod", "claims", "eu-west-1")),
        ("daily-1", "dev", "x", ("dev", "x", "ap-south-1")),
        ("arn:aws:s3:::bucket", "dev", "x", ("dev", "x", "ap-south-1")),
    ],
)
def test_the_arn_of_an_execution_replaces_missing_options(
    execution: str,
    environment: str | None,
    tenant: str | None,
    expected: tuple[str, str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_REGION", "ap-south-1")
    searched = list[tuple[str, str, str | None]]()

    def find(session: boto3.Session, environment: str, tenant: str, remedy: str | None = None) -> Deployment:  # noqa: ARG001
        searched.append((environment, tenant, session.region_name))
        return DEPLOYMENT

    monkeypatch.setattr(deployment, "find", find)
    deployment.connect_for(execution, environment, tenant)
    assert searched == [expected]


def test_the_commands_after_an_interruption_have_the_options_of_the_command() -> None:
    message = interrupted(ARN, "envs/my prod.yaml", "claims")
    assert f"sandpiper runs show --follow {ARN} -e 'envs/my prod.yaml' --tenant claims\n" in message


@pytest.mark.parametrize("workflow", ["run-batch", "run-session", "run-command"])
def test_a_workflow_that_the_tenant_does_not_have_is_one_message_with_the_remedy(workflow: str) -> None:
    with pytest.raises(CliError) as raised:
        require_workflow(DEPLOYMENT, workflow)
    assert str(raised.value) == (
        f"the tenant has no workflow {workflow}; deployed: run-code. Add it to `workflows` of the tenant in the "
        "environment file, and deploy it"
    )


@pytest.mark.parametrize("options", [["--batch", "items.jsonl", "-"], ["--session", "steps.yaml"], ["--command", "ls"]])
def test_a_command_for_a_missing_workflow_starts_nothing(
    options: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "items.jsonl").write_text("1\n")
    (tmp_path / "steps.yaml").write_text("steps:\n  - code: print(1)\n")
    monkeypatch.chdir(tmp_path)
    session = boto3.Session("key", "secret", region_name="eu-west-1")
    monkeypatch.setattr(session, "client", None)  # any call of AWS fails
    monkeypatch.setattr(RunOptions, "session", Mock(return_value=session))
    monkeypatch.setattr(RunOptions, "find_tenant", Mock(return_value=DEPLOYMENT))
    ended = CliRunner().invoke(app, ["run", *options], input="print(1)")
    workflow = {"--batch": "run-batch", "--session": "run-session", "--command": "run-command"}[options[0]]
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert ended.stderr.startswith(f"error: the tenant has no workflow {workflow}; deployed: run-code. Add it")


class _Archive:
    """Answers ListExecutions and DescribeExecution for thousands of executions, which no test can create."""

    def __init__(self, per_workflow: int) -> None:
        self.per_workflow = per_workflow
        self.calls: list[str] = []

    def __call__(self, request: Any, **_: object) -> AWSResponse:
        operation = request.headers["X-Amz-Target"].decode().rpartition(".")[2]
        self.calls.append(operation)
        parameters = json.loads(request.body)
        if operation == "DescribeExecution":
            name = parameters["executionArn"].rpartition(":")[2]
            return self._respond({"status": "FAILED", "error": name, **self._item(parameters["executionArn"])})
        if "express" in parameters["stateMachineArn"]:
            return self._respond({"__type": "StateMachineTypeNotSupported", "message": "express"}, 400)
        first = int(parameters.get("nextToken", 0))
        last = min(first + parameters["maxResults"], self.per_workflow)
        prefix = parameters["stateMachineArn"].replace("stateMachine", "execution")
        page: dict[str, Any] = {"executions": [self._item(f"{prefix}:{number}") for number in range(first, last)]}
        return self._respond(page | ({"nextToken": str(last)} if last < self.per_workflow else {}))

    @staticmethod
    def _item(arn: str) -> dict[str, Any]:
        number, late = int(arn.rpartition(":")[2]), "late" in arn
        at = START - 10 * number + (5 if late else 0)
        return {"executionArn": arn, "name": str(number), "status": "FAILED", "startDate": at, "stopDate": at}

    @staticmethod
    def _respond(body: Mapping[str, Any], status: int = 200) -> AWSResponse:
        class Raw(io.BytesIO):
            def stream(self, **_: object) -> Any:
                yield self.read()

        return AWSResponse("http://states", status, HTTPHeaders(), Raw(json.dumps(body).encode()))


@pytest.mark.parametrize(("limit", "pages"), [(20, 2), (1_500, 2)])
def test_the_most_recent_of_thousands_of_executions_are_read_page_by_page(limit: int, pages: int) -> None:
    archive = _Archive(per_workflow=5_000)
    session = boto3.Session("key", "secret", region_name="eu-west-1")
    events: Any = session.events
    events.register("before-send.sfn.*", archive)
    machines = {"run-code": MACHINE, "late": f"{MACHINE}-late", "x": f"{MACHINE}-express"}
    found = list_executions(session, DEPLOYMENT, machines, limit)
    assert [(one.workflow, one.error) for one in found[:4]] == [
        ("late", "0"),
        ("run-code", "0"),
        ("late", "1"),
        ("run-code", "1"),
    ]
    assert len(found) == limit
    assert archive.calls.count("ListExecutions") == pages + 1
    assert archive.calls.count("DescribeExecution") == limit


def test_a_time_is_shown_in_utc() -> None:
    execution = described(stopDate=START + 1)
    assert f"{datetime.fromtimestamp(START, UTC):%Y-%m-%d %H:%M:%S UTC}" in printed_run(execution)
