"""The workflow `run-batch`: a valid definition, retries that run no item twice, and exact permissions."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_s3 as s3

from sandpiper_constructs.bucket_folder import BucketFolder
from sandpiper_constructs.interpreter import CodeInterpreter
from sandpiper_constructs.run_batch_workflow import RunBatchWorkflow
from sandpiper_constructs.session_function import BatchLimits, SessionFunction
from sandpiper_constructs.template_text import template_text
from sandpiper_contract.errors import ERRORS, RETRYABLE
from sandpiper_contract.events import Event
from tests.support.account import ACCOUNT, REGION
from tests.support.assemblies import new_app
from tests.support.batch_runs import RETRIED
from tests.support.state_machine import StateMachine, TaskError
from tests.support.workflow_definitions import definition_of, validate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    Definition = dict[str, Any]

STATES = f"arn:aws:states:{REGION}:{ACCOUNT}"


@pytest.fixture(scope="module")
def resources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Returns the resources of a stack with the workflow by logical id."""
    app = new_app(tmp_path_factory.mktemp("batch"))
    stack = cdk.Stack(app, "stack", env=cdk.Environment(account=ACCOUNT, region=REGION))
    folder = BucketFolder(bucket=s3.Bucket.from_bucket_name(stack, "Bucket", "bucket"), path="tenants/a")
    function = SessionFunction(
        stack,
        "Function",
        service="a",
        interpreters={"one": CodeInterpreter(stack, "One", name_prefix="one")},
        folder=folder,
        code=lambda_.Code.from_inline("pass"),
        batch_limits=BatchLimits(max_concurrency=9, seconds_between_calls=0.5),
    )
    RunBatchWorkflow(stack, "RunBatch", name="run-batch", session_function=function, folder=folder)
    return app.synth().get_stack_by_name("stack").template["Resources"]


@pytest.fixture
def definition(resources: dict[str, dict[str, Any]]) -> Definition:
    (machine,) = of_type(resources, "AWS::StepFunctions::StateMachine")
    return definition_of(machine)


