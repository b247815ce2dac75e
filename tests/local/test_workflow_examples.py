"""The example workflows, deployed by the CDK CLI to the embedded AWS: results, errors and live sessions."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from local_agentcore.faults import Rule
from sandpiper.cdk_cli import PROJECT
from tests.support.cdk_commands import cdk
from tests.support.target import ON_AWS

if TYPE_CHECKING:
    from collections.abc import Generator

    from local_agentcore.admin_client import FaultInjector

pytestmark = pytest.mark.skipif(ON_AWS, reason="it deploys the examples and injects faults")

EXAMPLES = PROJECT / "examples"
PATIENCE_SECONDS = 120
CSV = "Status,Amount\nRejected,45000\nApproved,12000\nApproved,3000\n"


@dataclass(frozen=True)
class Workflows:
    """The deployed stack's outputs."""

    outputs: dict[str, str]

    def run(self, name: str, **request: Any) -> Any:
        """Runs a workflow to its end. Returns its output, or its error as `failed`."""
        workflows: Any = boto3.client("stepfunctions")
        execution = workflows.start_execution(
            stateMachineArn=self.outputs[f"{name}Arn"], name=str(uuid.uuid4()), input=json.dumps(request)
        )["executionArn"]
        until = time.monotonic() + PATIENCE_SECONDS
        while (ended := workflows.describe_execution(executionArn=execution))["status"] == "RUNNING":
            assert time.monotonic() < until, workflows.get_execution_history(executionArn=execution)["events"][-3:]
            time.sleep(0.1)
        return json.loads(ended["output"]) if ended["status"] == "SUCCEEDED" else {"failed": ended["error"]}

    def live(self) -> list[Any]:
        """Returns live sessions."""
        data: Any = boto3.client("bedrock-agentcore")
        interpreter = self.outputs["InterpreterId"]
        return data.list_code_interpreter_sessions(codeInterpreterIdentifier=interpreter, status="READY")["items"]

    def size(self, uri: str) -> int:
        """Returns the size of an object in bytes."""
        bucket, key = uri.removeprefix("s3://").split("/", 1)
        return boto3.client("s3").head_object(Bucket=bucket, Key=key)["ContentLength"]


@pytest.fixture(scope="module")
def stack(
    bootstrapped: None,  # noqa: ARG001
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, str]:
    """Deploys the stack of the examples with the command of the page. Returns its outputs."""
    assembly = str(tmp_path_factory.mktemp("cdk.out"))
    app = f"{sys.executable} {EXAMPLES / 'workflows' / 'app.py'}"
    cdk(["deploy", "--app", app, "--require-approval", "never", "--output", assembly], PROJECT, print)
    deployed: Any = boto3.client("cloudformation").describe_stacks(StackName="workflow-examples")["Stacks"][0]
    return {output["OutputKey"]: output["OutputValue"] for output in deployed["Outputs"]}


@pytest.fixture
def workflows(stack: dict[str, str]) -> Generator[Workflows]:
    """Returns the workflows. Asserts that no session runs after the test."""
    workflows = Workflows(stack)
    yield workflows
    assert workflows.live() == []


@pytest.mark.parametrize(
    ("example", "printed", "files"),
    [
        ("claims_total", "Total claims: $44,700", []),
        ("bar_chart", "Chart saved", [("chart.png", "image/png")]),
        ("csv_report", "Report created", [("claims.csv", "text/csv")]),
    ],
)
def test_connector_assigns_its_result_to_variables(
    workflows: Workflows, example: str, printed: str, files: list[tuple[str, str]]
) -> None:
    variables = workflows.run("Connector", code=(EXAMPLES / f"{example}.py").read_text())
    assert variables.keys() == {"codeResult", "output", "files"}
    result = variables["codeResult"]
    assert (result["stdout"], result["stderr"], result["exitCode"]) == (printed, "", 0)
    assert 0 < result["executionTimeMs"] < 60_000
    assert (variables["output"], variables["files"]) == (printed, result["files"])
    assert [(file["name"], file["contentType"]) for file in variables["files"]] == files
    assert [file["size"] for file in variables["files"]] == [workflows.size(file["s3Uri"]) for file in result["files"]]


