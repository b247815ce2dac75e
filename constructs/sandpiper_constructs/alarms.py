"""Alarms as a table: thresholds as data, one loop over them. A tenant's are here.

Not the metrics, which are in `metrics`, and no metric math, which the embedded AWS does not evaluate.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_sns as sns
from constructs import Construct

from sandpiper_constructs.metrics import execution_metric, run_metric
from sandpiper_contract.metrics import Metric

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sandpiper_constructs.run_code_workflow import RunCodeWorkflow


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    """How many in five minutes raise each alarm."""

    errors: int = 1
    throttles: int = 5


@dataclass(frozen=True, kw_only=True)
class AlarmWhen:
    """An alarm: when `metric` in one of its periods is at least `threshold`. The description says what to do."""

    name: str
    metric: cloudwatch.IMetric
    threshold: int
    description: str


class Alarms(Construct):
    """An alarm for each row of a table. `alarms` lists them for a dashboard."""

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002 - the name that constructs have for it
        *,
        name_prefix: str,
        rows: Sequence[AlarmWhen],
        topic_arn: str | None = None,
    ) -> None:
        """Alarms are called `name_prefix`, a hyphen and the row's name. `topic_arn` hears of their start and end."""
        super().__init__(scope, id)
        self.alarms = [self._alarm(row, f"{name_prefix}-{row.name}") for row in rows]
        if topic_arn is not None:
            topic = sns.Topic.from_topic_arn(self, "Topic", topic_arn)
            action = cast("cloudwatch.IAlarmAction", actions.SnsAction(topic))
            for alarm in self.alarms:
                alarm.add_alarm_action(action)
                alarm.add_ok_action(action)

    def _alarm(self, row: AlarmWhen, name: str) -> cloudwatch.Alarm:
        return cloudwatch.Alarm(
            self,
            row.name.title(),
            alarm_name=name,
            alarm_description=row.description,
            metric=row.metric,
            threshold=row.threshold,
            evaluation_periods=1,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        )


class TenantAlarms(Alarms):
    """An alarm for runs that failed and one for calls that were throttled."""

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002 - the name that constructs have for it
        *,
        service: str,
        workflow: RunCodeWorkflow,
        name_prefix: str,
        thresholds: Thresholds | None = None,
        topic_arn: str | None = None,
    ) -> None:
        """`service` is the session function's. Alarms are called `name_prefix` and `-errors` or `-throttles`.

        `topic_arn` hears of their start and end.
        """
        limits = thresholds or Thresholds()
        rows = (
            AlarmWhen(
                name="errors",
                metric=execution_metric(workflow, "ExecutionsFailed"),
                threshold=limits.errors,
                description="Runs ended without a result. The execution's error says why and whether to send it again.",
            ),
            AlarmWhen(
                name="throttles",
                metric=run_metric(service, Metric.THROTTLED),
                threshold=limits.throttles,
                description="AgentCore refuses calls for their rate. Send fewer at once, or ask for a higher quota.",
            ),
        )
        super().__init__(scope, id, name_prefix=name_prefix, rows=rows, topic_arn=topic_arn)
