"""Runs that Step Functions starts: retries after a function died, Map items, rounds of loops, separate workflows."""

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
from sandpiper import stopping
from sandpiper.errors import CliError
from sandpiper_contract.run import Run
from tests.support.function_processes import workers
from tests.support.jobs import PATIENCE_SECONDS, Job
from tests.support.project import PROJECT
from tests.support.run_attempts import Attempts
from tests.support.target import ENVIRONMENT, ON_AWS, TENANT

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

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
    for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]:
        iam.delete_role_policy(RoleName=name, PolicyName=policy)
    iam.delete_role(RoleName=name)


def allow_start(job: Job, machine: str) -> None:
    """Grants the role of a state machine to start its own child executions, as a Distributed Map does."""
    role = job.product.session.client("stepfunctions").describe_state_machine(stateMachineArn=machine)["roleArn"]
    statement = {"Effect": "Allow", "Action": "states:StartExecution", "Resource": machine}
    job.product.session.client("iam").put_role_policy(
        RoleName=role.rpartition("/")[2], PolicyName="start", PolicyDocument=_policy(statement)
    )


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


VISIT = {
    "entered.$": "$$.State.EnteredTime",
    "retry.$": "$$.State.RetryCount",
    "redrive.$": "$$.Execution.RedriveCount",
}
"""Fields of a run that distinguish the visits of a state."""


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


def documented(function: str) -> dict[str, Any]:
    """Returns the state machine of docs/workflows.md, which has the states Identify and Run.

    Its states name their language, so that they can be part of machines in JSONPath.
    """
    shown = (PROJECT / "docs" / "workflows.md").read_text().partition("## Without the CDK\n")[2]
    machine = json.loads(shown.partition("```json\n")[2].partition("```")[0])
    machine["States"]["Run"]["Resource"] = function
    language = machine.pop("QueryLanguage")
    machine["States"] = {name: {**state, "QueryLanguage": language} for name, state in machine["States"].items()}
    return machine


RANDOM = {"code": "import random; print(random.random())"}


@pytest.mark.parametrize("nested", [False, True], ids=["one Map", "a Map in a Map"])
def test_documented_state_machine_runs_each_item_of_a_map(
    job: Job, function: str, machine: Callable[[States], str], nested: bool
) -> None:
    inner: dict[str, Any] = {"Type": "Map", "ItemProcessor": documented(function), "End": True}
    outer = {"Type": "Map", "ItemProcessor": {"StartAt": "Inner", "States": {"Inner": inner}}, "End": True}
    items: list[Any] = [[RANDOM] * 3] * 2 if nested else [RANDOM] * 6
    ended = wait_until_ended(job, start(job, machine({"Each": outer if nested else inner}), items))
    assert ended["status"] == "SUCCEEDED", ended
    results = json.loads(ended["output"])
    if nested:
        results = [result for inner_results in results for result in inner_results]
    assert len({result["stdout"] for result in results}) == 6, results


def test_items_of_a_distributed_map_are_separate_runs(
    job: Job, function: str, machine: Callable[[States], str]
) -> None:
    processor = documented(function)
    processor["ProcessorConfig"] = {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}
    del processor["States"]["Run"]["Arguments"]["run"]["item"]
    arn = machine({"Each": {"Type": "Map", "ItemProcessor": processor, "End": True}})
    allow_start(job, arn)
    ended = wait_until_ended(job, start(job, arn, [RANDOM] * 3))
    assert ended["status"] == "SUCCEEDED", ended
    assert len({result["stdout"] for result in json.loads(ended["output"])}) == 3


@pytest.mark.parametrize("target", ["Identify", "Run"])
def test_documented_state_machine_runs_in_each_round_of_a_loop(
    job: Job, function: str, machine: Callable[[States], str], target: str
) -> None:
    states = documented(function)["States"]
    del states["Run"]["End"]
    states |= {
        "Identify": states["Identify"],
        "Run": {
            **states["Run"],
            "Output": "{% $merge([$states.input, {'last': $states.result}]) %}",
            "Next": "Count",
        },
        "Count": {
            "Type": "Pass",
            "Parameters": {
                "code.$": "$.code",
                "item.$": "$.item",
                "outputs.$": "States.Format('{}{}', $.outputs, $.last.stdout)",
            },
            "Next": "Again",
        },
        "Again": {
            "Type": "Choice",
            "Choices": [{"Variable": "$.outputs", "StringMatches": "#*#*#*", "Next": "Done"}],
            "Default": target,
        },
        "Done": {"Type": "Succeed"},
    }
    request = {"code": "import random; print('#', random.random())", "outputs": ""}
    ended = wait_until_ended(job, start(job, machine(states), request))
    assert ended["status"] == "SUCCEEDED", ended
    assert len(set(json.loads(ended["output"])["outputs"].split("#")[1:])) == 3


def test_items_that_send_the_same_run_are_rejected_with_the_cause(
    job: Job, function: str, machine: Callable[[States], str]
) -> None:
    """Without `entered` and `item`, as in earlier releases, no item gets the result of another one."""
    item = {"StartAt": "Run", "States": {"Run": {**task(function), "End": True}}}
    each = {"Type": "Map", "MaxConcurrency": 1, "ItemProcessor": item, "End": True}
    ended = wait_until_ended(job, start(job, machine({"Each": each}), [job.event["request"]] * 3))
    assert (ended["status"], ended["error"]) == ("FAILED", "InvalidRequest"), ended
    assert "another item of a Map" in ended["cause"]
    assert job.executions() == 1


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


