"""The workflows of the examples, deployed by the CDK CLI to the embedded AWS: what they answer, and what they leave."""

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
from sandpiper.cdk_cli import PROJECT, cdk
from tests.support.target import ON_AWS

if TYPE_CHECKING:
    from collections.abc import Generator

    from local_agentcore.admin_client import FaultInjector
    from local_aws.running_instance import RunningInstance

pytestmark = pytest.mark.skipif(ON_AWS, reason="it deploys the examples, and orders faults")

EXAMPLES = PROJECT / "examples"
PATIENCE_SECONDS = 120
CSV = "Status,Amount\nRejected,45000\nApproved,12000\nApproved,3000\n"


@dataclass(frozen=True)
class Workflows:
    """The deployed stack's outputs."""

    outputs: dict[str, str]

    def run(self, name: str, **request: Any) -> dict[str, Any]:
        """Runs a workflow to its end; returns its output, or the error that it failed with."""
        workflows: Any = boto3.client("stepfunctions")
        execution = workflows.start_execution(
            stateMachineArn=self.outputs[f"{name}Arn"], name=str(uuid.uuid4()), input=json.dumps(request)
        )["executionArn"]
        until = time.monotonic() + PATIENCE_SECONDS
        while (found := workflows.describe_execution(executionArn=execution))["status"] == "RUNNING":
            assert time.monotonic() < until, workflows.get_execution_history(executionArn=execution)["events"][-3:]
            time.sleep(0.1)
        return json.loads(found["output"]) if found["status"] == "SUCCEEDED" else {"failed": found["error"]}

    def live(self) -> list[Any]:
        """Sessions that run."""
        data: Any = boto3.client("bedrock-agentcore")
        interpreter = self.outputs["InterpreterId"]
        return data.list_code_interpreter_sessions(codeInterpreterIdentifier=interpreter, status="READY")["items"]

    def size(self, uri: str) -> int:
        """Of an object."""
        bucket, key = uri.removeprefix("s3://").split("/", 1)
        return boto3.client("s3").head_object(Bucket=bucket, Key=key)["ContentLength"]


