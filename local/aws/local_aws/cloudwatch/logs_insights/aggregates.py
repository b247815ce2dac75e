"""The functions of `stats`, each on the rows of one group."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from local_aws.cloudwatch.errors import InvalidQueryError
from local_aws.cloudwatch.logs_insights.values import Row, Value, number, text

if TYPE_CHECKING:
    from local_aws.cloudwatch.logs_insights.values import Expression

Aggregate = Callable[[Sequence[Row]], Value]


def _percentile(values: list[float], percent: float) -> float:
    ordered = sorted(values)
    rank = percent / 100 * (len(ordered) - 1)
    low = ordered[int(rank)]
    high = ordered[min(int(rank) + 1, len(ordered) - 1)]
    return low + (rank - int(rank)) * (high - low)


_NUMERIC: dict[str, Callable[[list[float]], float]] = {
    "avg": statistics.fmean,
    "max": max,
    "median": statistics.median,
    "min": min,
    "stddev": lambda values: statistics.stdev(values) if len(values) > 1 else 0.0,
    "sum": sum,
}
BY_TIME = ("earliest", "latest")
NAMES = (*_NUMERIC, *BY_TIME, "count", "count_distinct", "pct", "percentile")


def aggregate(name: str, arguments: Sequence[Expression]) -> Aggregate:
    """Returns an aggregation.

    Raises:
        InvalidQueryError: The number of arguments is wrong.
    """
    if name == "count" and not arguments:
        return lambda rows: float(len(rows))
    expected = 2 if name in ("pct", "percentile") else 1
    if len(arguments) != expected:
        raise InvalidQueryError(f"{name} has {len(arguments)} arguments; allowed: {expected}")
    value = arguments[0]
    if name == "count":
        return lambda rows: float(sum(value(row) is not None for row in rows))
    if name == "count_distinct":
        return lambda rows: float(len({text(found) for row in rows if (found := value(row)) is not None}))
    if name in BY_TIME:
        return lambda rows: _by_time(rows, value, is_latest=name == "latest")
    compute = _NUMERIC.get(name) or _percentile_of(arguments[1])

    def apply(rows: Sequence[Row]) -> Value:
        numbers = [found for row in rows if (found := number(value(row))) is not None]
        return float(compute(numbers)) if numbers else None

    return apply


def _percentile_of(percent: Expression) -> Callable[[list[float]], float]:
    return lambda values: _percentile(values, number(percent({})) or 0)


def _by_time(rows: Sequence[Row], value: Expression, *, is_latest: bool) -> Value:
    ordered = sorted(rows, key=lambda row: number(row.get("@timestamp")) or 0, reverse=is_latest)
    return next((found for row in ordered if (found := value(row)) is not None), None)
