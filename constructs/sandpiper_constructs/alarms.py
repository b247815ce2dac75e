"""Creates alarms from specifications as data, in one loop.

`alarm_table` lists all alarms of an environment.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Required, TypedDict

from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

from sandpiper_constructs.alarm_table import Team, composite_row
from sandpiper_constructs.cdk_values import location_of
from sandpiper_constructs.metrics import AnomalyBand, MetricData, MetricQuery
from sandpiper_constructs.nag_suppressions import ALARM_ACTION, accept

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sandpiper_constructs.alarm_table import CompositeRow

_QUERY_ID, _METRIC_ID, _BAND_ID = "expr_1", "metric", "band"
_AT_LEAST = "GreaterThanOrEqualToThreshold"
_NO_TOPIC = "No topic is set. The alarm is visible in CloudWatch and its dashboard."
_GROUPED = "A composite alarm notifies the topic once for all alarms with a common cause."


@dataclass(frozen=True, kw_only=True)
class AlarmSpec:
    """One alarm.

    Attributes:
        name: suffix of the alarm's name, and its construct id in title case.
        metric: the metric, whose period is the evaluation period.
        threshold: the alarm triggers when the metric is at least this value in one period. For an `AnomalyBand`: when
            it is more than this number of standard deviations above the expected value.
        description: the cause and the remedy, for the person who receives the notification.
        team: the team that is notified.
        group: the composite alarm of `alarm_table` that notifies instead of this alarm. Default: none.
        periods: number of latest periods. More than one is for metrics that are published late, or that vary.
        breaching_periods: how many of them have to reach the threshold.
        statistic: the statistic of the metric. Default: that of its row.
    """

    name: str
    metric: MetricData | MetricQuery | AnomalyBand
    threshold: int
    description: str
    team: Team = Team.PLATFORM
    group: str = ""
    periods: int = 1
    breaching_periods: int = 1
    statistic: str | None = None

    def __post_init__(self) -> None:
        """Raises ValueError for a threshold below 1, which would trigger the alarm without an event."""
        require_positive(self.name, self.threshold)


def require_positive(name: str, threshold: int) -> None:
    """Raises ValueError for a threshold below 1."""
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
        composites: the composite alarms of their groups.
        alarm_arns: the ARNs of all alarms, composite alarms first, which dashboards show.
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
        if any(spec.group or self._actions(spec.team) is None for spec in specs):
            accept(self, {ALARM_ACTION: _GROUPED if topic_arn else _NO_TOPIC})
        self._name_prefix = name_prefix
        groups: dict[str, dict[str, cloudwatch.CfnAlarm]] = {}
        for spec, alarm in zip(specs, self.alarms, strict=True):
            if spec.group:
                groups.setdefault(spec.group, {})[f"{name_prefix}-{spec.name}"] = alarm
        self.composites = [self._composite(composite_row(group), alarms) for group, alarms in groups.items()]
        location = location_of(scope)
        names = [*groups, *(spec.name for spec in specs)]
        # By name, because an attribute of each resource takes a call of the CDK.
        self.alarm_arns = [location.arn("cloudwatch", f"alarm:{name_prefix}-{name}") for name in names]

    def _alarm(self, spec: AlarmSpec, name: str) -> cloudwatch.CfnAlarm:
        """Creates an alarm, with the ids of `cloudwatch.Alarm`, which takes twice as long."""
        actions = None if spec.group else self._actions(spec.team)
        return cloudwatch.CfnAlarm(
            Construct(self, spec.name.title()),
            "Resource",
            alarm_name=name,
            alarm_description=spec.description,
            evaluation_periods=spec.periods,
            datapoints_to_alarm=None if spec.periods == 1 else spec.breaching_periods,
            treat_missing_data="notBreaching",
            alarm_actions=actions,
            ok_actions=actions,
            **_condition(spec),
        )

    def _composite(self, row: CompositeRow, alarms: Mapping[str, cloudwatch.CfnAlarm]) -> cloudwatch.CfnCompositeAlarm:
        """Creates a composite alarm on the alarms of a group by name, which CloudWatch requires to exist before."""
        actions = self._actions(row.team)
        alarm = cloudwatch.CfnCompositeAlarm(
            self,
            row.name.title(),
            alarm_name=f"{self._name_prefix}-{row.name}",
            alarm_description=row.description(),
            alarm_rule=" OR ".join(f'ALARM("{name}")' for name in alarms),
            alarm_actions=actions,
            ok_actions=actions,
        )
        alarm.node.add_dependency(*alarms.values())
        return alarm

    def _actions(self, team: Team) -> list[str] | None:
        topic_arn = self._topics[team]
        return None if topic_arn is None else [topic_arn]


class _Condition(TypedDict, total=False):
    """The properties of an alarm that refer to its metric and threshold."""

    comparison_operator: Required[str]
    threshold: int
    threshold_metric_id: str
    namespace: str
    metric_name: str
    dimensions: list[cloudwatch.CfnAlarm.DimensionProperty]
    statistic: str
    period: int
    metrics: list[cloudwatch.CfnAlarm.MetricDataQueryProperty]


def _condition(spec: AlarmSpec) -> _Condition:
    """Returns the properties of an alarm that refer to its metric and threshold."""
    match spec.metric:
        case AnomalyBand(metric=metric):
            return _band_condition(metric, spec.threshold, spec.statistic)
        case MetricQuery(expression=expression, period_minutes=minutes):
            query = cloudwatch.CfnAlarm.MetricDataQueryProperty(
                id=_QUERY_ID, expression=expression, period=minutes * 60, return_data=True
            )
            return {"comparison_operator": _AT_LEAST, "threshold": spec.threshold, "metrics": [query]}
        case MetricData(row=row) as metric:
            properties: _Condition = {
                "comparison_operator": _AT_LEAST,
                "threshold": spec.threshold,
                "namespace": row.namespace,
                "metric_name": row.name,
                "statistic": spec.statistic or row.statistic,
                "period": row.period_minutes * 60,
            }
            if row.dimensions:
                properties["dimensions"] = _dimensions(metric)
            return properties


def _band_condition(metric: MetricData, deviations: int, statistic: str | None) -> _Condition:
    """Returns the properties of an alarm on values above the band of an anomaly detection model.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Anomaly_Detection.html
    """
    row = metric.row
    stat = cloudwatch.CfnAlarm.MetricStatProperty(
        metric=cloudwatch.CfnAlarm.MetricProperty(
            namespace=row.namespace, metric_name=row.name, dimensions=_dimensions(metric)
        ),
        period=row.period_minutes * 60,
        stat=statistic or row.statistic,
    )
    query = cloudwatch.CfnAlarm.MetricDataQueryProperty
    return {
        "comparison_operator": "GreaterThanUpperThreshold",
        "threshold_metric_id": _BAND_ID,
        "metrics": [
            query(id=_METRIC_ID, metric_stat=stat, return_data=True),
            query(id=_BAND_ID, expression=f"ANOMALY_DETECTION_BAND({_METRIC_ID}, {deviations})", return_data=True),
        ],
    }


def _dimensions(metric: MetricData) -> list[cloudwatch.CfnAlarm.DimensionProperty]:
    return [
        cloudwatch.CfnAlarm.DimensionProperty(name=name, value=metric.dimensions[name])
        for name in metric.row.dimensions
    ]