@pytest.fixture(scope="module")
def stack(aws: RunningInstance, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The examples' stack, deployed as the page says; its outputs."""
    output = str(tmp_path_factory.mktemp("cdk.out"))
    cdk(["bootstrap", f"aws://{aws.account}/{aws.region}"], Path(output), print)
    app = f"{sys.executable} {EXAMPLES / 'workflows' / 'app.py'}"
    cdk(["deploy", "--app", app, "--require-approval", "never", "--output", output], PROJECT, print)
    found: Any = boto3.client("cloudformation").describe_stacks(StackName="workflow-examples")["Stacks"][0]
    return {each["OutputKey"]: each["OutputValue"] for each in found["Outputs"]}


@pytest.fixture
def workflows(stack: dict[str, str]) -> Generator[Workflows]:
    """The workflows; whatever a test does, no session runs after it."""
    found = Workflows(stack)
    yield found
    assert found.live() == []


@pytest.mark.parametrize(
    ("example", "printed", "files"),
    [
        ("claims_total", "Total claims: $44,700", []),
        ("bar_chart", "Chart saved", [("chart.png", "image/png")]),
        ("csv_report", "Report created", [("claims.csv", "text/csv")]),
    ],
)
def test_the_connector_maps_its_result_into_variables(
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


VARY = {"executionTimeMs", "size", "seen", "ends"}
"""Numbers of which the page shows an example. A size varies with the version of matplotlib."""


def is_like(shown: Any, real: Any) -> bool:
    """Whether what came back is what the page shows, where `…` is any text."""
    kinds: set[object] = {type(shown), type(real)}
    if kinds == {dict}:
        return shown.keys() == real.keys() and all(
            type(real[name]) in (int, float) if name in VARY else is_like(shown[name], real[name]) for name in shown
        )
    if kinds == {list}:
        return len(shown) == len(real) and all(map(is_like, shown, real))
    if kinds == {str}:
        return re.fullmatch(".+".join(map(re.escape, shown.split("…"))), real, re.DOTALL) is not None
    return shown == real


PAGE = (PROJECT / "docs" / "workflows.md").read_text().partition("### Start them\n")[2].partition("\n## ")[0]


@pytest.mark.parametrize(
    ("command", "shown"),
    re.findall(r"```sh\n(.*?)```.*?```json\n(.*?)```", PAGE, re.DOTALL),
    ids=["connector", "long command", "one session"],
)
def test_the_pages_commands_print_what_it_shows(workflows: Workflows, command: str, shown: str) -> None:
    assert workflows.outputs
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    ran = subprocess.run(
        ["bash", "-euc", command], cwd=PROJECT, env={**os.environ, "PATH": path}, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
    assert is_like(json.loads(shown), json.loads(ran.stdout)), ran.stdout


def test_a_workflow_that_fails_is_said_and_is_exit_code_1(workflows: Workflows) -> None:
    assert workflows.outputs
    command = [sys.executable, EXAMPLES / "workflows" / "start.py", "OneSession", json.dumps({"csv": "Other\n1\n"})]
    ran = subprocess.run(command, capture_output=True, text=True)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.startswith("FAILED: CodeFailed: ")


def test_the_connectors_page_shows_the_mapping_as_it_is_deployed(workflows: Workflows) -> None:
    deployed: Any = boto3.client("stepfunctions").describe_state_machine(
        stateMachineArn=workflows.outputs["ConnectorArn"]
    )
    (shown,) = re.findall(r"```json\n(.*?)```", (PROJECT / "docs" / "connector.md").read_text(), re.DOTALL)
    assert json.loads(deployed["definition"])["States"]["Map the result"] == json.loads(shown)


def test_the_connector_catches_errors_by_name(workflows: Workflows, faults: FaultInjector) -> None:
    refused = workflows.run("Connector", code="")
    assert (refused["error"]["Error"], refused["toDo"]) == ("InvalidRequest", "Correct the request")
    cause = json.loads(refused["error"]["Cause"])
    assert list(cause)[:2] == ["errorMessage", "errorType"]
    assert "code is empty" in cause["errorMessage"]
    assert (cause["errorType"], cause["stackTrace"]) == ("InvalidRequest", [])
    faults.inject(Rule("session_dies", "executeCode", seconds=0.2))
    lost = workflows.run("Connector", code="while True: pass")
    assert (lost["error"]["Error"], lost["toDo"]) == ("SessionLost", "Check for side effects")


@pytest.fixture
def written_by_hand(workflows: Workflows) -> Generator[Workflows]:
    """The page's state machine without the CDK, in the place of the connector's: its role trusts that one alone."""
    client: Any = boto3.client("stepfunctions")
    connector = client.describe_state_machine(stateMachineArn=workflows.outputs["ConnectorArn"])
    execute = json.loads(connector["definition"])["States"]["Execute code"]
    shown = (PROJECT / "docs" / "workflows.md").read_text().partition("## Without the CDK\n")[2]
    definition = json.loads(shown.partition("```json\n")[2].partition("```")[0])
    run = definition["States"]["Run"]
    same = ("Retry", "TimeoutSeconds")
    assert [run[field] for field in same] == [execute[field] for field in same]
    assert run["Parameters"]["run"] == execute["Parameters"]["run"]
    run["Resource"] = execute["Resource"]
    client.update_state_machine(stateMachineArn=connector["stateMachineArn"], definition=json.dumps(definition))
    yield workflows
    client.update_state_machine(stateMachineArn=connector["stateMachineArn"], definition=connector["definition"])


def test_a_state_machine_that_is_written_by_hand_handles_errors_as_its_page_says(
    written_by_hand: Workflows, faults: FaultInjector
) -> None:
    drawn = written_by_hand.run("Connector", code="import matplotlib.pyplot as plt; plt.plot([1, 2]); None")
    assert [file["path"] for file in drawn["files"]] == ["figure-1.png"]
    assert written_by_hand.run("Connector", code="") == {"failed": "InvalidRequest"}
    faults.inject(Rule("error", "StartCodeInterpreterSession", code="ServiceQuotaExceededException", times=1))
    assert written_by_hand.run("Connector", code="print(6 * 7)")["stdout"] == "42"
    faults.inject(Rule("session_dies", "executeCode", seconds=0.2, times=1))
    lost = written_by_hand.run("Connector", code="while True: pass")
    assert lost["error"]["Error"] == "SessionLost"


def test_a_program_that_fails_is_a_result_of_the_connector(workflows: Workflows) -> None:
    variables = workflows.run("Connector", code="print('before'); 1/0")
    assert (variables["output"], variables["codeResult"]["exitCode"]) == ("before", 1)


def test_a_long_command_is_polled_until_it_has_ended(workflows: Workflows) -> None:
    state = workflows.run("LongCommand", command="sleep 3; echo done > left.txt; echo out", pollSeconds=1)
    assert (state["status"], state["ended"], state["stdout"], state["exitCode"]) == ("completed", True, "out\r\n", 0)
    assert [file["path"] for file in state["files"]] == ["left.txt"]


def test_a_long_command_that_fails_is_a_state_with_its_exit_code(workflows: Workflows) -> None:
    state = workflows.run("LongCommand", command="exit 3", pollSeconds=1)
    assert (state["ended"], state["exitCode"]) == (True, 3)


def test_a_long_command_that_nobody_can_ask_is_stopped(workflows: Workflows, faults: FaultInjector) -> None:
    faults.inject(Rule("error", "getTask", code="AccessDeniedException", times=1))
    assert workflows.run("LongCommand", command="sleep 600", pollSeconds=1) == {"failed": "AccessDenied"}


def test_three_programs_share_one_session(workflows: Workflows) -> None:
    result = workflows.run("OneSession", csv=CSV)
    assert (result["stdout"], result["exitCode"]) == ("drawn", 0)
    assert [file["path"] for file in result["files"]] == ["figure-1.png"]


@pytest.mark.parametrize("csv", ["", "Other\n1\n", "Status,Amount\nRejected,none\n"], ids=["first", "second", "third"])
def test_a_program_that_fails_closes_the_session_and_fails_the_workflow(workflows: Workflows, csv: str) -> None:
    assert workflows.run("OneSession", csv=csv) == {"failed": "CodeFailed"}


def test_a_session_that_dies_in_the_middle_fails_the_workflow_by_name(
    workflows: Workflows, faults: FaultInjector
) -> None:
    faults.inject(Rule("session_dies", "executeCode", seconds=0.05, times=1))
    assert workflows.run("OneSession", csv=CSV) == {"failed": "SessionLost"}
