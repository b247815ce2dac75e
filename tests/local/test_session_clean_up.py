"""Sessions of executions that have ended: at every state of deployed workflows, after failures, and by the sweep."""

from __future__ import annotations

import copy
import json
import math
import time
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

import pytest

from code_runner import session_sweep
from code_runner.agentcore.boto_clients import AwsClients
from code_runner.agentcore.deadline import Deadline
from code_runner.operations import Operations
from code_runner.tenant_config import TenantConfig
from sandpiper_contract.requests import SweepSessions
from sandpiper_contract.run import Run
from sandpiper_contract.workflows import AWAIT_APPROVAL_STATE
from tests.support.target import ON_AWS

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from tests.support.product import Product

    States = dict[str, Any]

pytestmark = pytest.mark.skipif(ON_AWS, reason="it changes the deployed workflows of environments/local.yaml")

PATIENCE_SECONDS = 240
STOPPED_SECONDS = 60
"""The time after which no session of a stopped execution may be live."""
PAUSE = "Pause before the state"
REQUESTS: dict[str, tuple[dict[str, Any], ...]] = {
    "run-code": ({"code": "print(1)"}, {"code": "1/0", "failOnError": True}),
    "run-command": ({"command": "sleep 1"}, {"command": "exit 1", "failOnError": True}),
    "run-session": ({"steps": [{"code": "n = 1"}, {"command": "true"}]}, {"steps": [{"code": "1/0"}]}),
}
"""Requests that succeed, and that fail: together they enter most states of the workflow."""


def until(find: Callable[[], Any], seconds: float = PATIENCE_SECONDS) -> Any:
    """Returns the first result that is not false."""
    deadline = time.monotonic() + seconds
    while not (found := find()):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    return found


@contextmanager
def redefined(product: Product, workflow: str) -> Generator[tuple[str, Callable[[Any], None], Any]]:
    """Yields the ARN of a deployed workflow, a function that changes its definition, and the deployed definition."""
    client: Any = product.session.client("stepfunctions")
    arn = product.deployment.run_code_arn.removesuffix("run-code") + workflow
    deployed: str = client.describe_state_machine(stateMachineArn=arn)["definition"]

    def change(definition: Any) -> None:
        client.update_state_machine(stateMachineArn=arn, definition=json.dumps(definition))

    try:
        yield arn, change, json.loads(deployed)
    finally:
        client.update_state_machine(stateMachineArn=arn, definition=deployed)


def containers(node: Any) -> Iterator[dict[str, Any]]:
    """Yields the state machine, and the branches and item processors in it."""
    values: list[Any] = []
    if isinstance(node, dict):
        fields = cast("dict[str, Any]", node)
        if "StartAt" in fields:
            yield fields
        values = [*fields.values()]
    elif isinstance(node, list):
        values = cast("list[Any]", node)
    for value in values:
        yield from containers(value)


def paused_before(definition: Any, state: str) -> Any:
    """Returns the definition with a long Wait before a state."""

    def redirect(node: Any) -> Any:
        if isinstance(node, list):
            return [redirect(child) for child in cast("list[Any]", node)]
        if not isinstance(node, dict):
            return node
        return {
            key: PAUSE if key in ("Next", "Default", "StartAt") and value == state else redirect(value)
            for key, value in cast("dict[str, Any]", node).items()
        }

    changed = redirect(copy.deepcopy(definition))
    (container,) = [one for one in containers(changed) if state in one["States"]]
    container["States"][PAUSE] = {"Type": "Wait", "Seconds": 3600, "Next": state}
    return changed


