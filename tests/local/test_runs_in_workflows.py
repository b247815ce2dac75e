"""Runs that Step Functions starts: retries after a function died, Map items, loop iterations and concurrent workflows.

The embedded Step Functions does not support RedriveExecution. A redrive sends the same event again, which a test does
with a direct invocation.
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

pytestmark = pytest.mark.skipif(ON_AWS, reason="it creates roles and state machines, and kills the function's process")

START = "StartCodeInterpreterSession"
ATTEMPT_SECONDS = 20
"""Timeout of the function in tests that wait until an attempt is over; deployed functions have 900 s."""
HANDLER = Path(__file__).parent / "short_lived" / "reduced_reserves.py"
"""Divides the reserved times by three, because an attempt does not start with less than 40 s left."""
RETRY = {"IntervalSeconds": 1, "MaxAttempts": 2, "BackoffRate": 1}
LAMBDA_ERRORS = ["Lambda.Unknown", "Lambda.ServiceException", "Lambda.SdkClientException", "Runtime.ExitError"]
"""Errors that Step Functions can report when the process of a function dies."""


@pytest.fixture
def job(product: Product) -> Generator[Job]:
    """Returns a program whose executions are counted. Asserts that no session runs after the test."""
    with Attempts(product.deployment) as attempts:
        yield Job(product, attempts, "run_code")
    assert product.live_sessions() == []


@pytest.fixture(scope="module")
def function(deployed: Any) -> str:
    """Returns the ARN of the session function."""
    stack: Any = boto3.client("cloudformation").describe_stacks(StackName=f"sandpiper-{ENVIRONMENT}-{TENANT}")[
        "Stacks"
    ][0]
    (name,) = [o["OutputValue"] for o in stack["Outputs"] if o["OutputKey"] == "SessionFunctionName"]
    assert deployed
    described: Any = boto3.client("lambda").get_function(FunctionName=name)
    return described["Configuration"]["FunctionArn"]


@pytest.fixture
def machine(product: Product, function: str) -> Generator[Callable[[States], str]]:
    """Returns a function that creates state machines that can invoke the function. They are deleted after the test."""
    iam, workflows = product.session.client("iam"), product.session.client("stepfunctions")
    name = f"at-most-once-{uuid.uuid4()}"
    trust = {"Effect": "Allow", "Principal": {"Service": "states.amazonaws.com"}, "Action": "sts:AssumeRole"}
    grant = {"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": function}
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=_policy(trust))["Role"]["Arn"]
    iam.put_role_policy(RoleName=name, PolicyName="invoke", PolicyDocument=_policy(grant))
    created: list[str] = []

    def create(states: States) -> str:
        definition = {"StartAt": next(iter(states)), "States": states}
        created.append(
            workflows.create_state_machine(
                name=f"at-most-once-{uuid.uuid4()}", definition=json.dumps(definition), roleArn=role
            )["stateMachineArn"]
        )
        return created[-1]

    yield create
    for arn in created:
        workflows.delete_state_machine(stateMachineArn=arn)
    iam.delete_role_policy(RoleName=name, PolicyName="invoke")
    iam.delete_role(RoleName=name)


def _policy(statement: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def task(
    function: str, request: str = "$", *, retried: list[str] | None = None, run: dict[str, str] | None = None
) -> States:
    """Returns a state that runs code. `run` adds fields to the identity of the run."""
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


def wait_until_ended(job: Job, execution: str) -> dict[str, Any]:
    """Waits until an execution has ended and returns it."""
    workflows = job.product.session.client("stepfunctions")
    until = time.monotonic() + PATIENCE_SECONDS + 2 * ATTEMPT_SECONDS
    while time.monotonic() < until:
        described: Any = workflows.describe_execution(executionArn=execution)
        if described["status"] != "RUNNING":
            return described
        time.sleep(0.1)
    raise TimeoutError(execution)


def errors_of(job: Job, execution: str) -> list[str]:
    """Returns the errors of the attempts of an execution, in order."""
    pages = job.product.session.client("stepfunctions").get_paginator("get_execution_history")
    events: list[Any] = [event for page in pages.paginate(executionArn=execution) for event in page["events"]]
    failed = (event.get("lambdaFunctionFailedEventDetails") or event.get("taskFailedEventDetails") for event in events)
    return [details["error"] for details in failed if details]


def workers(aws: RunningInstance, function: str) -> Iterator[int]:
    """Yields the ids of the processes of a function that this embedded AWS has started."""
    name = f"AWS_LAMBDA_FUNCTION_NAME={function.rpartition(':')[2]}".encode()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if name in (process / "environ").read_bytes().split(b"\0") and aws.pid in ancestors(int(process.name)):
                yield int(process.name)
        except OSError:
            continue


def ancestors(pid: int) -> Iterator[int]:
    """Yields the ids of the ancestors of a process."""
    while pid > 1:
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        yield pid


@pytest.fixture
def short_lived(function: str) -> Generator[str]:
    """Configures the function with a short timeout and returns its ARN. Restores the configuration after the test."""
    client: Any = boto3.client("lambda")
    configuration = client.get_function_configuration(FunctionName=function)
    original = {name: configuration[name] for name in ("Timeout", "Handler", "Environment")}
    variables = {**original["Environment"]["Variables"], "PYTHONPATH": str(HANDLER.parent)}
    client.update_function_configuration(
        FunctionName=function,
        Timeout=ATTEMPT_SECONDS,
        Handler=f"{HANDLER.stem}.run_operation",
        Environment={"Variables": variables},
    )
    yield function
    client.update_function_configuration(FunctionName=function, **original)


def test_retry_after_the_function_died_does_not_run_the_code_again(
    job: Job, aws: RunningInstance, faults: FaultInjector, short_lived: str, machine: Callable[[States], str]
) -> None:
    """The first retry cannot know that the attempt is dead. The second starts after the attempt must be over."""
    function = short_lived
    faults.inject(
        Rule("latency", "executeCommand", seconds=20, times=1)
    )  # the function is killed while it lists the files
    state = {**task(function, retried=[*LAMBDA_ERRORS, "RunUnderWay"]), "End": True}
    execution = start(job, machine({"Run": state}), job.event["request"])
    job.wait_until_it_ran()
    killed = list(workers(aws, function))
    assert killed
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    faults.clear()
    ended = wait_until_ended(job, execution)
    assert (ended["status"], ended["error"]) == ("FAILED", "SessionLost"), ended
    assert "an earlier attempt of this run sent the code" in ended["cause"]
    assert errors_of(job, execution)[1:] == ["RunUnderWay", "SessionLost"]
    assert job.executions() == 1


@pytest.mark.parametrize(
    ("rule", "error"),
    [
        (Rule("throttling", START, times=3), "Throttled"),
        (Rule("error", START, code="ServiceQuotaExceededException", times=1), "QuotaExceeded"),
        (Rule("error", "executeCode", code="ServiceQuotaExceededException", times=1), "QuotaExceeded"),
    ],
)
def test_throttles_and_exceeded_quotas_are_retried(
    job: Job, faults: FaultInjector, function: str, machine: Callable[[States], str], rule: Rule, error: str
) -> None:
    faults.inject(rule)
    state = {**task(function, retried=[error]), "End": True}
    ended = wait_until_ended(job, start(job, machine({"Run": state}), job.event["request"]))
    assert ended["status"] == "SUCCEEDED", ended
    assert job.has_complete_file(json.loads(ended["output"]))
    assert faults.injected() == [rule.times]
    assert job.executions() == 1


def test_executions_with_the_same_name_in_two_workflows_are_separate_runs(
    job: Job, function: str, machine: Callable[[States], str]
) -> None:
    state = {**task(function), "End": True}
    started = [start(job, machine({"Run": state}), job.event["request"], name="the-same") for _ in range(2)]
    results = [json.loads(wait_until_ended(job, execution)["output"]) for execution in started]
    assert all(map(job.has_complete_file, results))
    assert len({file["s3Uri"] for result in results for file in result["files"]}) == 2
    assert job.executions() == 2


def test_map_items_are_separate_runs(job: Job, function: str, machine: Callable[[States], str]) -> None:
    items = {"Run": {**task(function, "$.request", run={"index.$": "$.index"}), "End": True}}
    states = {
        "Each": {
            "Type": "Map",
            "ItemsPath": "$.requests",
            "ItemSelector": {"index.$": "$$.Map.Item.Index", "request.$": "$$.Map.Item.Value"},
            "ItemProcessor": {"ProcessorConfig": {"Mode": "INLINE"}, "StartAt": "Run", "States": items},
            "End": True,
        }
    }
    ended = wait_until_ended(job, start(job, machine(states), {"requests": [job.event["request"]] * 3}))
    assert ended["status"] == "SUCCEEDED", ended
    assert all(map(job.has_complete_file, json.loads(ended["output"])))
    assert job.executions() == 3


def test_loop_iterations_are_separate_runs(job: Job, function: str, machine: Callable[[States], str]) -> None:
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
    ended = wait_until_ended(job, start(job, machine(states), {"request": job.event["request"]}))
    assert ended["status"] == "SUCCEEDED", ended
    assert job.has_complete_file(json.loads(ended["output"])["last"])
    assert job.executions() == 3


def test_event_of_a_completed_run_returns_the_stored_result(
    job: Job, function: str, machine: Callable[[States], str]
) -> None:
    """A redrive sends the same event."""
    state = {**task(function), "End": True}
    execution = start(job, machine({"Run": state}), job.event["request"])
    result = json.loads(wait_until_ended(job, execution)["output"])
    event = {**job.event, "run": {"execution": execution, "state": "Run"}}
    again = job.product.session.client("lambda").invoke(FunctionName=function, Payload=json.dumps(event))
    assert json.load(again["Payload"]) == result
    assert job.executions() == 1
