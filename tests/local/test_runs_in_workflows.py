"""Runs as Step Functions makes them: retried after a Lambda died, in a Map, in a loop, and in workflows side by side.

The embedded Step Functions has no RedriveExecution. What a redrive does is send the same event again, which is done
here by hand.
"""

from __future__ import annotations

import json
import os
import signal
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from local_agentcore.faults import Rule
from tests.support.jobs import PATIENCE_SECONDS, Job
from tests.support.run_attempts import Attempts
from tests.support.target import ENVIRONMENT, ON_AWS, TENANT

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from local_agentcore.admin_client import FaultInjector
    from local_aws.running_instance import RunningInstance
    from tests.support.product import Product

    States = dict[str, Any]

pytestmark = pytest.mark.skipif(ON_AWS, reason="it makes roles and state machines, and kills the function's process")

START = "StartCodeInterpreterSession"
LIVES_SECONDS = 20
"""How long an attempt may live where a test is to see what comes after; 900 s are the function's own."""
HANDLER = Path(__file__).parent / "short_lived" / "a_third.py"
"""What an attempt keeps of its time is cut to a third there: by itself it is not begun with less than 40 s."""
RETRY = {"IntervalSeconds": 1, "MaxAttempts": 2, "BackoffRate": 1}
LAMBDA_ERRORS = ["Lambda.Unknown", "Lambda.ServiceException", "Lambda.SdkClientException", "Runtime.ExitError"]
"""What the death of a function's process is called."""


@pytest.fixture
def job(product: Product) -> Generator[Job]:
    """A program whose runs are counted; no session stays."""
    with Attempts(product.place) as attempts:
        yield Job(product, attempts, "run_code")
    assert product.live_sessions() == []


@pytest.fixture(scope="module")
def function(deployed: Any) -> str:
    """The session function's ARN."""
    stack: Any = boto3.client("cloudformation").describe_stacks(StackName=f"sandpiper-{ENVIRONMENT}-{TENANT}")[
        "Stacks"
    ][0]
    (name,) = [o["OutputValue"] for o in stack["Outputs"] if o["OutputKey"] == "SessionFunctionName"]
    assert deployed
    found: Any = boto3.client("lambda").get_function(FunctionName=name)
    return found["Configuration"]["FunctionArn"]


@pytest.fixture
def machine(product: Product, function: str) -> Generator[Callable[[States], str]]:
    """Makes state machines that may invoke the function; they go after the test."""
    iam, workflows = product.session.client("iam"), product.session.client("stepfunctions")
    name = f"at-most-once-{uuid.uuid4()}"
    trust = {"Effect": "Allow", "Principal": {"Service": "states.amazonaws.com"}, "Action": "sts:AssumeRole"}
    grant = {"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": function}
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=_policy(trust))["Role"]["Arn"]
    iam.put_role_policy(RoleName=name, PolicyName="invoke", PolicyDocument=_policy(grant))
    made: list[str] = []

    def make(states: States) -> str:
        definition = {"StartAt": next(iter(states)), "States": states}
        made.append(
            workflows.create_state_machine(
                name=f"at-most-once-{uuid.uuid4()}", definition=json.dumps(definition), roleArn=role
            )["stateMachineArn"]
        )
        return made[-1]

    yield make
    for arn in made:
        workflows.delete_state_machine(stateMachineArn=arn)
    iam.delete_role_policy(RoleName=name, PolicyName="invoke")
    iam.delete_role(RoleName=name)