VARIABLE_NUMBERS = {"executionTimeMs", "size", "seen", "ends", "started", "calls", "sessionSeconds", "estimatedUsd"}
"""Fields whose number differs from the example on the page. A size depends on the version of matplotlib."""


def matches_example(shown: Any, actual: Any) -> bool:
    """Returns whether a result matches the example on the page, where `…` stands for any text."""
    types: set[object] = {type(shown), type(actual)}
    if types == {dict}:
        return shown.keys() == actual.keys() and all(
            type(actual[name]) in (int, float)
            if name in VARIABLE_NUMBERS
            else matches_example(shown[name], actual[name])
            for name in shown
        )
    if types == {list}:
        return len(shown) == len(actual) and all(map(matches_example, shown, actual))
    if types == {str}:
        return re.fullmatch(".+".join(map(re.escape, shown.split("…"))), actual, re.DOTALL) is not None
    return shown == actual


PAGE = (
    (PROJECT / "docs" / "workflows.md")
    .read_text()
    .partition("### Start them\n")[2]
    .partition("\n## What ends a session")[0]
)


@pytest.mark.parametrize(
    ("command", "shown"),
    re.findall(r"```sh\n(.*?)```.*?```json\n(.*?)```", PAGE, re.DOTALL),
    ids=["connector", "long command", "one session", "batch"],
)
def test_commands_of_the_page_print_the_shown_results(workflows: Workflows, command: str, shown: str) -> None:
    assert workflows.outputs
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    process = subprocess.run(
        ["bash", "-euc", command], cwd=PROJECT, env={**os.environ, "PATH": path}, capture_output=True, text=True
    )
    assert process.returncode == 0, process.stderr
    assert matches_example(json.loads(shown), json.loads(process.stdout)), process.stdout


def test_failed_workflow_is_reported_with_exit_code_1(workflows: Workflows) -> None:
    assert workflows.outputs
    command = [sys.executable, EXAMPLES / "workflows" / "start.py", "OneSession", json.dumps({"csv": "Other\n1\n"})]
    process = subprocess.run(command, capture_output=True, text=True)
    assert (process.returncode, process.stdout) == (1, "")
    assert process.stderr.startswith("FAILED: CodeFailed: ")


def test_connector_page_shows_the_deployed_mapping(workflows: Workflows) -> None:
    deployed: Any = boto3.client("stepfunctions").describe_state_machine(
        stateMachineArn=workflows.outputs["ConnectorArn"]
    )
    (shown,) = re.findall(r"```json\n(.*?)```", (PROJECT / "docs" / "connector.md").read_text(), re.DOTALL)
    assert json.loads(deployed["definition"])["States"]["Map the result"] == json.loads(shown)


def test_connector_catches_errors_by_name(workflows: Workflows, faults: FaultInjector) -> None:
    rejected = workflows.run("Connector", code="")
    assert (rejected["error"]["Error"], rejected["toDo"]) == ("InvalidRequest", "Correct the request")
    cause = json.loads(rejected["error"]["Cause"])
    assert list(cause)[:2] == ["errorMessage", "errorType"]
    assert "code is empty" in cause["errorMessage"]
    assert (cause["errorType"], cause["stackTrace"]) == ("InvalidRequest", [])
    faults.inject(Rule("session_dies", "executeCode", seconds=0.2))
    lost = workflows.run("Connector", code="while True: pass")
    assert (lost["error"]["Error"], lost["toDo"]) == ("SessionLost", "Check for side effects")


@pytest.fixture
def handwritten(workflows: Workflows) -> Generator[Workflows]:
    """Replaces the definition of the connector, whose role it needs, by the state machine for users without the CDK."""
    client: Any = boto3.client("stepfunctions")
    connector = client.describe_state_machine(stateMachineArn=workflows.outputs["ConnectorArn"])
    execute = json.loads(connector["definition"])["States"]["Execute code"]
    shown = (PROJECT / "docs" / "workflows.md").read_text().partition("## Without the CDK\n")[2]
    definition = json.loads(shown.partition("```json\n")[2].partition("```")[0])
    run = definition["States"]["Run"]
    fields = ("Retry", "TimeoutSeconds")
    assert [run[field] for field in fields] == [execute[field] for field in fields]
    assert run["Arguments"]["run"] == {**execute["Arguments"]["run"], "item": "{% $states.input.item %}"}
    run["Resource"] = execute["Resource"]
    client.update_state_machine(stateMachineArn=connector["stateMachineArn"], definition=json.dumps(definition))
    yield workflows
    client.update_state_machine(stateMachineArn=connector["stateMachineArn"], definition=connector["definition"])


