"""A batch of the tenant every night, by EventBridge Scheduler."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from aws_cdk import Duration, Stack, TimeZone
from aws_cdk import aws_scheduler as scheduler
from aws_cdk import aws_scheduler_targets as targets

if TYPE_CHECKING:
    from constructs import Construct

    from tenant import Tenant

PROGRAM = """\
import json
claim = json.load(open("item.json"))
print(claim["amount"] * 2)
"""


class NightlyBatch(Stack):
    """A schedule that starts `run-batch` at two o'clock in the morning."""

    def __init__(self, scope: Construct, id: str, tenant: Tenant) -> None:  # noqa: A002 - the parameter's name in every stack
        super().__init__(scope, id)
        location = f"s3://{tenant.bucket_name(self)}/{tenant.inputs}nightly/claims.jsonl"
        request = {
            "items": {"location": location, "format": "jsonl"},
            "request": {"code": PROGRAM, "timeoutSeconds": 60},
            "toleratedFailures": "5%",
        }
        target = targets.StepFunctionsStartExecution(
            tenant.workflow(self, "run-batch"),
            input=scheduler.ScheduleTargetInput.from_object(request),
            # A start that fails is repeated for an hour: later, the batch would not end before the day begins.
            max_event_age=Duration.hours(1),
        )
        scheduler.Schedule(
            self,
            "Nightly",
            schedule_name=id,
            schedule=scheduler.ScheduleExpression.cron(hour="2", minute="0", time_zone=TimeZone.EUROPE_DUBLIN),
            target=cast("scheduler.IScheduleTarget", target),
        )
