"""The embedded Step Functions: outcomes, redrives, express executions and logs, with states that call nothing."""

from __future__ import annotations

import json
import time
import uuid
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.support.target import ON_AWS

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from local_aws.running_instance import RunningInstance

pytestmark = pytest.mark.skipif(ON_AWS, reason="it compares the embedded AWS with the documentation of AWS")
PATIENCE_SECONDS = 60
READY, WAIT = {"Type": "Pass", "Next": "Wait"}, {"Type": "Wait", "Seconds": 300, "End": True}
WAITING = {"Ready": READY, "Wait": WAIT}


def client(service: str, **options: Any) -> Any:
    """Returns a client of the embedded AWS."""
    untyped: Any = boto3
    return untyped.client(service, **options)


class StateMachines:
    """State machines of one test, without permissions other than those given, and their log group and queue."""

    def __init__(self) -> None:
        """Creates the role."""
        self.client = client("stepfunctions")
        self.name = f"states-{uuid.uuid4()}"
        self.created = list[str]()
        trust = {"Effect": "Allow", "Principal": {"Service": "states.amazonaws.com"}, "Action": "sts:AssumeRole"}
        self.iam = client("iam")
        role = self.iam.create_role(RoleName=self.name, AssumeRolePolicyDocument=policy(trust))
        self.role: str = role["Role"]["Arn"]

    def create(self, states: dict[str, Any], *, machine_type: str = "STANDARD", logged: str = "", **fields: Any) -> str:
        """Creates a state machine that begins with the first state, and returns its ARN."""
        definition = {"StartAt": next(iter(states)), "States": states, **fields}
        logging = {"loggingConfiguration": {"level": logged, "destinations": [self.log()]}} if logged else {}
        arn: str = self.client.create_state_machine(
            name=f"{self.name}-{len(self.created)}",
            definition=json.dumps(definition),
            roleArn=self.role,
            type=machine_type,
            **logging,
        )["stateMachineArn"]
        self.created.append(arn)
        return arn

    def log(self) -> dict[str, Any]:
        """Creates the log group and returns it as a destination."""
        logs = client("logs")
        logs.create_log_group(logGroupName=self.name)
        return {
            "cloudWatchLogsLogGroup": {"logGroupArn": f"arn:aws:logs:us-east-1:000000000000:log-group:{self.name}:*"}
        }

    def logged(self) -> list[dict[str, Any]]:
        """Returns the events in the log group."""
        logs = client("logs")
        return [json.loads(event["message"]) for event in logs.filter_log_events(logGroupName=self.name)["events"]]

    def start(self, arn: str, execution_input: Any = None) -> str:
        """Starts an execution and returns its ARN."""
        return self.client.start_execution(stateMachineArn=arn, input=json.dumps(execution_input or {}))["executionArn"]

    def wait(self, execution: str) -> dict[str, Any]:
        """Returns the description of an execution when it has ended."""
        return wait_until(lambda: (one := self.describe(execution))["status"] != "RUNNING" and one)

    def describe(self, execution: str) -> dict[str, Any]:
        """Returns the description of an execution."""
        return self.client.describe_execution(executionArn=execution)

    def wait_for_event(self, execution: str, event_type: str) -> None:
        """Waits until the history has an event of a type."""
        wait_until(lambda: event_type in self.types(execution))

    def types(self, execution: str) -> list[str]:
        """Returns the types of the events in the history."""
        return [event["type"] for event in self.history(execution)]

    def history(self, execution: str) -> list[dict[str, Any]]:
        """Returns the events in the history."""
        return self.client.get_execution_history(executionArn=execution, maxResults=1000)["events"]

    def delete(self) -> None:
        """Deletes everything."""
        for arn in self.created:
            self.client.delete_state_machine(stateMachineArn=arn)
        for name in self.iam.list_role_policies(RoleName=self.name)["PolicyNames"]:
            self.iam.delete_role_policy(RoleName=self.name, PolicyName=name)
        self.iam.delete_role(RoleName=self.name)


