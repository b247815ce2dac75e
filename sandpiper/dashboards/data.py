"""The data of a preview: time series, states of alarms and results of log queries, from one of two sources."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    import datetime
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from sandpiper.dashboards.alarms import State
    from sandpiper.dashboards.model import Line, LogWidget
    from sandpiper.dashboards.times import Window

COMBINED: dict[str, Callable[[Iterable[float]], float]] = {
    "Maximum": max,
    "Minimum": min,
    "SampleCount": sum,
    "Sum": sum,
}
"""The statistics of a time range that follow from the same statistic of its periods."""
DataKind = Literal["embedded", "synthetic"]
MAX_POINTS = 500
"""Data points of one line. Longer periods keep a page readable when the time range is long."""


class NoDataError(Exception):
    """A source has no data for one widget, which shows the message instead."""


@dataclass(frozen=True)
class Series:
    """The values of a line by time in seconds since the epoch, in ascending order. Periods without data are missing."""

    id: str
    label: str
    values: Mapping[int, float]


@dataclass(frozen=True)
class LogRows:
    """The result of a log query: the names of its columns, and its rows as text."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


class DataSource(Protocol):
    """Where the data of a preview comes from.

    Attributes:
        name: the origin for people.
        is_synthetic: whether the data is invented.
        now: the end of the time range.
    """

    name: str
    is_synthetic: bool
    now: datetime.datetime

    def series(self, queries: Sequence[Mapping[str, Any]], window: Window) -> list[Series]:
        """Returns the result of GetMetricData. Raises NoDataError for a query that cannot be evaluated."""
        ...

    def alarm_states(self, names: Iterable[str]) -> Mapping[str, State]:
        """Returns the states of alarms by name. Alarms that do not exist are missing."""
        ...

    def log_rows(self, widget: LogWidget, window: Window) -> LogRows:
        """Returns the result of a log query. Raises NoDataError for a query that cannot be evaluated."""
        ...


def metric_queries(lines: Sequence[Line], window: Window, *, whole_range: bool = False) -> list[dict[str, Any]]:
    """Returns the MetricDataQueries of GetMetricData for the lines of a widget.

    Args:
        lines: the lines, of which expressions may use each other.
        window: the time range.
        whole_range: whether each line has one value for the whole range instead of one for each period.
    """
    labels = default_labels(lines)
    return [_query(line, labels[line.id], window, whole_range=whole_range) for line in lines]


def is_combined(line: Line) -> bool:
    """Returns whether the value of a whole time range follows from those of its periods.

    CloudWatch aligns periods to the epoch, so that one period as long as the time range does not cover it. The values
    of other statistics and of expressions are those of the last such period.
    """
    return line.metric is not None and line.stat in COMBINED


def default_labels(lines: Sequence[Line]) -> dict[str, str]:
    """Returns the labels by id. A metric without one has its name, and the dimensions in which it differs."""
    metrics = [line.metric for line in lines if line.metric and not line.label]
    names = [metric.name for metric in metrics]
    pairs = {pair for metric in metrics for pair in metric.dimensions}
    common = {pair for pair in pairs if all(pair in metric.dimensions for metric in metrics)}
    labels: dict[str, str] = {}
    for line in lines:
        metric = line.metric
        labels[line.id] = line.label
        if metric and not line.label:
            differing = [value for name, value in metric.dimensions if (name, value) not in common]
            labels[line.id] = " ".join([metric.name, *(differing if names.count(metric.name) > 1 else [])])
    return labels


def _query(line: Line, label: str, window: Window, *, whole_range: bool) -> dict[str, Any]:
    period = window.seconds if whole_range and not is_combined(line) else line.period
    while period * MAX_POINTS < window.seconds:
        period *= 2
    query: dict[str, Any] = {"Id": line.id, "ReturnData": line.visible}
    if label:
        query["Label"] = label
    if line.metric is None:
        return query | {"Expression": line.expression, "Period": period}
    metric = {
        "Namespace": line.metric.namespace,
        "MetricName": line.metric.name,
        "Dimensions": [{"Name": name, "Value": value} for name, value in line.metric.dimensions],
    }
    return query | {"MetricStat": {"Metric": metric, "Period": period, "Stat": line.stat}}
