"""Creates alarms from specifications as data, in one loop.

`alarm_table` lists all alarms of an environment.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, TypedDict

from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_events as events
from constructs import Construct

from sandpiper_constructs.alarm_table import AlarmStack, Team, alarm_row
from sandpiper_constructs.cdk_values import location_of
from sandpiper_constructs.metrics import (
    MetricData,
    MetricQuery,
    execution_metric,
    matched_events_metric,
    run_count_metric,
)
from sandpiper_constructs.nag_suppressions import ALARM_ACTION, EVENT_QUEUE, accept
from sandpiper_contract import metric_table as table
from sandpiper_contract.errors import AUTHOR_FAULTS
from sandpiper_contract.metrics import Metric

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sandpiper_constructs.session_workflow import SessionWorkflow

_QUERY_ID = "expr_1"


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    """The number of events in five minutes that triggers each alarm of a tenant.

    Attributes:
        errors: failed runs, without those that their author has to correct.
        throttles: throttled calls.
        timed_out: executions that reached the maximum duration of the workflow.
        aborted: executions that a caller stopped.
        sessions_not_stopped: sessions that could not be stopped.
        access_denied: runs to which AgentCore or S3 denied access.
    """

    errors: int = 1
    throttles: int = 5
    timed_out: int = 1
    aborted: int = 5
    sessions_not_stopped: int = 1
    access_denied: int = 1

    def __post_init__(self) -> None:
        """Raises ValueError for a threshold below 1."""
        for name, threshold in asdict(self).items():
            _require_positive(name, threshold)


@dataclass(frozen=True, kw_only=True)
class AlarmSpec:
    """One alarm.

    Attributes:
        name: suffix of the alarm's name, and its construct id in title case.
        metric: the metric, whose period is the evaluation period.
        threshold: the alarm triggers when the metric is at least this value in one period.
        description: the cause and the remedy, for the person who receives the notification.
        team: the team that is notified.
        periods: number of latest periods, of which one has to reach the threshold. More than one is for metrics that
            are published late.
    """

    name: str
    metric: MetricData | MetricQuery
    threshold: int
    description: str
    team: Team = Team.PLATFORM
    periods: int = 1

    def __post_init__(self) -> None:
        """Raises ValueError for a threshold below 1, which would trigger the alarm without an event."""
        _require_positive(self.name, self.threshold)


def _require_positive(name: str, threshold: int) -> None:
    if threshold < 1:
        raise ValueError(f"the threshold of {name} is {threshold}; allowed: 1 or more")


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
        alarm_arns: their ARNs, which dashboards show.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002 - the parameter's name in every construct
        *,
        name_prefix: str,
        specs: Sequence[AlarmSpec],
        topic_arn: str | None = None,
        owner_topic_arn: str | None = None,
    ) -> None:
        """Creates the alarms.

        Args:
            scope: parent construct.
            id: construct id, unique in its scope.
            name_prefix: first part of each alarm's name. A hyphen and the specification's name follow.
            specs: the alarms.
            topic_arn: SNS topic that receives a message when an alarm starts and ends. Default: no notification.
            owner_topic_arn: SNS topic for the alarms of `Team.OWNER`. Default: `topic_arn`.
        """
        super().__init__(scope, id)
        self._topics = dict.fromkeys(Team, topic_arn) | {Team.OWNER: owner_topic_arn or topic_arn}
        self.alarms = [self._alarm(spec, f"{name_prefix}-{spec.name}") for spec in specs]
        location = location_of(self)
        # By name, because an attribute of each resource takes a call of the CDK.
        self.alarm_arns = [location.arn("cloudwatch", f"alarm:{name_prefix}-{spec.name}") for spec in specs]

    def _alarm(self, spec: AlarmSpec, name: str) -> cloudwatch.CfnAlarm:
        """Creates an alarm, with the ids of `cloudwatch.Alarm`, which takes twice as long."""
        topic_arn = self._topics[spec.team]
        actions = None if topic_arn is None else [topic_arn]
        alarm = cloudwatch.CfnAlarm(
            Construct(self, spec.name.title()),
            "Resource",
            alarm_name=name,
            alarm_description=spec.description,
            threshold=spec.threshold,
            evaluation_periods=spec.periods,
            datapoints_to_alarm=None if spec.periods == 1 else 1,
            comparison_operator="GreaterThanOrEqualToThreshold",
            treat_missing_data="notBreaching",
            alarm_actions=actions,
            ok_actions=actions,
            **_metric(spec.metric),
        )
        if topic_arn is None:
            accept(alarm, {ALARM_ACTION: "No topic is set. The alarm is visible in CloudWatch and its dashboard."})
        return alarm


class _MetricProperties(TypedDict, total=False):
    """The properties of an alarm that refer to its metric."""

    namespace: str
    metric_name: str
    dimensions: list[cloudwatch.CfnAlarm.DimensionProperty]
    statistic: str
    period: int
    metrics: list[cloudwatch.CfnAlarm.MetricDataQueryProperty]


def _metric(metric: MetricData | MetricQuery) -> _MetricProperties:
    """Returns the properties of an alarm that refer to its metric."""
    if isinstance(metric, MetricQuery):
        query = cloudwatch.CfnAlarm.MetricDataQueryProperty(
            id=_QUERY_ID, expression=metric.expression, period=metric.period_minutes * 60, return_data=True
        )
        return {"metrics": [query]}
    row = metric.row
    dimensions = [
        cloudwatch.CfnAlarm.DimensionProperty(name=name, value=metric.dimensions[name]) for name in row.dimensions
    ]
    properties: _MetricProperties = {
        "namespace": row.namespace,
        "metric_name": row.name,
        "statistic": row.statistic,
        "period": row.period_minutes * 60,
    }
    return properties | {"dimensions": dimensions} if dimensions else properties


class TenantAlarms(Alarms):
    """Creates the alarms of a tenant, which `alarm_table` lists, and rules that count failures of the platform.

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
        owner_topic_arn: str | None = None,
    ) -> None:
        """Creates the alarms. Those of a further workflow have its name at the end: `NAME_PREFIX-errors-WORKFLOW`.

        Args:
            scope: parent construct.
            id: construct id, unique in its scope.
            service: the `service` of the session function.
            workflow: the workflow whose executions are counted.
            name_prefix: first part of each alarm's name.
            other_workflows: further workflows by name, each with its own alarms. Default: none.
            thresholds: events in five minutes that trigger each alarm. Default: those of `Thresholds`.
            topic_arn: SNS topic that receives a message when an alarm starts and ends. Default: no notification.
            owner_topic_arn: SNS topic for the alarms that the owner of the tenant acts on. Default: `topic_arn`.
        """
        limits = thresholds or Thresholds()
        specs = [
            *_workflow_specs(scope, f"{id}-PlatformFailures", workflow, limits),
            _spec("throttles", run_count_metric(service, Metric.THROTTLED), limits.throttles),
            _spec(
                "sessions-not-stopped",
                run_count_metric(service, Metric.SESSIONS_NOT_STOPPED),
                limits.sessions_not_stopped,
            ),
            _spec("access-denied", run_count_metric(service, Metric.ACCESS_DENIED), limits.access_denied),
        ]
        for name, other in (other_workflows or {}).items():
            specs += _workflow_specs(scope, f"{id}-PlatformFailures-{name}", other, limits, name)
        super().__init__(
            scope, id, name_prefix=name_prefix, specs=specs, topic_arn=topic_arn, owner_topic_arn=owner_topic_arn
        )