@pytest.mark.parametrize("workflow", REQUESTS)
def test_an_execution_that_is_stopped_at_any_state_leaves_no_session(product: Product, workflow: str) -> None:
    client: Any = product.session.client("stepfunctions")

    def events(execution: str) -> list[dict[str, Any]]:
        return client.get_execution_history(executionArn=execution, maxResults=1000)["events"]

    def is_paused(execution: str) -> bool:
        return any(event.get("stateEnteredEventDetails", {}).get("name") == PAUSE for event in events(execution))

    def is_running(execution: str) -> bool:
        return client.describe_execution(executionArn=execution)["status"] == "RUNNING"

    paused_at: dict[str, str] = {}
    with redefined(product, workflow) as (arn, change, definition):
        states = [state for container in containers(definition) for state in container["States"]]
        for request in REQUESTS[workflow]:
            started: dict[str, str] = {}
            for state in set(states) - paused_at.keys():
                change(paused_before(definition, state))
                execution = client.start_execution(
                    stateMachineArn=arn, name=str(uuid.uuid4()), input=json.dumps(request)
                )["executionArn"]
                started[state] = execution
                until(lambda execution=execution: len(events(execution)) > 1)  # it has read its definition
            for state, execution in started.items():
                if until(lambda execution=execution: is_paused(execution) or not is_running(execution)):
                    paused_at |= {state: execution} if is_paused(execution) else {}
    assert len(paused_at) >= len(states) / 2, paused_at.keys()
    assert workflow == "run-code" or product.live_sessions() != []
    for execution in paused_at.values():
        client.stop_execution(executionArn=execution)
    until(lambda: product.live_sessions() == [], STOPPED_SECONDS)


def test_a_batch_that_is_stopped_at_any_state_has_a_line_for_each_item(product: Product) -> None:
    client, s3 = cast("Any", product.session.client("stepfunctions")), product.session.client("s3")
    bucket, prefix = product.deployment.bucket, product.deployment.prefix
    s3.put_object(Bucket=bucket, Key=f"{prefix}/inputs/stopped.jsonl", Body=b"1\n2\n")
    items = {"location": f"s3://{bucket}/{prefix}/inputs/stopped.jsonl", "format": "jsonl"}
    request = json.dumps({"items": items, "request": {"code": "print(open('item.json').read())"}})

    def is_paused(execution: str) -> bool:
        events = client.get_execution_history(executionArn=execution, maxResults=1000)["events"]
        return any(event.get("stateEnteredEventDetails", {}).get("name") == PAUSE for event in events)

    def lines(execution: str) -> list[Any]:
        key = f"{prefix}/runs/{Run(execution).execution_key}/"
        listed: Any = s3.list_objects_v2(Bucket=bucket, Prefix=key).get("Contents", [])
        if not any(each["Key"] == f"{key}summary.json" for each in listed):
            return []
        results = s3.get_object(Bucket=bucket, Key=f"{key}results.jsonl")["Body"].read()
        return [json.loads(line) for line in results.splitlines()]

    executions: dict[str, str] = {}
    with redefined(product, "run-batch") as (arn, change, definition):
        for state in definition["States"]:
            change(paused_before(definition, state))
            executions[state] = client.start_execution(stateMachineArn=arn, input=request)["executionArn"]
            until(lambda state=state: is_paused(executions[state]))
    for execution in executions.values():
        client.stop_execution(executionArn=execution)
    assert lines(executions.pop("PrepareBatch")) == []
    for state, execution in executions.items():
        found = until(lambda execution=execution: lines(execution))
        outputs = [line["error"]["name"] if "error" in line else line["result"]["stdout"] for line in found]
        assert outputs == (["NotStarted"] * 2 if state == "Items" else ["1", "2"]), state
    assert product.live_sessions() == []


def opening(definition: Any, then: States) -> States:
    """Returns the definition of a workflow that opens a session and continues with another state."""
    text = json.dumps(definition)
    function = next(part for part in text.split('"') if ":function:" in part)
    run = {"execution.$": "$$.Execution.Id", "state": "Open", "entered.$": "$$.State.EnteredTime"}
    event = {"operation": "open_session", "request": {"sessionTimeoutSeconds": 900}, "run": run}
    opened = {"Type": "Task", "Resource": function, "Parameters": event, "Next": "Then"}
    return {"StartAt": "Open", "States": {"Open": opened, "Then": then}}


