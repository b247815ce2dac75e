"""The request that an operation's state sends, and its errors at synthesis."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_stepfunctions as sfn

from sandpiper_constructs.operation_task import OperationTask
from sandpiper_constructs.session_workflow import SessionWorkflow
from sandpiper_constructs.template_text import template_text
from sandpiper_contract.errors import RETRYABLE
from sandpiper_contract.events import Event
from sandpiper_contract.operations import OPERATIONS
from sandpiper_contract.records import fields_of
from tests.support.assemblies import states_of
from tests.support.policy_documents import statements
from tests.support.project import PROJECT
from tests.support.session_functions import session_function

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.assemblies import Template

    Render = Callable[[Callable[[cdk.Stack], object]], Template]

RUN = {
    "execution.$": "$$.Execution.Id",
    "state.$": "$$.State.Name",
    "started.$": "$$.Execution.StartTime",
    "entered.$": "$$.State.EnteredTime",
    "retry.$": "$$.State.RetryCount",
    "redrive.$": "$$.Execution.RedriveCount",
}


def workflow(stack: cdk.Stack, **task: Any) -> SessionWorkflow:
    """Creates a workflow with one task."""
    function = session_function(stack)
    return SessionWorkflow(
        stack,
        "Workflow",
        name="one",
        session_function=function,
        states=lambda scope: OperationTask(scope, "Task", session_function=function, **task),
        timeout_seconds=3_600,
    )


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_operation_can_be_a_state(render: Render, operation: str) -> None:
    known = [field.name for field in fields_of(OPERATIONS[operation].request)]
    request = {name: sfn.JsonPath.object_at(f"$.{name}") for name in known}
    template = render(lambda stack: workflow(stack, operation=operation, request=request))
    task = states_of(template)["States"]["Task"]
    assert task["Parameters"] == {
        "operation": operation,
        "run": RUN,
        "request": {f"{name}.$": f"$.{name}" for name in known},
    }
    (retry,) = task["Retry"]
    assert retry["ErrorEquals"] == [*RETRYABLE, "Lambda.TooManyRequestsException"]


def test_request_is_the_input_of_the_state_by_default(render: Render) -> None:
    template = render(lambda stack: workflow(stack, operation="run_code", result_path="$.result"))
    task = states_of(template)["States"]["Task"]
    assert (task["Parameters"]["request.$"], task["ResultPath"]) == ("$", "$.result")


def map_workflow(stack: cdk.Stack, mode: str, **task: Any) -> SessionWorkflow:
    """Creates a workflow whose task is in a Map, below a Parallel state."""
    function = session_function(stack)

    def states(scope: Any) -> Any:
        run = OperationTask(scope, "Task", session_function=function, operation="run_code", **task)
        branches = sfn.Parallel(scope, "Both").branch(run)
        each = sfn.Map(scope, "Each") if mode == "INLINE" else sfn.DistributedMap(scope, "Each")
        return each.item_processor(branches)

    return SessionWorkflow(
        stack, "Workflow", name="one", session_function=function, states=states, timeout_seconds=3_600
    )


def test_items_of_an_inline_map_are_separate_runs(render: Render) -> None:
    template = render(lambda stack: map_workflow(stack, "INLINE", item_path="$.index"))
    (branch,) = states_of(template)["States"]["Each"]["ItemProcessor"]["States"]["Both"]["Branches"]
    assert branch["States"]["Task"]["Parameters"]["run"] == {**RUN, "item.$": "States.Format('{}', $.index)"}


def test_task_of_an_inline_map_without_an_item_fails_synthesis() -> None:
    with pytest.raises(ValueError, match=r"^Task is in the inline Map Each and has no item_path, .*Map\.Item\.Index"):
        map_workflow(cdk.Stack(), "INLINE")


def test_task_of_a_distributed_map_needs_no_item(render: Render) -> None:
    assert render(lambda stack: map_workflow(stack, "DISTRIBUTED"))


@pytest.mark.parametrize(
    ("task", "message"),
    [
        ({"operation": "run"}, "operation is 'run'; allowed: run_code | run_command | "),
        (
            {"operation": "poll_command", "request": {"taskId": "1"}},
            "Task: taskId is not a field of poll_command; allowed: task, outputs, failOnError",
        ),
    ],
)
def test_unknown_operations_and_fields_fail_synthesis(task: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=r"allowed|not a field") as raised:
        workflow(cdk.Stack(), **task)
    assert str(raised.value).startswith(message)


def test_workflow_role_can_invoke_only_its_function(render: Render) -> None:
    template = render(lambda stack: workflow(stack, operation="run_code"))
    (function,) = template.resources("AWS::Lambda::Function")
    role = next(
        role
        for role in template.resources("AWS::IAM::Role").values()
        if "states.amazonaws.com" in json.dumps(role["AssumeRolePolicyDocument"])
    )
    (policy,) = role["Policies"]
    granted = {
        action: statement["Resource"]
        for statement in statements(policy["PolicyDocument"])
        for action in statement["Action"]
        if not action.startswith(("logs:", "xray:"))
    }
    assert granted == {"lambda:InvokeFunction": [{"Fn::GetAtt": [function, "Arn"]}]}


def test_examples_of_the_workflows_page_are_synthesized(render: Render) -> None:
    programs = re.findall(r"```python\n(.*?)```", (PROJECT / "docs" / "workflows.md").read_text(), re.DOTALL)

    def fill(stack: cdk.Stack) -> None:
        names = {"self": stack, "sfn": sfn, "session_function": session_function(stack)}
        for program in programs:
            exec(program, names)  # noqa: S102 - our page

    machines = render(fill).resources("AWS::StepFunctions::StateMachine").values()
    one, each = [json.loads(template_text(machine["DefinitionString"]))["States"] for machine in machines]
    count = one["Count"]
    assert count["Arguments"]["request"] == {"command": "{% $states.input.command %}", "outputs": {"paths": []}}
    assert (count["QueryLanguage"], count["Output"]) == ("JSONata", {"counted": "{% $states.result.stdout %}"})
    run = each["Each"]["ItemProcessor"]["States"]["Score"]["Parameters"]["run"]
    assert run["item.$"] == "States.Format('{}', $.index)"


JSONATA = sfn.QueryLanguage.JSONATA


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"outputs": "{% 1 %}"}, "Task: outputs is set; allowed with this query_language: result_path, item_path"),
        (
            {"query_language": JSONATA, "item_path": "$.i"},
            "Task: item_path is set; allowed with this query_language: outputs",
        ),
    ],
)
def test_an_argument_of_the_other_query_language_fails_synthesis(
    render: Render, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        render(lambda stack: workflow(stack, operation="run_code", **options))


def test_a_jsonata_task_in_a_map_needs_an_item(render: Render) -> None:
    def each(stack: cdk.Stack, **options: Any) -> SessionWorkflow:
        function = session_function(stack)

        def states(scope: Any) -> sfn.IChainable:
            task = OperationTask(
                scope, "Task", session_function=function, operation="run_code", query_language=JSONATA, **options
            )
            return sfn.Map.jsonata(scope, "Each").item_processor(task)

        return SessionWorkflow(
            stack,
            "Workflow",
            name="one",
            session_function=function,
            states=states,
            timeout_seconds=3_600,
            query_language=JSONATA,
        )

    with pytest.raises(ValueError, match="Task is in the inline Map Each and has no item_path"):
        render(each)
    states = states_of(render(lambda stack: each(stack, item="{% $states.input.id %}")))["States"]
    assert states["Each"]["ItemProcessor"]["States"]["Task"]["Arguments"]["run"]["item"] == "{% $states.input.id %}"


def test_a_workflow_stops_the_sessions_of_its_stopped_executions(render: Render) -> None:
    template = render(lambda stack: workflow(stack, operation="run_code"))
    (rule,) = template.resources("AWS::Events::Rule").values()
    (machine,) = template.resources("AWS::StepFunctions::StateMachine")
    (function,) = template.resources("AWS::Lambda::Function")
    pattern, (target,) = rule["EventPattern"], rule["Targets"]
    assert pattern["detail"]["status"] == ["FAILED", "TIMED_OUT", "ABORTED"]
    assert pattern["detail"]["stateMachineArn"][0] == {"Ref": machine}
    assert target["Arn"] == {"Fn::GetAtt": [function, "Arn"]}
    paths, text = target["InputTransformer"]["InputPathsMap"], target["InputTransformer"]["InputTemplate"]
    values = {
        "$.detail.executionArn": '"arn:aws:states:eu-west-1:123456789012:execution:a:b"',
        "$.detail.status": '"FAILED"',
    }
    for name, path in paths.items():
        text = text.replace(f"<{name}>", values[path])
    event = json.loads(text)
    assert Event.from_json(event, "event").run.execution_key == "a/b"