def of_type(resources: dict[str, dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [each["Properties"] for each in resources.values() if each["Type"] == kind]


def states(definition: Definition) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields every state, also those of the child executions."""
    for name, state in definition["States"].items():
        yield name, state
        if "ItemProcessor" in state:
            yield from states(state["ItemProcessor"])


def test_definition_is_valid_and_every_state_has_a_comment(definition: Definition, tmp_path: Path) -> None:
    validate(definition, tmp_path / "run-batch.json")
    assert all(state["Comment"] for _, state in states(definition))
    assert definition["QueryLanguage"] == "JSONata"


def test_no_state_has_a_catch_so_that_a_redrive_continues_where_the_batch_failed(definition: Definition) -> None:
    assert {name for name, state in states(definition) if "Catch" in state} == set()


def test_items_are_retried_after_lambda_errors_and_never_after_other_errors_of_the_contract(
    definition: Definition,
) -> None:
    found = dict(states(definition))
    retried = {error for entry in found["RunItems"]["Retry"] for error in entry["ErrorEquals"]}
    assert retried & ERRORS.keys() == set(RETRYABLE)
    assert {"Lambda.Unknown", "States.Timeout"} <= retried
    (waiting,) = [
        each for each in found["RunItems"]["Retry"] if "Lambda.TooManyRequestsException" in each["ErrorEquals"]
    ]
    assert waiting["MaxAttempts"] * 5 < 25_000, "events of a history"


def test_the_driver_of_the_property_tests_repeats_the_errors_of_the_definition(definition: Definition) -> None:
    found = dict(states(definition))
    for state, errors in RETRIED.items():
        retried = {error for entry in found[state]["Retry"] for error in entry["ErrorEquals"]}
        assert {error for error in retried if error in {*ERRORS, "Lambda.Unknown"}} == {*RETRYABLE, *errors}, state


@dataclass
class SimulatedBatch:
    """The tasks of a batch of four items, with an error in the attempts of one state from `first` on."""

    state: str
    error: str
    times: int = 9_999
    items_per_session: int = 2
    tolerated: int = 4
    ran: list[int] = field(default_factory=list[int])
    finished: int = 0

    def run(self, state: str, arguments: Any, timeout_seconds: float, machine: StateMachine) -> Any:  # noqa: ARG002
        """Performs the task of a state. Raises TaskError."""
        if state == "Items":
            return [{"index": index, "item": "{}"} for index in range(4)]
        if state == self.state and self.times:
            self.times -= 1
            raise TaskError(self.error, json.dumps({"errorMessage": "injected"}))
        request: Any = Event.from_json(arguments, "event").typed_request().to_json()
        if state == "PrepareBatch":
            prepared = {"bucket": "bucket", "key": "items.jsonl", "count": 4, "maxConcurrency": 2}
            tolerated = {"toleratedCount": self.tolerated, "toleratedPercentage": 100.0}
            return {**prepared, **tolerated, "itemsPerSession": self.items_per_session}
        if state == "RunItems":  # one item in each invocation
            left: list[int] = [item["index"] for item in request["items"] if item["index"] not in self.ran]
            self.ran.append(left[0])
            return {"succeeded": 1, "failed": 0, "remaining": len(left) - 1}
        self.finished += 1
        return {"finished": self.finished == 2}


BATCH = {
    "items": {"location": "s3://bucket/tenants/a/inputs/a.jsonl", "format": "jsonl"},
    "request": {"code": "1"},
}
LAMBDA_ERRORS = ("Lambda.Unknown", "Lambda.TooManyRequestsException", "States.Timeout")


@pytest.mark.parametrize("state", RETRIED)
def test_every_error_at_every_state_ends_the_batch_with_its_name_or_is_in_the_results(
    definition: Definition, state: str
) -> None:
    for error in (*ERRORS, *LAMBDA_ERRORS):
        tasks = SimulatedBatch(state, error, times=10)
        machine = StateMachine(definition, tasks)
        output = machine.execute(BATCH)
        retried = error in {*RETRYABLE, "Lambda.TooManyRequestsException"}
        if state == "RunItems" or retried:
            assert (machine.error, output) == (None, {"finished": True}), error
            failed = [child.error[0] for child in machine.children if child.error]
            assert set(failed) <= {error}
            assert bool(failed) is not retried
            assert sorted(tasks.ran) == sorted(set(tasks.ran))
        else:
            assert machine.error is not None
            assert machine.error[0] == error
            assert (tasks.ran == []) is (state == "PrepareBatch")


def test_every_retryable_error_that_happens_once_is_retried(definition: Definition) -> None:
    for state in RETRIED:
        for error in {error for entry in dict(states(definition))[state]["Retry"] for error in entry["ErrorEquals"]}:
            tasks = SimulatedBatch(state, error, times=1)
            machine = StateMachine(definition, tasks)
            assert machine.execute(BATCH) == {"finished": True}, (state, error)
            assert tasks.ran == [0, 1, 2, 3]


def test_child_executions_end_when_too_many_items_have_failed(definition: Definition) -> None:
    tasks = SimulatedBatch("RunItems", "AccessDenied", items_per_session=1, tolerated=1)
    machine = StateMachine(definition, tasks)
    assert machine.execute(BATCH) is None
    assert machine.error == ("States.ExceedToleratedFailureThreshold", "")
    assert (len(machine.children), tasks.finished) == (2, 0)  # the rule for failed executions writes the results


def test_role_starts_its_own_children_and_reads_the_items_of_its_batches(resources: dict[str, dict[str, Any]]) -> None:
    (role,) = [each for each in of_type(resources, "AWS::IAM::Role") if "RunCode" in json.dumps(each)]
    statements = {
        tuple([each["Action"]] if isinstance(each["Action"], str) else each["Action"]): template_text(each["Resource"])
        for each in role["Policies"][0]["PolicyDocument"]["Statement"]
    }
    assert statements[("states:StartExecution",)] == f"{STATES}:stateMachine:run-batch"
    children = ("states:DescribeExecution", "states:RedriveExecution", "states:StopExecution")
    assert statements[children] == f"{STATES}:execution:run-batch/Items:*"
    s3_actions = {actions: resource for actions, resource in statements.items() if actions[0].startswith("s3:")}
    assert {actions: resource.split(":::")[1] for actions, resource in s3_actions.items()} == {
        ("s3:GetObject",): "bucket/tenants/a/runs/run-batch/*/items.jsonl"
    }
    assert {"Key": "sandpiper:component", "Value": "batch-workflow"} in role["Tags"]


def test_function_has_the_limits_and_may_list_sessions(resources: dict[str, dict[str, Any]]) -> None:
    (function,) = of_type(resources, "AWS::Lambda::Function")
    limits = function["Environment"]["Variables"]["SANDPIPER_BATCH_LIMITS"]
    assert json.loads(limits) == {"maxConcurrency": 9, "secondsBetweenCalls": 0.5}
    policies = json.dumps(of_type(resources, "AWS::IAM::Policy"))
    assert "bedrock-agentcore:ListCodeInterpreterSessions" in policies


def test_rule_finishes_batches_that_failed_or_were_stopped(resources: dict[str, dict[str, Any]]) -> None:
    (rule,) = of_type(resources, "AWS::Events::Rule")
    assert rule["EventPattern"]["detail"]["status"] == ["FAILED", "TIMED_OUT", "ABORTED"]
    assert len(rule["EventPattern"]["detail"]["stateMachineArn"]) == 1, "child executions are part of the batch"
    template = json.loads(
        rule["Targets"][0]["InputTransformer"]["InputTemplate"].replace("<detail-executionArn>", '"x"')
    )
    assert template == {"operation": "finish_batch", "run": {"execution": "x"}, "request": {"stopped": True}}
