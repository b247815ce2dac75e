"""A state machine of an author, in which `run-code` of the tenant is one step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import Stack
from aws_cdk import aws_stepfunctions as sfn

from nested_run import nested_run

if TYPE_CHECKING:
    from constructs import Construct

    from tenant import Tenant


class ClaimsProcess(Stack):
    """A process that runs a program as a nested execution and continues with its result."""

    def __init__(self, scope: Construct, id: str, tenant: Tenant) -> None:  # noqa: A002 - the parameter's name in every stack
        super().__init__(scope, id)
        score = nested_run(
            self,
            "Score",
            comment="Runs the program and waits for its result. Stopping the process stops the run as well",
            workflow=tenant.workflow(self, "run-code"),
            request={"code": "{% $states.input.code %}", "failOnError": True},
            outputs={"score": "{% $states.result.Output.stdout %}", "run": "{% $states.result.ExecutionArn %}"},
        )
        sfn.StateMachine(
            self,
            "Process",
            state_machine_name=id,
            query_language=sfn.QueryLanguage.JSONATA,
            definition_body=sfn.DefinitionBody.from_chainable(score),
        )