def test_retry_and_redrive_of_a_completed_run_return_the_stored_result(
    job: Job, function: str, machine: Callable[[States], str]
) -> None:
    state = {**task(function, run=dict(VISIT)), "End": True}
    execution = start(job, machine({"Run": state}), job.event["request"])
    result = json.loads(wait_until_ended(job, execution)["output"])
    assert result.pop("usage")["calls"] > 0
    (key,) = [file["s3Uri"].split("entered=")[1] for file in result["files"]]
    entered = f"{key[:13]}:{key[13:15]}:{key[15:22]}"
    for retry, redrive in ((1, 0), (0, 1)):
        run = {"execution": execution, "state": "Run", "entered": entered, "retry": retry, "redrive": redrive}
        event = {**job.event, "run": run}
        again = job.product.session.client("lambda").invoke(FunctionName=function, Payload=json.dumps(event))
        stored = json.load(again["Payload"])
        usage = stored.pop("usage")  # of this attempt, which runs no code
        assert (usage["calls"], usage["sessionSeconds"]) == (0, 0)
        assert stored == result
    assert job.executions() == 1


def wait_until(condition: Callable[[], Any]) -> Any:
    """Returns the first true value of a condition."""
    until = time.monotonic() + PATIENCE_SECONDS
    while not (value := condition()):
        assert time.monotonic() < until
        time.sleep(0.2)
    return value


def test_the_session_of_a_stopped_execution_ends_and_its_run_is_recorded_as_lost(product: Product) -> None:
    workflows, s3 = product.session.client("stepfunctions"), product.session.client("s3")
    request = {"code": "open('started', 'w')\nwhile True: pass", "sessionTimeoutSeconds": 3_600}
    execution = workflows.start_execution(
        stateMachineArn=product.deployment.run_code_arn, name=str(uuid.uuid4()), input=json.dumps(request)
    )["executionArn"]
    bucket, prefix = product.deployment.bucket, f"{product.deployment.prefix}/runs/{Run(execution).execution_key}/"

    def record() -> dict[str, Any]:
        for item in s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", []):
            return json.loads(s3.get_object(Bucket=bucket, Key=item.get("Key", ""))["Body"].read())
        return {}

    wait_until(lambda: record().get("state") == "accepted")
    workflows.stop_execution(executionArn=execution)
    wait_until(lambda: not product.live_sessions())
    assert wait_until(lambda: record().get("error"))["name"] == "SessionLost"


def test_a_stopped_execution_stays_stopped_when_its_running_task_fails(
    product: Product, function: str, machine: Callable[[States], str]
) -> None:
    workflows = product.session.client("stepfunctions")
    run = {"execution.$": "$$.Execution.Id", "state": "Run", "entered.$": "$$.State.EnteredTime"}
    event = {"operation": "run_code", "request": {"code": "while True: pass"}, "run": run}
    arn = machine({"Run": {"Type": "Task", "Resource": function, "Parameters": event, "End": True}})
    execution = workflows.start_execution(stateMachineArn=arn)["executionArn"]
    wait_until(product.live_sessions)
    assert len(stopping.stop_execution(product.session, product.deployment, execution)) == 1

    def types() -> list[str]:
        return [event["type"] for event in workflows.get_execution_history(executionArn=execution)["events"]]

    wait_until(lambda: "TaskFailed" in types())
    assert workflows.describe_execution(executionArn=execution)["status"] == "ABORTED"
    assert "ExecutionFailed" not in types()


def _save_record_as_file(product: Product, source: str, target: str) -> None:
    """Saves the record of an execution as an output file of another one, as a program can do."""
    objects, bucket = product.session.client("s3"), product.deployment.bucket
    folders = [f"{product.deployment.prefix}/runs/{Run(execution).execution_key}/" for execution in (source, target)]
    (record,) = objects.list_objects_v2(Bucket=bucket, Prefix=folders[0]).get("Contents", [])
    content = objects.get_object(Bucket=bucket, Key=record.get("Key", ""))["Body"].read()
    objects.put_object(Bucket=bucket, Key=f"{folders[1]}Open/files/claim.json", Body=content)


def test_one_command_stops_an_execution_with_its_open_session_or_one_session(
    product: Product, function: str, machine: Callable[[States], str]
) -> None:
    workflows = product.session.client("stepfunctions")
    run = {"execution.$": "$$.Execution.Id", "state": "Open", "entered.$": "$$.State.EnteredTime"}
    opened = {"operation": "open_session", "request": {}, "run": run}
    states: States = {
        "Open": {"Type": "Task", "Resource": function, "Parameters": opened, "Next": "Wait"},
        "Wait": {"Type": "Wait", "Seconds": 3600, "End": True},
    }
    arn = machine(states)
    executions = [workflows.start_execution(stateMachineArn=arn)["executionArn"] for _ in range(2)]
    wait_until(lambda: len(product.live_sessions()) == 2)
    _save_record_as_file(product, executions[1], executions[0])
    (stopped,) = stopping.stop_execution(product.session, product.deployment, executions[0])
    assert workflows.describe_execution(executionArn=executions[0])["status"] == "ABORTED"
    (live,) = product.live_sessions()
    assert live != stopped

    assert stopping.stop_one_session(product.session, product.deployment, live)
    assert not stopping.stop_one_session(product.session, product.deployment, live)
    assert product.live_sessions() == []
    assert stopping.stop_execution(product.session, product.deployment, executions[1]) == ()
    with pytest.raises(CliError, match="run-code:none' is not an execution; allowed: the ARN of an execution"):
        stopping.stop_execution(product.session, product.deployment, "none")
    with pytest.raises(CliError, match="allowed: a session of the interpreters"):
        stopping.stop_one_session(product.session, product.deployment, "none")
