"""A batch every night, whose results are published after an approval."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from aws_cdk import Stack, TimeZone
from aws_cdk import aws_scheduler as scheduler
from aws_cdk import aws_scheduler_targets as targets
from aws_cdk import aws_stepfunctions as sfn

from nested_run import nested_run

if TYPE_CHECKING:
    from constructs import Construct

    from tenant import Tenant

PROGRAM = """\
import json
claim = json.load(open("item.json"))
print(claim["amount"] * 2)
"""
PUBLISH = """\
import json
summary = json.load(open("summary.json"))
print("published", summary["succeeded"], "results")
"""
QUESTION = "$states.input.summary.failed & ' of ' & $states.input.summary.count & ' items failed. Publish the results?'"


class ApprovedBatch(Stack):
    """A schedule, and a state machine that runs a batch and then a session with an approval."""

    def __init__(self, scope: Construct, id: str, tenant: Tenant) -> None:  # noqa: A002 - the parameter's name in every stack
        super().__init__(scope, id)
        location = f"s3://{tenant.bucket_name(self)}/{tenant.inputs}nightly/claims.jsonl"
        batch = nested_run(
            self,
            "Batch",
            comment="Runs the program for each item. Its output has the summary and the address of the results",
            workflow=tenant.workflow(self, "run-batch"),
            request={
                "items": {"location": location, "format": "jsonl"},
                "request": {"code": PROGRAM, "timeoutSeconds": 60, "failOnError": True},
            },
            outputs={
                "summary": "{% $states.result.Output.summary %}",
                "results": "{% $states.result.Output.resultsUri %}",
            },
        )
        publish = nested_run(
            self,
            "Publish",
            comment="Asks for an approval, and then runs the program that publishes",
            workflow=tenant.workflow(self, "run-session"),
            request={
                "steps": [
                    {
                        "inputs": [{"path": "summary.json", "text": "{% $string($states.input.summary) %}"}],
                        "approval": {"message": f"{{% {QUESTION} %}}", "timeoutSeconds": 28_800},
                    },
                    # The session has ended if the answer took longer than its lifetime, so the step loads its input.
                    {
                        "inputs": [{"path": "summary.json", "text": "{% $string($states.input.summary) %}"}],
                        "code": PUBLISH,
                    },
                ]
            },
            outputs="{% $states.result.Output.steps[1].result.stdout %}",
        )
        process = sfn.StateMachine(
            self,
            "Process",
            state_machine_name=id,
            query_language=sfn.QueryLanguage.JSONATA,
            definition_body=sfn.DefinitionBody.from_chainable(batch.next(publish)),
        )
        scheduler.Schedule(
            self,
            "Nightly",
            schedule_name=id,
            schedule=scheduler.ScheduleExpression.cron(hour="2", minute="0", time_zone=TimeZone.EUROPE_DUBLIN),
            target=cast("scheduler.IScheduleTarget", targets.StepFunctionsStartExecution(process)),
        )
