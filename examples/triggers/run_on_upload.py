"""A run for each object that is uploaded below `inputs/uploads/` of the tenant.

S3 sends an event to EventBridge, whose rule starts a small state machine. It builds the request in JSONata, so that no
name of an object can change other fields of the request, as it could in the text template of a rule. The identifier of
the event is the name of the run, because EventBridge can deliver an event more than once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from aws_cdk import Stack
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks

if TYPE_CHECKING:
    from constructs import Construct

    from tenant import Tenant

PROGRAM = """\
import csv
print(sum(float(row["amount"]) for row in csv.DictReader(open("upload.csv"))))
"""


class RunOnUpload(Stack):
    """A rule for uploads, and a state machine that starts `run-code` for each."""

    def __init__(self, scope: Construct, id: str, tenant: Tenant) -> None:  # noqa: A002 - the parameter's name in every stack
        super().__init__(scope, id)
        address = "'s3://' & $states.input.detail.bucket.name & '/' & $states.input.detail.object.key"
        start = tasks.StepFunctionsStartExecution.jsonata(
            self,
            "Start the run",
            comment="The event is the name of the run, so that an event that is delivered again starts no second run",
            state_machine=tenant.workflow(self, "run-code"),
            name="{% $states.input.id %}",
            input=sfn.TaskInput.from_object(
                {"code": PROGRAM, "inputs": [{"path": "upload.csv", "s3Uri": f"{{% {address} %}}"}]}
            ),
        )
        known = sfn.Succeed.jsonata(self, "Known", comment="An earlier delivery of the event has started the run")
        start.add_catch(known, errors=["StepFunctions.ExecutionAlreadyExistsException"])
        starter = sfn.StateMachine(
            self,
            "Starter",
            state_machine_name=id,
            query_language=sfn.QueryLanguage.JSONATA,
            definition_body=sfn.DefinitionBody.from_chainable(start),
        )
        events.Rule(
            self,
            "Uploaded",
            event_pattern=events.EventPattern(
                source=["aws.s3"],
                detail_type=["Object Created"],
                detail={
                    "bucket": {"name": [tenant.bucket_name(self)]},
                    "object": {"key": [{"prefix": f"{tenant.inputs}uploads/"}]},
                },
            ),
            targets=[cast("events.IRuleTarget", targets.SfnStateMachine(starter))],
        )