def policy(statement: dict[str, Any]) -> str:
    """Returns a policy document."""
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def wait_until(condition: Callable[[], Any]) -> Any:
    """Returns the first true value of a condition."""
    until = time.monotonic() + PATIENCE_SECONDS
    while not (value := condition()):
        assert time.monotonic() < until
        time.sleep(0.05)
    return value


@pytest.fixture
def machines(aws: RunningInstance) -> Generator[StateMachines]:
    """Returns the state machines of the test. They are deleted after it."""
    assert aws
    machines = StateMachines()
    yield machines
    machines.delete()


@pytest.fixture
def status_events(aws: RunningInstance) -> Generator[Callable[[str], list[dict[str, Any]]]]:
    """Returns a function that returns the status events of an execution since the test began."""
    assert aws
    events = client("events")
    sqs = client("sqs")
    name = f"states-{uuid.uuid4()}"
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    events.put_rule(Name=name, EventPattern=json.dumps({"source": ["aws.states"]}))
    events.put_targets(Rule=name, Targets=[{"Id": "queue", "Arn": arn}])
    received: list[dict[str, Any]] = []

    def of(execution: str) -> list[dict[str, Any]]:
        while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                received.append(json.loads(message["Body"])["detail"])
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return [detail for detail in received if detail["executionArn"] == execution]

    yield of
    events.remove_targets(Rule=name, Ids=["queue"])
    events.delete_rule(Name=name)
    sqs.delete_queue(QueueUrl=url)


FAILING = {"Fail": {"Type": "Fail", "Error": "Own", "Cause": "a reason"}}


@pytest.mark.parametrize(
    ("states", "fields", "stop", "status", "error", "cause"),
    [
        ({"Pass": {"Type": "Pass", "End": True}}, {}, False, "SUCCEEDED", None, None),
        (FAILING, {}, False, "FAILED", "Own", "a reason"),
        (WAITING, {"TimeoutSeconds": 1}, False, "TIMED_OUT", "States.Timeout", None),
        (WAITING, {"TimeoutSeconds": 100}, True, "ABORTED", "Mine", "stopped"),
    ],
)
def test_each_outcome_has_a_history_event_and_a_status_event(
    machines: StateMachines,
    status_events: Callable[[str], list[dict[str, Any]]],
    states: dict[str, Any],
    fields: dict[str, Any],
    stop: bool,
    status: str,
    error: str | None,
    cause: str | None,
) -> None:
    execution = machines.start(machines.create(states, **fields))
    if stop:
        machines.wait_for_event(execution, "WaitStateEntered")
        machines.client.stop_execution(executionArn=execution, error="Mine", cause="stopped")
    ended = machines.wait(execution)
    assert (ended["status"], ended.get("error"), ended.get("cause")) == (status, error, cause)
    is_redrivable = status != "SUCCEEDED"
    assert ended["redriveStatus"] == ("REDRIVABLE" if is_redrivable else "NOT_REDRIVABLE")
    outcome = {"TIMED_OUT": "ExecutionTimedOut"}.get(status, f"Execution{status.capitalize()}")
    assert machines.types(execution)[-1] == outcome
    events = wait_until(lambda: (found := status_events(execution))[1:] and found)
    assert [event["status"] for event in events] == ["RUNNING", status]
    last = events[-1]
    assert (last["error"], last["cause"], last["redriveCount"]) == (error, cause, 0)
    assert (last["output"] is not None) == (status == "SUCCEEDED")


def test_an_execution_that_has_timed_out_enters_no_other_state(machines: StateMachines) -> None:
    wait = {"Type": "Wait", "Seconds": 2, "Next": "After"}
    branch = {"StartAt": "Wait", "States": {"Wait": wait, "After": {"Type": "Pass", "End": True}}}
    states = {"Both": {"Type": "Parallel", "Branches": [branch], "Catch": [], "End": True}}
    execution = machines.start(machines.create(states, TimeoutSeconds=1))
    assert machines.wait(execution)["status"] == "TIMED_OUT"
    time.sleep(2)
    assert machines.types(execution)[-1] == "ExecutionTimedOut"
    assert "PassStateEntered" not in machines.types(execution)


