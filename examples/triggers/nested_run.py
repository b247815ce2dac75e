"""A state that runs a workflow of a tenant as a nested execution and waits for its result."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks

if TYPE_CHECKING:
    from collections.abc import Mapping

    from constructs import Construct


def nested_run(
    scope: Construct,
    name: str,
    *,
    comment: str,
    workflow: sfn.IStateMachine,
    request: Mapping[str, Any],
    outputs: Any,
) -> tasks.StepFunctionsStartExecution:
    """Returns the state. If the run fails, the execution fails with the error of the run.

    Args:
        scope: The stack.
        name: The name of the state.
        comment: Its comment.
        workflow: The workflow of the tenant.
        request: The input of the workflow, which can contain JSONata.
        outputs: The output of the state, in JSONata. `$states.result.Output` is the output of the workflow.
    """
    run = tasks.StepFunctionsStartExecution.jsonata(
        scope,
        name,
        comment=comment,
        state_machine=workflow,
        integration_pattern=sfn.IntegrationPattern.RUN_JOB,
        input=sfn.TaskInput.from_object(dict(request)),
        outputs=outputs,
    )
    # The cause of a failed nested execution is its description, with its error and its cause.
    failed = sfn.Fail.jsonata(
        scope,
        f"{name} failed",
        comment="Fails with the error of the run instead of States.TaskFailed",
        error="{% $parse($states.input.Cause).Error %}",
        cause="{% $parse($states.input.Cause).Cause %}",
    )
    run.add_catch(failed, errors=["States.TaskFailed"], outputs="{% $states.errorOutput %}")
    return run
