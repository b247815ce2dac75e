"""Time series: the values of a metric or an expression, one for each period of a window."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from local_aws.cloudwatch.statistics import Datum, statistic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence


@dataclass(frozen=True)
class Window:
    """The time range of a query, in seconds since the epoch. The end is excluded.

    Attributes:
        start: The start.
        end: The end.
        origin: A time at which a period begins. Default: the epoch, to which CloudWatch aligns the periods of graphs.
            Alarms use the periods that end with the window.
    """

    start: float
    end: float
    origin: float = 0

    def align(self, timestamp: float, period: int) -> float:
        """Returns the start of the period that contains a time."""
        return self.origin + math.floor((timestamp - self.origin) / period) * period

    def timestamps(self, period: int) -> list[float]:
        """Returns the starts of all periods of the window."""
        first = self.align(self.start, period)
        return [first + index * period for index in range(math.ceil((self.end - first) / period))]


@dataclass(frozen=True)
class Metric:
    """The identity of a metric."""

    namespace: str
    name: str
    dimensions: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True)
class Series:
    """A time series.

    Attributes:
        label: Its name in a graph.
        period: The seconds between two values.
        values: The values by timestamp, in ascending order. Periods without data are missing.
        metric: The metric, if the series is one.
    """

    label: str
    period: int
    values: Mapping[float, float]
    metric: Metric | None = None

    def map(self, function: Callable[[float], float | None]) -> Series:
        """Returns the series with changed values. A value for which `function` returns None is dropped."""
        return self.with_values((timestamp, function(value)) for timestamp, value in self.values.items())

    def with_values(self, values: Iterable[tuple[float, float | None]]) -> Series:
        """Returns the series with other values. It is not a metric. None, infinity and NaN are dropped."""
        kept = {timestamp: value for timestamp, value in values if value is not None and math.isfinite(value)}
        return replace(self, values=dict(sorted(kept.items())), metric=None)


def metric_series(metric: Metric, data: Sequence[Datum], window: Window, *, period: int, stat: str) -> Series:
    """Returns the series of one statistic of a metric.

    Args:
        metric: The metric.
        data: Its data, in any order.
        window: The time range.
        period: The period in seconds.
        stat: The statistic, such as `Sum` or `p90`.

    Raises:
        InvalidQueryError: The statistic is unknown.
    """
    buckets: defaultdict[float, list[Datum]] = defaultdict(list)
    first = window.align(window.start, period)
    for datum in data:
        if first <= datum.timestamp < window.end:
            buckets[window.align(datum.timestamp, period)].append(datum)
    statistics = ((timestamp, statistic(stat, buckets[timestamp])) for timestamp in sorted(buckets))
    values = {timestamp: value for timestamp, value in statistics if value is not None}
    return Series(metric.name, period, values, metric)