MISSING = "arn:aws:states:::aws-sdk:ssm:getParameter"


def parameter_task(name: str, **fields: Any) -> dict[str, Any]:
    """Returns a task that fails until the parameter exists."""
    return {"Type": "Task", "Resource": MISSING, "Parameters": {"Name": name}, "End": True, **fields}


def reading_item(name: str, **fields: Any) -> dict[str, Any]:
    """Returns an item processor that reads the parameter for the item 1."""
    choice = {"Type": "Choice", "Choices": [{"Variable": "$", "NumericEquals": 1, "Next": "Read"}], "Default": "Done"}
    states = {"Which": choice, "Read": parameter_task(name), "Done": {"Type": "Pass", "End": True}}
    return {"StartAt": "Which", "States": states, **fields}


@pytest.fixture
def parameter(machines: StateMachines) -> Generator[Callable[[], None]]:
    """Returns a function that creates the parameter that tasks of the test read."""
    statement = {"Effect": "Allow", "Action": ["ssm:GetParameter", "states:StartExecution"], "Resource": "*"}
    machines.iam.put_role_policy(RoleName=machines.name, PolicyName="tasks", PolicyDocument=policy(statement))
    ssm = client("ssm")

    def create() -> None:
        ssm.put_parameter(Name=machines.name, Value="1", Type="String")

    yield create
    ssm.delete_parameter(Name=machines.name)


def test_a_name_starts_one_execution(machines: StateMachines) -> None:
    arn = machines.create({"Wait": {"Type": "Wait", "Seconds": 600, "End": True}})
    first, again = (
        machines.client.start_execution(stateMachineArn=arn, name="once", input='{"n": 1}') for _ in range(2)
    )
    assert (again["executionArn"], again["startDate"]) == (first["executionArn"], first["startDate"])
    with pytest.raises(machines.client.exceptions.ExecutionAlreadyExists):
        machines.client.start_execution(stateMachineArn=arn, name="once", input='{"n": 2}')
    machines.client.stop_execution(executionArn=first["executionArn"])
    with pytest.raises(machines.client.exceptions.ExecutionAlreadyExists):
        machines.client.start_execution(stateMachineArn=arn, name="once", input='{"n": 1}')
    assert len(machines.client.list_executions(stateMachineArn=arn)["executions"]) == 1


def test_a_redrive_continues_at_the_failed_state(
    machines: StateMachines, status_events: Callable[[str], list[dict[str, Any]]], parameter: Callable[[], None]
) -> None:
    seen = {"count.$": "$$.Execution.RedriveCount", "entered.$": "$$.State.EnteredTime", "from.$": "$.from"}
    states = {
        "First": {"Type": "Pass", "Parameters": {"from": "first"}, "Next": "Read"},
        "Read": parameter_task(machines.name, ResultPath="$.read", Next="Last"),
        "Last": {"Type": "Pass", "Parameters": seen, "End": True},
    }
    del states["Read"]["End"]
    arn = machines.create(states)
    execution = machines.start(arn)
    assert machines.wait(execution)["status"] == "FAILED"
    assert machines.client.list_executions(stateMachineArn=arn)["executions"][0]["redriveCount"] == 0
    parameter()
    token = str(uuid.uuid4())
    for _ in range(2):  # the second has no effect
        machines.client.redrive_execution(executionArn=execution, clientToken=token)
    ended = machines.wait(execution)
    output = json.loads(ended["output"])
    assert (ended["status"], ended["redriveCount"], ended.get("error")) == ("SUCCEEDED", 1, None)
    assert (output["count"], output["from"]) == (1, "first")
    types = machines.types(execution)
    assert types.count("ExecutionRedriven") == 1
    assert [one for one in types if one.endswith("StateEntered")] == [
        "PassStateEntered",
        "TaskStateEntered",
        "PassStateEntered",
    ]
    with pytest.raises(ClientError, match="SUCCEEDED and cannot be redriven"):
        machines.client.redrive_execution(executionArn=execution)
    events = wait_until(lambda: (found := status_events(execution))[3:] and found)
    assert [(event["status"], event["redriveCount"]) for event in events] == [
        ("RUNNING", 0),
        ("FAILED", 0),
        ("RUNNING", 1),
        ("SUCCEEDED", 1),
    ]
    listed = machines.client.list_executions(stateMachineArn=arn, redriveFilter="NOT_REDRIVEN")
    assert listed["executions"] == []


