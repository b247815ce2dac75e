"""The deployed workflows after faults of AgentCore and Lambda, starts with the same name, and redrives."""

from __future__ import annotations

import os
import signal
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from local_agentcore.faults import Rule
from tests.support.deployed_workflows import STOPPED_SECONDS, Workflows, until
from tests.support.function_processes import workers
from tests.support.target import ON_AWS

if TYPE_CHECKING:
    from collections.abc import Generator

    from local_agentcore.admin_client import FaultInjector
    from local_aws.running_instance import RunningInstance
    from tests.support.product import Product

pytestmark = pytest.mark.skipif(ON_AWS, reason="it injects faults and kills the function's process")

START, STOP = "StartCodeInterpreterSession", "StopCodeInterpreterSession"
STEPS = {"steps": [{"code": "print(1)"}, {"code": "print(2)"}]}
DENIED = "AccessDeniedException"
FAULTS: list[tuple[str, dict[str, Any], Rule, str]] = [
    ("run-code", {"code": "print(1)"}, Rule("error", START, code=DENIED), "AccessDenied"),
    ("run-code", {"code": "print(1)"}, Rule("disconnect", "executeCode", at="unanswered"), "SessionLost"),
    ("run-command", {"command": "sleep 60"}, Rule("error", START, code=DENIED), "AccessDenied"),
    ("run-command", {"command": "sleep 60"}, Rule("error", "getTask", code=DENIED, times=1), "AccessDenied"),
    ("run-command", {"command": "sleep 60"}, Rule("session_dies", "getTask", times=1), "SessionLost"),
    ("run-session", STEPS, Rule("error", START, code=DENIED), "AccessDenied"),
    ("run-session", STEPS, Rule("session_dies", "executeCode", calls=(2,)), "SessionLost"),
    ("run-session", STEPS, Rule("error", "executeCode", code=DENIED, calls=(2,)), "AccessDenied"),
]


@pytest.fixture
def workflows(product: Product) -> Generator[Workflows]:
    """Returns the workflows. Asserts that no session is live one minute after the test."""
    yield Workflows(product)
    until(lambda: product.live_sessions() == [], STOPPED_SECONDS)


@pytest.mark.parametrize(
    ("workflow", "request_", "rule", "error"), FAULTS, ids=[f"{row[0]}-{row[2].on}-{row[3]}" for row in FAULTS]
)
def test_a_fault_of_agentcore_fails_the_execution_with_its_name(
    workflows: Workflows, faults: FaultInjector, workflow: str, request_: dict[str, Any], rule: Rule, error: str
) -> None:
    faults.inject(rule)
    execution = workflows.start(workflow, **request_)
    found, cause = workflows.result(execution)
    assert (found, faults.injected() != [0]) == (error, True), cause
    if workflow == "run-session" and rule.calls:
        assert [step["result"]["stdout"] for step in cause["steps"] if "result" in step] == ["1"]


def test_a_session_whose_stop_fails_ends_within_a_minute(workflows: Workflows, faults: FaultInjector) -> None:
    """Botocore sends each of the first two stops three times."""
    faults.inject(Rule("error", STOP, times=6))
    result = workflows.result(workflows.start("run-session", **STEPS))
    assert [step["result"]["stdout"] for step in result["steps"]] == ["1", "2"]


@pytest.mark.parametrize(
    ("workflow", "endless"),
    [
        ("run-code", {"code": "while True: pass"}),
        ("run-session", {"steps": [{"code": "print(1)"}, {"code": "while True: pass"}]}),
    ],
)
def test_a_function_that_lambda_ends_fails_the_execution_and_its_session_ends(
    workflows: Workflows, aws: RunningInstance, workflow: str, endless: dict[str, Any]
) -> None:
    machine = workflows.client.describe_state_machine(stateMachineArn=workflows.machine(workflow))
    function = next(part for part in machine["definition"].split('"') if ":function:" in part)
    execution = workflows.start(workflow, **endless)
    until(workflows.product.live_sessions)
    if workflow == "run-session":
        until(lambda: workflows.outputs(execution, "Run step"))
    until(lambda: b'"accepted"' in workflows.records(execution))
    for pid in workers(aws, function):
        os.kill(pid, signal.SIGKILL)
    error, cause = workflows.result(execution)
    assert error.startswith(("Lambda.", "Runtime.")), (error, cause)


RUNNING: dict[str, dict[str, Any]] = {
    "run-code": {"code": "import time, uuid; time.sleep(5); print(uuid.uuid4())"},
    "run-command": {"command": "sleep 5; cat /proc/sys/kernel/random/uuid"},
    "run-session": {"steps": [{"code": "import time; time.sleep(5)"}]},
}


@pytest.mark.parametrize("workflow", RUNNING)
def test_a_name_starts_one_execution_and_one_session(workflows: Workflows, workflow: str) -> None:
    client, name = workflows.client, str(uuid.uuid4())
    execution = workflows.start_named(workflow, name, RUNNING[workflow])
    until(workflows.product.live_sessions)
    assert workflows.start_named(workflow, name, RUNNING[workflow]) == execution
    with pytest.raises(client.exceptions.ExecutionAlreadyExists):
        workflows.start_named(workflow, name, {"code": "print(2)"})
    assert len(workflows.product.live_sessions()) == 1
    result = workflows.result(execution)
    with pytest.raises(client.exceptions.ExecutionAlreadyExists):
        workflows.start_named(workflow, name, RUNNING[workflow])
    assert workflows.result(execution) == result


FAILING: dict[str, dict[str, Any]] = {
    "run-code": {"code": "1/0", "failOnError": True},
    "run-command": {"command": "exit 3", "failOnError": True},
    "run-session": {"steps": [{"code": "1/0"}]},
}


@pytest.mark.parametrize("workflow", FAILING)
def test_a_redrive_of_a_failed_execution_runs_nothing_and_fails_again(workflows: Workflows, workflow: str) -> None:
    """The session has ended. A new execution, as of `sandpiper runs retry`, runs the program again."""
    execution = workflows.start(workflow, **FAILING[workflow])
    failed = workflows.result(execution)
    workflows.client.redrive_execution(executionArn=execution)
    assert workflows.result(execution) == failed
    assert failed[0] == "CodeFailed"
    events = workflows.client.get_execution_history(executionArn=execution, maxResults=1000)["events"]
    types = [event["type"] for event in events]
    assert [each for each in types[types.index("ExecutionRedriven") :] if each.startswith("Task")] == []
