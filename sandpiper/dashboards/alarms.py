"""Alarms of a template: their metrics and thresholds, which graphs show, and the text of their conditions."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, cast

from sandpiper.dashboards.model import Metric
from sandpiper.plan.resource_types import ALARM

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sandpiper.plan.template import Template

COMPOSITE_ALARM = "AWS::CloudWatch::CompositeAlarm"
State = Literal["ALARM", "OK", "INSUFFICIENT_DATA", "UNKNOWN"]
STACK_PREFIX = re.compile(r"^sandpiper-[a-z0-9]+-")
"""The start of the name of an alarm, which all alarms of an environment share."""
SYMBOLS = {
    "GreaterThanOrEqualToThreshold": "≥",
    "GreaterThanThreshold": ">",
    "LessThanOrEqualToThreshold": "≤",
    "LessThanThreshold": "<",
}


@dataclass(frozen=True)
class Alarm:
    """An alarm.

    Attributes:
        metric: the metric; None for an alarm on an expression or on other alarms.
        threshold: the value that triggers it; None for a composite alarm and for an anomaly band.
        rule: the condition of a composite alarm; "" for other alarms.
        period: seconds that one data point covers; 0 for a composite alarm.
        properties: the members of PutMetricAlarm; empty for a composite alarm.
    """

    name: str
    description: str
    metric: Metric | None = None
    stat: str = ""
    threshold: float | None = None
    comparison: str = ""
    period: int = 0
    rule: str = ""
    properties: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def condition(self) -> str:
        """The condition for people, such as `≥ 5 in 5 minutes`."""
        if self.threshold is None:
            return self.rule
        period = f" in {self.period // 60} minutes" if self.period else ""
        return f"{SYMBOLS.get(self.comparison, self.comparison)} {self.threshold:g}{period}"

    @property
    def threshold_label(self) -> str:
        """The short name and the threshold, for a line in a graph."""
        name = STACK_PREFIX.sub("", self.name)
        return f"{name} {SYMBOLS.get(self.comparison, '')} {self.threshold or 0:g}"


@dataclass(frozen=True)
class AlarmState:
    """An alarm with its state. `alarm` is None for an alarm of another cloud assembly."""

    name: str
    state: State
    alarm: Alarm | None


def alarm_name(arn: str) -> str:
    """Returns the name of an alarm, given by its ARN or its name."""
    return arn.partition(":alarm:")[2] or arn


def read_alarms(template: Template) -> dict[str, Alarm]:
    """Returns the alarms of a template by name."""
    resources = (*template.of_type(ALARM).values(), *template.of_type(COMPOSITE_ALARM).values())
    alarms = (_alarm(one.logical_id, template.resolve_properties(one)) for one in resources)
    return {alarm.name: alarm for alarm in alarms}


def thresholds_of(metric: Metric, stat: str, alarms: Iterable[Alarm]) -> list[Alarm]:
    """Returns the alarms on a statistic of a metric that have a threshold."""
    wanted = (metric.namespace, metric.name, sorted(metric.dimensions), stat)
    return [
        alarm
        for alarm in alarms
        if alarm.metric is not None
        and alarm.threshold is not None
        and (alarm.metric.namespace, alarm.metric.name, sorted(alarm.metric.dimensions), alarm.stat) == wanted
    ]


def _alarm(logical_id: str, properties: Mapping[str, Any]) -> Alarm:
    name = str(properties.get("AlarmName", logical_id))
    description = str(properties.get("AlarmDescription", ""))
    if "AlarmRule" in properties:
        return Alarm(name, description, rule=str(properties["AlarmRule"]))
    metric, stat, period = _metric_of(properties)
    threshold = properties.get("Threshold")
    return Alarm(
        name=name,
        description=description,
        metric=metric,
        stat=stat,
        threshold=float(threshold) if isinstance(threshold, int | float) else None,
        comparison=str(properties.get("ComparisonOperator", "")),
        period=period,
        properties=properties,
    )


def _metric_of(properties: Mapping[str, Any]) -> tuple[Metric | None, str, int]:
    """Returns the metric, statistic and period of an alarm, whose only query may be a metric."""
    if "MetricName" in properties:
        stat = properties.get("Statistic") or properties.get("ExtendedStatistic") or ""
        return _metric(properties), str(stat), int(properties.get("Period", 0))
    queries = cast("list[dict[str, Any]]", properties.get("Metrics", []))
    period = max(
        (int(query.get("Period") or query.get("MetricStat", {}).get("Period", 0)) for query in queries), default=0
    )
    if len(queries) == 1 and (stat := queries[0].get("MetricStat")):
        return _metric(stat["Metric"]), str(stat.get("Stat", "")), period
    return None, "", period


def _metric(properties: Mapping[str, Any]) -> Metric:
    dimensions = cast("list[dict[str, Any]]", properties.get("Dimensions", []))
    pairs = tuple((str(one["Name"]), str(one["Value"])) for one in dimensions)
    return Metric(str(properties.get("Namespace", "")), str(properties["MetricName"]), pairs)