@pytest.mark.parametrize("kind", ["Parallel", "Map"])
def test_a_redrive_runs_only_failed_branches_and_items(
    machines: StateMachines, parameter: Callable[[], None], kind: str
) -> None:
    item = reading_item(machines.name)
    read, done = ({"StartAt": name, "States": {name: item["States"][name]}} for name in ("Read", "Done"))
    state = {"Branches": [done, read]} if kind == "Parallel" else {"ItemsPath": "$.items", "ItemProcessor": item}
    execution = machines.start(machines.create({"Each": {"Type": kind, **state, "End": True}}), {"items": [0, 1]})
    assert machines.wait(execution)["status"] == "FAILED"
    parameter()
    machines.client.redrive_execution(executionArn=execution)
    ended = machines.wait(execution)
    assert ended["status"] == "SUCCEEDED"
    first, second = json.loads(ended["output"])
    assert first == (0 if kind == "Map" else {"items": [0, 1]})
    assert second["Parameter"]["Value"] == "1"
    assert machines.types(execution).count("PassStateEntered") == 1


def test_a_redrive_of_a_distributed_map_runs_only_failed_and_pending_items(
    machines: StateMachines, parameter: Callable[[], None]
) -> None:
    item = reading_item(machines.name, ProcessorConfig={"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"})
    state = {"Type": "Map", "ItemsPath": "$.items", "MaxConcurrency": 1, "ItemProcessor": item, "End": True}
    execution = machines.start(machines.create({"Each": state}), {"items": [0, 1, 2]})
    assert machines.wait(execution)["error"] == "States.ExceedToleratedFailureThreshold"
    (run,) = machines.client.list_map_runs(executionArn=execution)["mapRuns"]
    children = machines.client.list_executions(mapRunArn=run["mapRunArn"])["executions"]
    assert sorted(child["status"] for child in children) == ["FAILED", "SUCCEEDED"]
    failed = next(child["executionArn"] for child in children if child["status"] == "FAILED")
    assert machines.describe(failed)["redriveStatus"] == "REDRIVABLE_BY_MAP_RUN"
    parameter()
    machines.client.redrive_execution(executionArn=execution)
    ended = machines.wait(execution)
    assert ended["status"] == "SUCCEEDED", ended
    first, second, third = json.loads(ended["output"])
    assert (first, second["Parameter"]["Value"], third) == (0, "1", 2)
    described = machines.client.describe_map_run(mapRunArn=run["mapRunArn"])
    assert (described["status"], described["redriveCount"]) == ("SUCCEEDED", 1)
    counts = described["executionCounts"]
    assert {name: counts[name] for name in ("pending", "running", "succeeded", "failed", "total")} == {
        "pending": 0,
        "running": 0,
        "succeeded": 3,
        "failed": 0,
        "total": 3,
    }
    assert machines.describe(failed)["redriveCount"] == 1
    assert len(machines.client.list_executions(mapRunArn=run["mapRunArn"])["executions"]) == 3


def test_variables_of_a_branch_are_its_own(machines: StateMachines) -> None:
    own = {"Type": "Pass", "Assign": {"one": "{% $one + 1 %}"}, "Next": "Show"}
    branch = {"StartAt": "Own", "States": {"Own": own, "Show": {"Type": "Pass", "Output": "{% $one %}", "End": True}}}
    states = {
        "Set": {"Type": "Pass", "Assign": {"one": 1}, "Next": "Both"},
        "Both": {
            "Type": "Parallel",
            "Branches": [branch, branch],
            "Output": "{% {'own': $states.result, 'outer': $one} %}",
            "Next": "Done",
        },
        "Done": {"Type": "Succeed", "Output": "{% $merge([$states.input, {'done': true}]) %}"},
    }
    ended = machines.wait(machines.start(machines.create(states, QueryLanguage="JSONata")))
    assert json.loads(ended["output"]) == {"own": [2, 2], "outer": 1, "done": True}