def _workflow_specs(
    scope: Construct, rule_id: str, workflow: SessionWorkflow, limits: Thresholds, name: str = ""
) -> list[AlarmSpec]:
    """Returns the alarms on the executions of one workflow.

    Step Functions sends no events of Express executions, so that all their failures are counted. They cannot
    be stopped.
    """
    arn = workflow.state_machine_arn
    timed_out = _spec("timed-out", execution_metric(arn, table.EXECUTIONS_TIMED_OUT), limits.timed_out, name)
    if workflow.is_express:
        return [_spec("errors", execution_metric(arn, table.EXECUTIONS_FAILED), limits.errors, name), timed_out]
    return [
        _spec("errors", matched_events_metric(_platform_failures(scope, rule_id, arn)), limits.errors, name),
        timed_out,
        _spec("aborted", execution_metric(arn, table.EXECUTIONS_ABORTED), limits.aborted, name),
    ]


def _spec(name: str, metric: MetricData, threshold: int, workflow: str = "") -> AlarmSpec:
    row = alarm_row(AlarmStack.TENANT, name)
    return AlarmSpec(
        name=f"{name}-{workflow}" if workflow else name,
        metric=metric,
        threshold=threshold,
        description=row.description(f"Workflow: {workflow}." if workflow else ""),
        team=row.team,
    )


def _platform_failures(scope: Construct, id_: str, state_machine_arn: str) -> str:
    """Creates a rule that matches failed executions, without those that their author has to correct.

    The metric ExecutionsFailed has no dimension for the error. CloudWatch counts the events that a rule matches, so the
    rule has no target. A failure without an error is counted.
    https://docs.aws.amazon.com/step-functions/latest/dg/eventbridge-integration.html

    Returns:
        The name of the rule.
    """
    rule = events.CfnRule(
        scope,
        id_,
        description="Counts failed executions that their author cannot correct",
        event_pattern={
            "source": ["aws.states"],
            "detail-type": ["Step Functions Execution Status Change"],
            "detail": {
                "status": ["FAILED"],
                "stateMachineArn": [state_machine_arn],
                "error": [{"anything-but": list(AUTHOR_FAULTS)}, {"exists": False}],
            },
        },
    )
    accept(rule, {EVENT_QUEUE: "The rule has no target. CloudWatch counts the events that it matches."})
    return rule.ref