def test_handwritten_state_machine_handles_errors_as_documented(handwritten: Workflows, faults: FaultInjector) -> None:
    drawn = handwritten.run("Connector", code="import matplotlib.pyplot as plt; plt.plot([1, 2]); None")
    assert [file["path"] for file in drawn["files"]] == ["figure-1.png"]
    assert handwritten.run("Connector", code="") == {"failed": "InvalidRequest"}
    faults.inject(Rule("error", "StartCodeInterpreterSession", code="ServiceQuotaExceededException", times=1))
    assert handwritten.run("Connector", code="print(6 * 7)")["stdout"] == "42"
    # The first call prepares the figures. If the session ended during it, the code would be sent in a new session.
    faults.inject(Rule("session_dies", "executeCode", seconds=0.2, calls=(2,)))
    lost = handwritten.run("Connector", code="while True: pass")
    assert lost["error"]["Error"] == "SessionLost"


def test_connector_returns_the_result_of_a_failing_program(workflows: Workflows) -> None:
    variables = workflows.run("Connector", code="print('before'); 1/0")
    assert (variables["output"], variables["codeResult"]["exitCode"]) == ("before", 1)


def test_long_command_is_polled_until_it_ends(workflows: Workflows) -> None:
    state = workflows.run("LongCommand", command="sleep 3; echo done > left.txt; echo out", pollSeconds=1)
    assert (state["status"], state["ended"], state["stdout"], state["exitCode"]) == ("completed", True, "out\r\n", 0)
    assert [file["path"] for file in state["files"]] == ["left.txt"]


def test_failed_long_command_has_its_exit_code(workflows: Workflows) -> None:
    state = workflows.run("LongCommand", command="exit 3", pollSeconds=1)
    assert (state["ended"], state["exitCode"]) == (True, 3)


def test_long_command_is_stopped_when_polling_fails(workflows: Workflows, faults: FaultInjector) -> None:
    faults.inject(Rule("error", "getTask", code="AccessDeniedException", times=1))
    assert workflows.run("LongCommand", command="sleep 600", pollSeconds=1) == {"failed": "AccessDenied"}


def test_three_programs_share_one_session(workflows: Workflows) -> None:
    result = workflows.run("OneSession", csv=CSV)
    assert (result["stdout"], result["exitCode"]) == ("drawn", 0)
    assert [file["path"] for file in result["files"]] == ["figure-1.png"]


def test_batch_has_a_result_for_each_item_and_closes_its_session(workflows: Workflows, faults: FaultInjector) -> None:
    code = "import json; print(json.load(open('item.json')))"
    faults.inject(Rule("error", "writeFiles", code="AccessDeniedException", times=1))
    results = workflows.run("Batch", code=code, items=['it\'s "1"', {"n": [2]}], timeoutSeconds=60)
    assert results == [{"error": "AccessDenied"}, {"stdout": "{'n': [2]}", "exitCode": 0, "timedOut": False}]


@pytest.mark.parametrize("csv", ["", "Other\n1\n", "Status,Amount\nRejected,none\n"], ids=["first", "second", "third"])
def test_failing_program_closes_the_session_and_fails_the_workflow(workflows: Workflows, csv: str) -> None:
    assert workflows.run("OneSession", csv=csv) == {"failed": "CodeFailed"}


def test_lost_session_fails_the_workflow_with_session_lost(workflows: Workflows, faults: FaultInjector) -> None:
    faults.inject(Rule("session_dies", "executeCode", seconds=0.05, times=1))
    assert workflows.run("OneSession", csv=CSV) == {"failed": "SessionLost"}