def test_an_execution_that_fails_with_an_open_session_leaves_no_session(product: Product) -> None:
    client: Any = product.session.client("stepfunctions")
    with redefined(product, "run-session") as (arn, change, definition):
        change(opening(definition, {"Type": "Fail", "Error": "Own"}))
        execution = client.start_execution(stateMachineArn=arn)["executionArn"]
        until(lambda: client.describe_execution(executionArn=execution)["status"] == "FAILED")
        until(lambda: product.live_sessions() == [], STOPPED_SECONDS)


def test_an_unanswered_approval_fails_with_its_name_and_the_results_so_far(product: Product) -> None:
    client: Any = product.session.client("stepfunctions")
    steps = [{"code": "print(1)", "approval": {"message": "Publish?"}}, {"code": "print(2)"}]
    with redefined(product, "run-session") as (arn, change, definition):
        definition["States"][AWAIT_APPROVAL_STATE]["TimeoutSeconds"] = 1
        change(definition)
        execution = client.start_execution(stateMachineArn=arn, input=json.dumps({"steps": steps}))["executionArn"]
        ended = until(lambda: (one := client.describe_execution(executionArn=execution))["status"] != "RUNNING" and one)
    cause = json.loads(ended["cause"])
    assert (ended["error"], cause["errorMessage"]) == ("ApprovalTimedOut", "no answer within 86400 s: Publish?")
    assert [step["result"]["stdout"] for step in cause["steps"]] == ["1"]
    until(lambda: product.live_sessions() == [], STOPPED_SECONDS)


def test_the_sweep_stops_only_sessions_of_executions_that_have_ended(
    product: Product, monkeypatch: pytest.MonkeyPatch
) -> None:
    client: Any = product.session.client("stepfunctions")
    functions: Any = product.session.client("lambda")
    tenant = TenantConfig(product.deployment.interpreters, product.deployment.bucket, product.deployment.prefix)

    def open_session(execution: str) -> str:
        event = {"operation": "open_session", "run": {"execution": execution}, "request": {}}
        response = functions.invoke(FunctionName=function, Payload=json.dumps(event))
        return json.load(response["Payload"])["session"]["sessionId"]

    def sweep() -> tuple[str, ...]:
        clients = AwsClients(product.session)
        operations = Operations(
            run=Run("sweep"),
            tenant=tenant,
            clients=clients,
            deadline=Deadline.after(60),
            on_stop_failed=lambda session_id, error: pytest.fail(f"{session_id}: {error}"),
        )
        return session_sweep.sweep_sessions(SweepSessions(workflows=(arn,)), operations, clients.executions).session_ids

    with redefined(product, "run-session") as (arn, change, definition):
        function = next(part for part in json.dumps(definition).split('"') if ":function:" in part)
        change(opening(definition, {"Type": "Wait", "Seconds": 3600, "End": True}))
        running = client.start_execution(stateMachineArn=arn)["executionArn"]
        until(lambda: len(product.live_sessions()) == 1)
        change(opening(definition, {"Type": "Succeed"}))
        ended = client.start_execution(stateMachineArn=arn)["executionArn"]
        until(lambda: client.describe_execution(executionArn=ended)["status"] == "SUCCEEDED")
        of_running, of_ended = sorted(product.live_sessions(), key=lambda one: one in of_execution(product, ended))
        of_missing = open_session(f"{ended}-missing")
        of_caller = open_session(str(uuid.uuid4()))

        assert sweep() == ()  # they are too young
        # the clock of the sessions can be ahead: the embedded AWS is shared, and tests of alarms advance it
        monkeypatch.setattr(session_sweep, "MIN_AGE_SECONDS", -math.inf)
        assert set(sweep()) == {of_ended, of_missing}
        assert set(product.live_sessions()) == {of_running, of_caller}
        client.stop_execution(executionArn=running)
        product.session.client("bedrock-agentcore").stop_code_interpreter_session(
            codeInterpreterIdentifier=next(iter(product.deployment.interpreters.values())), sessionId=of_caller
        )
        until(lambda: product.live_sessions() == [], STOPPED_SECONDS)


def of_execution(product: Product, execution: str) -> str:
    """Returns the output of an execution."""
    described: Any = product.session.client("stepfunctions").describe_execution(executionArn=execution)
    return described["output"]
