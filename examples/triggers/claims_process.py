"""A state machine of an author, in which `run-code` of the tenant is one step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import Stack
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks

if TYPE_CHECKING:
    from constructs import Construct

    from tenant import Tenant


class ClaimsProcess(Stack):
    """A process that runs a program as a nested execution and continues with its result."""

    def __init__(self, scope: Construct, id: str, tenant: Tenant) -> None:  # noqa: A002 - the parameter's name in every stack
        super().__init__(scope, id)
        score = tasks.StepFunctionsStartExecution.jsonata(
            self,
            "Score",
            comment="Runs the program and waits for its result. Stopping the process stops the run as well",
            state_machine=tenant.workflow(self, "run-code"),
            integration_pattern=sfn.IntegrationPattern.RUN_JOB,
            input=sfn.TaskInput.from_object({"code": "{% $states.input.code %}", "failOnError": True}),
            outputs={"score": "{% $states.result.Output.stdout %}", "run": "{% $states.result.ExecutionArn %}"},
        )
        # The cause of the nested execution has its error and its cause.
        failed = sfn.Fail.jsonata(
            self,
            "Failed",
            comment="Fails with the error of the run instead of States.TaskFailed",
            error="{% $parse($states.input.Cause).Error %}",
            cause="{% $parse($states.input.Cause).Cause %}",
        )
        score.add_catch(failed, errors=["States.TaskFailed"], outputs="{% $states.errorOutput %}")
        sfn.StateMachine(
            self,
            "Process",
            state_machine_name=id,
            query_language=sfn.QueryLanguage.JSONATA,
            definition_body=sfn.DefinitionBody.from_chainable(score),
        )