def _policy(statement: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def task(
    function: str, request: str = "$", *, retried: list[str] | None = None, run: dict[str, str] | None = None
) -> States:
    """A state that runs code; `run` says what is known of the run beside execution and state."""
    return {
        "Type": "Task",
        "Resource": function,
        "Parameters": {
            "operation": "run_code",
            "run": {"execution.$": "$$.Execution.Id", "state.$": "$$.State.Name", **(run or {})},
            "request.$": request,
        },
        **({"Retry": [{"ErrorEquals": retried, **RETRY}]} if retried else {}),
    }


def start(job: Job, machine: str, request: Any, name: str | None = None) -> str:
    """Starts an execution and returns its ARN."""
    workflows = job.product.session.client("stepfunctions")
    execution = workflows.start_execution(
        stateMachineArn=machine, input=json.dumps(request), name=name or str(uuid.uuid4())
    )
    return execution["executionArn"]


def ended(job: Job, execution: str) -> dict[str, Any]:
    """The execution, once it has ended."""
    workflows = job.product.session.client("stepfunctions")
    until = time.monotonic() + PATIENCE_SECONDS + 2 * LIVES_SECONDS
    while time.monotonic() < until:
        found: Any = workflows.describe_execution(executionArn=execution)
        if found["status"] != "RUNNING":
            return found
        time.sleep(0.1)
    raise TimeoutError(execution)


def errors_of(job: Job, execution: str) -> list[str]:
    """What the execution's attempts ended with, in their order."""
    pages = job.product.session.client("stepfunctions").get_paginator("get_execution_history")
    events: list[Any] = [event for page in pages.paginate(executionArn=execution) for event in page["events"]]
    failed = (event.get("lambdaFunctionFailedEventDetails") or event.get("taskFailedEventDetails") for event in events)
    return [details["error"] for details in failed if details]


def workers(aws: RunningInstance, function: str) -> Iterator[int]:
    """Processes of the function, among those that this embedded AWS has started."""
    name = f"AWS_LAMBDA_FUNCTION_NAME={function.rpartition(':')[2]}".encode()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if name in (process / "environ").read_bytes().split(b"\0") and aws.pid in ancestors(int(process.name)):
                yield int(process.name)
        except OSError:
            continue


def ancestors(pid: int) -> Iterator[int]:
    """The process's parent, its parent, and so on."""
    while pid > 1:
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        yield pid


@pytest.fixture
def short_lived(function: str) -> Generator[str]:
    """The function, whose attempts are over soon."""
    client: Any = boto3.client("lambda")
    found = client.get_function_configuration(FunctionName=function)
    usual = {name: found[name] for name in ("Timeout", "Handler", "Environment")}
    variables = {**usual["Environment"]["Variables"], "PYTHONPATH": str(HANDLER.parent)}
    client.update_function_configuration(
        FunctionName=function,
        Timeout=LIVES_SECONDS,
        Handler=f"{HANDLER.stem}.run_operation",
        Environment={"Variables": variables},
    )
    yield function
    client.update_function_configuration(FunctionName=function, **usual)


def test_a_lambda_that_dies_after_it_sent_the_code_is_retried_and_runs_nothing_again(
    job: Job, aws: RunningInstance, faults: FaultInjector, short_lived: str, machine: Callable[[States], str]
) -> None:
    """The first retry cannot know that it is dead, nor wait until it must be; the second can."""
    function = short_lived
    faults.inject(Rule("latency", "executeCommand", seconds=20, times=1))  # it dies while it waits for the listing
    state = {**task(function, retried=[*LAMBDA_ERRORS, "RunUnderWay"]), "End": True}
    execution = start(job, machine({"Run": state}), job.event["request"])
    job.wait_until_it_ran()
    killed = list(workers(aws, function))
    assert killed
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    faults.clear()
    found = ended(job, execution)
    assert (found["status"], found["error"]) == ("FAILED", "SessionLost"), found
    assert "an earlier attempt of this run sent the code" in found["cause"]
    assert errors_of(job, execution)[1:] == ["RunUnderWay", "SessionLost"]
    assert job.ran() == 1


@pytest.mark.parametrize(
    ("rule", "error"),
    [
        (Rule("throttling", START, times=3), "Throttled"),
        (Rule("error", START, code="ServiceQuotaExceededException", times=1), "QuotaExceeded"),
        (Rule("error", "executeCode", code="ServiceQuotaExceededException", times=1), "QuotaExceeded"),
    ],
)
def test_a_known_refusal_is_retried_and_then_the_code_runs(
    job: Job, faults: FaultInjector, function: str, machine: Callable[[States], str], rule: Rule, error: str
) -> None:
    faults.inject(rule)
    state = {**task(function, retried=[error]), "End": True}
    found = ended(job, start(job, machine({"Run": state}), job.event["request"]))
    assert found["status"] == "SUCCEEDED", found
    assert job.whole(json.loads(found["output"]))
    assert faults.injected() == [rule.times]
    assert job.ran() == 1


def test_executions_of_one_name_in_two_workflows_are_two_runs(
    job: Job, function: str, machine: Callable[[States], str]
) -> None:
    state = {**task(function), "End": True}
    started = [start(job, machine({"Run": state}), job.event["request"], name="the-same") for _ in range(2)]
    results = [json.loads(ended(job, execution)["output"]) for execution in started]
    assert all(map(job.whole, results))
    assert len({file["s3Uri"] for result in results for file in result["files"]}) == 2
    assert job.ran() == 2


def test_items_of_a_map_are_runs_of_their_own(job: Job, function: str, machine: Callable[[States], str]) -> None:
    each = {"Run": {**task(function, "$.request", run={"index.$": "$.index"}), "End": True}}
    states = {
        "Each": {
            "Type": "Map",
            "ItemsPath": "$.requests",
            "ItemSelector": {"index.$": "$$.Map.Item.Index", "request.$": "$$.Map.Item.Value"},
            "ItemProcessor": {"ProcessorConfig": {"Mode": "INLINE"}, "StartAt": "Run", "States": each},
            "End": True,
        }
    }
    found = ended(job, start(job, machine(states), {"requests": [job.event["request"]] * 3}))
    assert found["status"] == "SUCCEEDED", found
    assert all(map(job.whole, json.loads(found["output"])))
    assert job.ran() == 3


def test_rounds_of_a_loop_are_runs_of_their_own(job: Job, function: str, machine: Callable[[States], str]) -> None:
    states = {
        "Begin": {"Type": "Pass", "Result": 0, "ResultPath": "$.round", "Next": "Run"},
        "Run": {**task(function, "$.request", run={"iteration.$": "$.round"}), "ResultPath": "$.last", "Next": "Count"},
        "Count": {
            "Type": "Pass",
            "Parameters": {
                "round.$": "States.MathAdd($.round, 1)",
                "request.$": "$.request",
                "last.$": "$.last",
            },
            "Next": "Again",
        },
        "Again": {
            "Type": "Choice",
            "Choices": [{"Variable": "$.round", "NumericLessThan": 3, "Next": "Run"}],
            "Default": "Done",
        },
        "Done": {"Type": "Succeed"},
    }
    found = ended(job, start(job, machine(states), {"request": job.event["request"]}))
    assert found["status"] == "SUCCEEDED", found
    assert job.whole(json.loads(found["output"])["last"])
    assert job.ran() == 3


def test_the_event_of_a_run_that_is_done_gives_its_result_again(
    job: Job, function: str, machine: Callable[[States], str]
) -> None:
    """As a redrive would send it."""
    state = {**task(function), "End": True}
    execution = start(job, machine({"Run": state}), job.event["request"])
    result = json.loads(ended(job, execution)["output"])
    event = {**job.event, "run": {"execution": execution, "state": "Run"}}
    again = job.product.session.client("lambda").invoke(FunctionName=function, Payload=json.dumps(event))
    assert json.load(again["Payload"]) == result
    assert job.ran() == 1
