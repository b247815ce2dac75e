"""Alarms as data: a table of specifications and one loop that creates them.

Alarms use plain metrics without metric math, which the embedded AWS does not evaluate.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_sns as sns
from constructs import Construct

from sandpiper_constructs.metrics import execution_metric, run_metric
from sandpiper_constructs.nag_suppressions import ALARM_ACTION, accept
from sandpiper_contract.metrics import Metric

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sandpiper_constructs.session_workflow import SessionWorkflow


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    """The number of events in five minutes that triggers each alarm."""

    errors: int = 1
    throttles: int = 5


@dataclass(frozen=True, kw_only=True)
class AlarmSpec:
    """One alarm.

    Attributes:
        name: suffix of the alarm's name, and its construct id in title case.
        metric: the metric, whose period is the evaluation period.
        threshold: the alarm triggers when the metric is at least this value in one period.
        description: the cause and the remedy, for the person who receives the notification.
    """

    name: str
    metric: cloudwatch.IMetric
    threshold: int
    description: str


class Alarms(Construct):
    """Creates an alarm for each specification.

    Example:
        ```python
        spec = AlarmSpec(
            name="live-sessions",
            metric=live_sessions_metric(),
            threshold=800,
            description="The account has nearly 1,000 live sessions. Stop some of them, or request a higher quota.",
        )
        alarms = Alarms(stack, "AccountAlarms", name_prefix="account", specs=[spec])
        ```

    Attributes:
        alarms: the alarms, in the order of the specifications.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002 - the parameter's name in every construct
        *,
        name_prefix: str,
        specs: Sequence[AlarmSpec],
        topic_arn: str | None = None,
    ) -> None:
        """Creates the alarms.

        Args:
            scope: parent construct.
            id: construct id, unique in its scope.
            name_prefix: first part of each alarm's name. A hyphen and the specification's name follow.
            specs: the alarms.
            topic_arn: SNS topic that receives a message when an alarm starts and ends. Default: no notification.
        """
        for spec in specs:
            if spec.threshold < 1:
                raise ValueError(f"the threshold of {spec.name} is {spec.threshold}; allowed: 1 or more")
        super().__init__(scope, id)
        self.alarms = [self._alarm(spec, f"{name_prefix}-{spec.name}") for spec in specs]
        if topic_arn is not None:
            topic = sns.Topic.from_topic_arn(self, "Topic", topic_arn)
            action = cast("cloudwatch.IAlarmAction", actions.SnsAction(topic))
            for alarm in self.alarms:
                alarm.add_alarm_action(action)
                alarm.add_ok_action(action)
        else:
            for alarm in self.alarms:
                accept(alarm, {ALARM_ACTION: "No topic is set. The alarm is visible in CloudWatch and its dashboard."})

    def _alarm(self, spec: AlarmSpec, name: str) -> cloudwatch.Alarm:
        return cloudwatch.Alarm(
            self,
            spec.name.title(),
            alarm_name=name,
            alarm_description=spec.description,
            metric=spec.metric,
            threshold=spec.threshold,
            evaluation_periods=1,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        )


class TenantAlarms(Alarms):
    """Creates a tenant's alarms: for failed runs of each workflow, and for throttled calls.

    Example:
        ```python
        TenantAlarms(stack, "Alarms", service="claims", workflow=workflow, name_prefix="claims")
        ```
    """

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002 - the parameter's name in every construct
        *,
        service: str,
        workflow: SessionWorkflow,
        name_prefix: str,
        other_workflows: Mapping[str, SessionWorkflow] | None = None,
        thresholds: Thresholds | None = None,
        topic_arn: str | None = None,
    ) -> None:
        """Creates the alarms `NAME_PREFIX-errors`, `NAME_PREFIX-throttles`, and `NAME_PREFIX-errors-WORKFLOW`.

        Args:
            scope: parent construct.
            id: construct id, unique in its scope.
            service: the `service` of the session function.
            workflow: the workflow whose failed executions are counted.
            name_prefix: first part of each alarm's name.
            other_workflows: further workflows by name, with an alarm each. Default: none.
            thresholds: events in five minutes that trigger each alarm. Default: 1 failed run, 5 throttled calls.
            topic_arn: SNS topic that receives a message when an alarm starts and ends. Default: no notification.
        """
        limits = thresholds or Thresholds()
        specs = (
            AlarmSpec(
                name="errors",
                metric=execution_metric(workflow.state_machine, "ExecutionsFailed"),
                threshold=limits.errors,
                description="Runs failed without a result. The error of each failed execution names the cause and "
                "whether the run can be retried.",
            ),
            AlarmSpec(
                name="throttles",
                metric=run_metric(service, Metric.THROTTLED),
                threshold=limits.throttles,
                description="AgentCore throttles calls. Run fewer programs in parallel, or request a higher quota.",
            ),
            *(
                AlarmSpec(
                    name=f"errors-{name}",
                    metric=execution_metric(other.state_machine, "ExecutionsFailed"),
                    threshold=limits.errors,
                    description=f"Executions of {name} failed. The error of each names the cause.",
                )
                for name, other in (other_workflows or {}).items()
            ),
        )
        super().__init__(scope, id, name_prefix=name_prefix, specs=specs, topic_arn=topic_arn)
