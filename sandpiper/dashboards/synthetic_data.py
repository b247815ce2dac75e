"""Invented data, for a preview before anything is deployed. It is the same in every run."""

from __future__ import annotations

import datetime
import re
from typing import TYPE_CHECKING, Any

from local_aws.cloudwatch import alarm as cloudwatch
from local_aws.cloudwatch import alarm_state
from local_aws.cloudwatch.errors import InvalidQueryError
from local_aws.cloudwatch.queries import QueryScope, parse_queries
from local_aws.cloudwatch.series import Metric
from local_aws.cloudwatch.series import Window as QueryWindow
from sandpiper.dashboards.data import NoDataError, Series
from sandpiper.dashboards.model import MetricWidget
from sandpiper.dashboards.synthetic_logs import invented_rows
from sandpiper.dashboards.synthetic_metrics import invented_metrics
from sandpiper.dashboards.synthetic_values import invented_data
from sandpiper.dashboards.times import Window

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from local_aws.cloudwatch.statistics import Datum
    from sandpiper.dashboards import model
    from sandpiper.dashboards.alarms import Alarm, State
    from sandpiper.dashboards.data import LogRows
    from sandpiper.dashboards.reading import AssemblyDashboards

NOW = datetime.datetime(2026, 1, 15, 12, 0, tzinfo=datetime.UTC)
"""The end of the time range. A fixed time makes pictures reproducible."""
ALARM_RANGE = datetime.timedelta(hours=6)
"""The time range of the data that alarms evaluate."""
CHILD = re.compile(r"ALARM\(\s*[\"']?([^\"')]+)[\"']?\s*\)")
"""A reference to another alarm in the rule of a composite alarm."""


class _Store:
    """The invented metrics of an account, in the form that the evaluation of queries reads."""

    def __init__(self, metrics: Iterable[Metric], window: Window) -> None:
        self._metrics, self._window = list(metrics), window

    def metrics(self) -> Iterable[Metric]:
        return self._metrics

    def data(self, metric: Metric, unit: str | None = None) -> Sequence[Datum]:  # noqa: ARG002 - of the protocol
        return list(invented_data(metric, self._window.start, self._window.end))


class SyntheticData:
    """Invents data for the dashboards of an assembly."""

    name = "synthetic data"
    is_synthetic = True
    now = NOW

    def __init__(self, read: AssemblyDashboards) -> None:
        """Finds the metrics of the dashboards.

        Args:
            read: the dashboards and alarms.
        """
        self._alarms = read.alarms
        contents = (widget.content for dashboard in read.dashboards for widget in dashboard.widgets)
        lines = [line for content in contents if isinstance(content, MetricWidget) for line in content.lines]
        self._metrics = {_key(metric): metric for metric in _all_metrics(lines)}

    def series(self, queries: Sequence[Mapping[str, Any]], window: Window) -> list[Series]:
        """Returns the result of queries. Raises NoDataError for a query that cannot be evaluated."""
        store = _Store(self._metrics.values(), window)
        scope = QueryWindow(window.start, window.end)
        try:
            results = QueryScope(parse_queries(queries), store, scope).results()
        except InvalidQueryError as error:
            raise NoDataError(f"The query cannot be evaluated: {error}") from None
        return [
            Series(id_, one.label, {int(timestamp): value for timestamp, value in one.values.items()})
            for id_, one in results
        ]

    def alarm_states(self, names: Iterable[str]) -> Mapping[str, State]:
        """Returns the states of alarms: those that their invented metrics cause."""
        return {name: self._state(self._alarms[name]) for name in names if name in self._alarms}

    def _state(self, alarm: Alarm) -> State:
        if alarm.rule:
            children = [self._alarms[name] for name in CHILD.findall(alarm.rule) if name in self._alarms]
            return "ALARM" if any(self._state(child) == "ALARM" for child in children if not child.rule) else "OK"
        try:
            store = _Store(self._metrics.values(), Window.until(NOW, ALARM_RANGE))
            evaluated = cloudwatch.Alarm.parse(alarm.properties).evaluate(
                store, NOW.timestamp(), alarm_state.State.INSUFFICIENT_DATA
            )
        except (InvalidQueryError, LookupError, ValueError):  # CloudWatch would refuse the alarm
            return "INSUFFICIENT_DATA"
        return evaluated.state.value

    def log_rows(self, widget: model.LogWidget, window: Window) -> LogRows:
        """Returns invented rows with the columns of the query."""
        return invented_rows(widget.query, window)


def _all_metrics(lines: Sequence[model.Line]) -> Iterator[Metric]:
    known: dict[str, list[str]] = {}
    for line in lines:
        if line.metric:
            yield Metric(line.metric.namespace, line.metric.name, dict(line.metric.dimensions))
            for name, value in line.metric.dimensions:
                values = known.setdefault(name, [])
                values += [value] if value not in values else []
    for line in lines:
        if line.expression:
            yield from invented_metrics(line.expression, known)


def _key(metric: Metric) -> tuple[str, str, str]:
    return metric.namespace, metric.name, repr(sorted(metric.dimensions.items()))