def test_express_executions_return_their_result_and_are_not_stored(machines: StateMachines) -> None:
    states = {"Pass": {"Type": "Pass", "Result": {"a": 1}, "End": True}}
    arn = machines.create(states, machine_type="EXPRESS", logged="ALL")
    sync = client("stepfunctions", config=no_prefix())
    result = sync.start_sync_execution(stateMachineArn=arn, name="again")
    assert (result["status"], json.loads(result["output"])) == ("SUCCEEDED", {"a": 1})
    assert ":express:" in result["executionArn"]
    assert result["billingDetails"]["billedDurationInMilliseconds"] % 100 == 0
    assert sync.start_sync_execution(stateMachineArn=arn, name="again")["executionArn"] != result["executionArn"]
    started = machines.client.start_execution(stateMachineArn=arn)["executionArn"]
    logs = wait_until(lambda: [one for one in machines.logged() if one["execution_arn"] == started][3:])
    assert logs[-1]["type"] == "ExecutionSucceeded"
    for call, match in (
        (lambda: machines.client.list_executions(stateMachineArn=arn), "StateMachineTypeNotSupported"),
        (lambda: machines.describe(started), "InvalidArn"),
        (lambda: machines.history(started), "InvalidArn"),
        (lambda: machines.client.stop_execution(executionArn=started), "InvalidArn"),
        (lambda: sync.start_sync_execution(stateMachineArn=machines.create(states)), "StateMachineTypeNotSupported"),
    ):
        with pytest.raises(ClientError, match=match):
            call()


def no_prefix() -> Any:
    """Returns a configuration for StartSyncExecution, whose host has a prefix on AWS."""
    return Config(inject_host_prefix=False)


@pytest.mark.parametrize(
    ("states", "status", "error"), [(FAILING, "FAILED", "Own"), (WAITING, "TIMED_OUT", "States.Timeout")]
)
def test_express_executions_return_their_error(
    machines: StateMachines, states: dict[str, Any], status: str, error: str
) -> None:
    sync = client("stepfunctions", config=no_prefix())
    arn = machines.create(states, machine_type="EXPRESS", TimeoutSeconds=1)
    result = sync.start_sync_execution(stateMachineArn=arn)
    assert (result["status"], result["error"]) == (status, error)
    assert "output" not in result


def test_logs_have_the_events_of_the_history_without_data(machines: StateMachines) -> None:
    states = {"Ready": {"Type": "Pass", "Result": "secret", "Next": "Fail"}, **FAILING}
    execution = machines.start(machines.create(states, logged="ALL"), {"code": "secret"})
    machines.wait(execution)
    logged, history = machines.logged(), machines.history(execution)
    assert [(one["type"], one["id"], one["previous_event_id"]) for one in logged] == [
        (event["type"], str(event["id"]), str(event["previousEventId"])) for event in history
    ]
    assert "secret" not in json.dumps(logged)
    assert logged[0]["details"] == {"roleArn": machines.role}
    assert logged[1]["details"] == {"name": "Ready"}
    assert logged[-1]["details"] == {"error": "Own", "cause": "a reason"}
    assert {(one["execution_arn"], one["redrive_count"]) for one in logged} == {(execution, "0")}


@pytest.mark.parametrize(
    ("level", "types"), [("ERROR", ["FailStateEntered", "ExecutionFailed"]), ("FATAL", ["ExecutionFailed"])]
)
def test_logs_have_the_events_of_their_level(machines: StateMachines, level: str, types: list[str]) -> None:
    machines.wait(machines.start(machines.create(FAILING, logged=level)))
    assert [one["type"] for one in machines.logged()] == types
