"""A metric alarm: its queries, its threshold and its evaluation."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from local_aws.cloudwatch import expression
from local_aws.cloudwatch.alarm_state import Missing, Rule, State, next_state
from local_aws.cloudwatch.errors import InvalidQueryError
from local_aws.cloudwatch.evaluator import DEFAULT_PERIOD
from local_aws.cloudwatch.queries import MetricStat, Query, QueryScope, parse_queries
from local_aws.cloudwatch.series import Metric, Series, Window

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from local_aws.cloudwatch.arithmetic import Value
    from local_aws.cloudwatch.store import MetricStore

COMPARISONS: dict[str, tuple[Callable[[float, float], bool], str]] = {
    "GreaterThanOrEqualToThreshold": (operator.ge, "greater than or equal to"),
    "GreaterThanThreshold": (operator.gt, "greater than"),
    "LessThanThreshold": (operator.lt, "less than"),
    "LessThanOrEqualToThreshold": (operator.le, "less than or equal to"),
}
BAND_COMPARISONS = {
    "GreaterThanUpperThreshold": (True, False),
    "LessThanLowerThreshold": (False, True),
    "LessThanLowerOrGreaterThanUpperThreshold": (True, True),
}
"""Whether a value above the upper, and one below the lower band, is breaching."""
NOT_IN_ALARMS = ("SEARCH",)


@dataclass(frozen=True)
class Evaluation:
    """The result of an evaluation.

    Attributes:
        state: The new state.
        detail: What the data was, as the start of a reason.
        needed: The number of data points that trigger the alarm.
    """

    state: State
    detail: str
    needed: int = 1


def reason(evaluation: Evaluation, old: str) -> str:
    """Returns the reason of a change of state, as CloudWatch words it."""
    new = evaluation.state.value
    if not evaluation.detail.startswith("Threshold Crossed"):
        return evaluation.detail
    plural = "s" if evaluation.needed > 1 else ""
    return f"{evaluation.detail} (minimum {evaluation.needed} datapoint{plural} for {old} -> {new} transition)."


@dataclass(frozen=True)
class Alarm:
    """A metric alarm.

    Attributes:
        queries: Its metric, or its metrics and expressions.
        watched: The id of the query that it watches.
        band: The id of the query whose band is the threshold, or None.
        comparison: The operator.
        threshold: The threshold, or None with a band.
        period: The period in seconds.
        rule: How many data points trigger it.
    """

    queries: Sequence[Query]
    watched: str
    band: str | None
    comparison: str
    threshold: float | None
    period: int
    rule: Rule

    @classmethod
    def parse(cls, record: Mapping[str, Any]) -> Alarm:
        """Returns the alarm of the members of PutMetricAlarm.

        Raises:
            InvalidQueryError: A member is invalid.
        """
        queries = parse_queries(record["Metrics"]) if record.get("Metrics") else [_query_of(record)]
        band, comparison = record.get("ThresholdMetricId"), str(record["ComparisonOperator"])
        allowed = [*BAND_COMPARISONS] if band else [*COMPARISONS]
        if comparison not in allowed:
            raise InvalidQueryError(f"The comparison operator is {comparison}; allowed: {' | '.join(allowed)}")
        watched = [query.identifier for query in queries if query.returns_data and query.identifier != band]
        if len(watched) != 1:
            raise InvalidQueryError(f"{len(watched)} metrics of the alarm return data; allowed: 1")
        for query in queries:
            _require_allowed(query)
        periods = int(record["EvaluationPeriods"])
        needed = int(record.get("DatapointsToAlarm") or periods)
        missing = Missing(record.get("TreatMissingData") or Missing.MISSING)
        threshold = None if band else float(record["Threshold"])
        return cls(queries, watched[0], band, comparison, threshold, _period(queries), Rule(periods, needed, missing))

    def evaluate(self, store: MetricStore, now: float, current: State) -> Evaluation:
        """Returns the state at a time.

        Raises:
            InvalidQueryError: An expression cannot be evaluated.
        """
        end = int(now) + 1
        start = end - self.rule.range * self.period
        window = Window(start, end, origin=start)
        scope = QueryScope(self.queries, store, window)
        is_breaching, threshold = self._threshold(scope)
        series = _series_of(scope.value(self.watched))
        timestamps = window.timestamps(self.period)
        points = [_any_breaching(series, timestamp, is_breaching) for timestamp in timestamps]
        state = next_state(self.rule, points, current)
        recent = [
            (at, values) for at in timestamps if (values := [each.values[at] for each in series if at in each.values])
        ]
        return Evaluation(state, self._detail(recent, threshold, state), self.rule.datapoints_to_alarm)

    def _threshold(self, scope: QueryScope) -> tuple[Callable[[float, float], bool], str]:
        """Returns whether the value at a timestamp is breaching, and the threshold as text."""
        if self.band is None:
            compare, limit = COMPARISONS[self.comparison][0], self.threshold or 0.0
            return lambda _, value: compare(value, limit), f"({limit})"
        match scope.value(self.band):
            case [Series() as upper, Series() as lower]:
                above, below = BAND_COMPARISONS[self.comparison]
            case _:
                raise InvalidQueryError(f"The query {self.band!r} is not an anomaly detection band")

        def is_outside(timestamp: float, value: float) -> bool:
            high, low = upper.values.get(timestamp), lower.values.get(timestamp)
            return (above and high is not None and value > high) or (below and low is not None and value < low)

        return is_outside, f"of the band {self.band}"

    def _detail(self, recent: Sequence[tuple[float, list[float]]], threshold: str, state: State) -> str:
        found = recent[-self.rule.evaluation_periods :]
        if not found:
            return "Insufficient Data: no datapoints were received in the evaluation range."
        times = ", ".join(f"{max(values)} ({_time(at)})" for at, values in found)
        comparison = COMPARISONS[self.comparison][1] if self.band is None else "outside"
        is_not = "was" if state is State.ALARM else "was not"
        number = f"{len(found)} out of the last {self.rule.evaluation_periods} datapoints"
        return f"Threshold Crossed: {number} [{times}] {is_not} {comparison} the threshold {threshold}"


def _time(timestamp: float) -> str:
    return f"{datetime.fromtimestamp(timestamp, UTC):%d/%m/%y %H:%M:%S}"


def _query_of(record: Mapping[str, Any]) -> Query:
    dimensions = {each["Name"]: each["Value"] for each in record.get("Dimensions") or ()}
    metric = Metric(str(record["Namespace"]), str(record["MetricName"]), dimensions)
    stat = record.get("ExtendedStatistic") or record.get("Statistic") or "Average"
    return Query("m1", MetricStat(metric, str(stat), int(record.get("Period") or 60), record.get("Unit")))


def _require_allowed(query: Query) -> None:
    if isinstance(query.source, MetricStat) or query.source.lstrip().upper().startswith("SELECT"):
        return
    for function in expression.calls(expression.parse(query.source)):
        if function in NOT_IN_ALARMS:
            raise InvalidQueryError(f"{function} is not allowed in alarms, because it returns several time series")


def _period(queries: Sequence[Query]) -> int:
    """Returns the period of an alarm: the longest of its metrics and queries."""
    periods = [query.source.period if isinstance(query.source, MetricStat) else query.period for query in queries]
    return max((period for period in periods if period), default=DEFAULT_PERIOD)


def _series_of(value: Value) -> list[Series]:
    if isinstance(value, Series):
        return [value]
    if isinstance(value, list):
        return value
    raise InvalidQueryError("The watched expression is a number; allowed: a time series")


def _any_breaching(
    series: Sequence[Series], timestamp: float, is_breaching: Callable[[float, float], bool]
) -> bool | None:
    """Returns whether any of the series is breaching at a timestamp, or None if none has a value."""
    values = [each.values[timestamp] for each in series if timestamp in each.values]
    return any(is_breaching(timestamp, value) for value in values) if values else None
