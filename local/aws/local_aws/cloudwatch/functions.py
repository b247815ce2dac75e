"""Functions of metric math that depend on their arguments only.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html#metric-math-syntax-functions-list
"""

from __future__ import annotations

import itertools
import math
import statistics
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from local_aws.cloudwatch.errors import InvalidQueryError
from local_aws.cloudwatch.series import Series

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from local_aws.cloudwatch.arithmetic import Value


def each_series(name: str, change: Callable[[Series], Series]) -> Callable[..., Value]:
    """Returns a function that changes one time series, or each of an array."""

    def call(*arguments: Value) -> Value:
        (value,) = exactly(name, arguments, 1)
        return [change(series) for series in value] if isinstance(value, list) else change(as_series(name, value))

    return call


def aggregate(name: str, of_one: Callable[[Sequence[float]], float], *, missing_is_0: bool) -> Callable[..., Value]:
    """Returns a function that makes a number of a time series, and a time series of an array.

    Args:
        name: The name of the function.
        of_one: The aggregation of numbers, of which there is at least one.
        missing_is_0: Whether a value that is missing in one series of an array counts as 0.
    """

    def call(*arguments: Value) -> Value:
        (value,) = exactly(name, arguments, 1)
        if not isinstance(value, list):
            values = list(as_series(name, value).values.values())
            return of_one(values) if values else 0.0
        if not value:
            return []
        timestamps = sorted({timestamp for series in value for timestamp in series.values})

        def at(timestamp: float) -> list[float]:
            return [series.values.get(timestamp, 0) for series in value if missing_is_0 or timestamp in series.values]

        return value[0].with_values((timestamp, of_one(at(timestamp))) for timestamp in timestamps)

    return call


def _running_sum(series: Series) -> Series:
    return series.with_values(zip(series.values, itertools.accumulate(series.values.values()), strict=True))


def _differences(series: Series, result: Callable[[float, float], float]) -> Series:
    """Returns a series of `result(difference of values, seconds between them)`, without its first value."""
    pairs = itertools.pairwise(series.values.items())
    return series.with_values((after[0], result(after[1] - before[1], after[0] - before[0])) for before, after in pairs)


def _rounded(round_value: Callable[[float], int]) -> Callable[[Series], Series]:
    return lambda series: series.map(lambda value: float(round_value(value)))


def _logarithm(function: Callable[[float], float]) -> Callable[[Series], Series]:
    return lambda series: series.map(lambda value: function(value) if value > 0 else None)


def metric_count(*arguments: Value) -> Value:
    """METRIC_COUNT."""
    (value,) = exactly("METRIC_COUNT", arguments, 1)
    return float(len(as_array("METRIC_COUNT", value)))


def remove_empty(*arguments: Value) -> Value:
    """REMOVE_EMPTY."""
    (value,) = exactly("REMOVE_EMPTY", arguments, 1)
    return [series for series in as_array("REMOVE_EMPTY", value) if series.values]


def _end(name: str, index: int) -> Callable[..., Value]:
    def call(*arguments: Value) -> Value:
        (value,) = exactly(name, arguments, 1)
        array = as_array(name, value)
        return array[index] if array else []

    return call


def slice_array(*arguments: Value) -> Value:
    """SLICE(array, start) and SLICE(array, start, end)."""
    if len(arguments) not in (2, 3):
        raise InvalidQueryError(f"SLICE has {len(arguments)} arguments; allowed: 2 | 3")
    array, *bounds = arguments
    start, *ends = [round(as_number("SLICE", bound)) for bound in bounds]
    return as_array("SLICE", array)[start : ends[0] if ends else None]


def period(*arguments: Value) -> Value:
    """PERIOD, whose argument must be a metric."""
    (value,) = exactly("PERIOD", arguments, 1)
    series = as_series("PERIOD", value)
    if series.metric is None:
        raise InvalidQueryError("PERIOD accepts metrics only, not the results of expressions")
    return float(series.period)


def if_then_else(*arguments: Value) -> Value:
    """IF(condition, value) and IF(condition, value, otherwise)."""
    if len(arguments) not in (2, 3):
        raise InvalidQueryError(f"IF has {len(arguments)} arguments; allowed: 2 | 3")
    condition, then, *others = arguments
    otherwise = others[0] if others else None
    if isinstance(condition, Series):
        return condition.with_values(
            (timestamp, _value_at(then, timestamp, 0.0) if value else _value_at(otherwise, timestamp, None))
            for timestamp, value in condition.values.items()
        )
    chosen = then if as_number("IF", condition) else otherwise
    return [] if chosen is None else chosen


def _value_at(value: Value | None, timestamp: float, missing: float | None) -> float | None:
    if isinstance(value, list):
        raise InvalidQueryError("IF accepts numbers and time series, not arrays of time series")
    return value.values.get(timestamp, missing) if isinstance(value, Series) else value


def exactly(name: str, arguments: Sequence[Value], number: int) -> Sequence[Value]:
    """Returns the arguments of a function. Raises InvalidQueryError if their number is wrong."""
    if len(arguments) != number:
        raise InvalidQueryError(f"{name} has {len(arguments)} arguments; allowed: {number}")
    return arguments


def as_series(name: str, value: Value) -> Series:
    """Returns an argument that must be a time series."""
    if not isinstance(value, Series):
        raise InvalidQueryError(f"An argument of {name} is {_kind(value)}; allowed: a time series")
    return value


def as_array(name: str, value: Value) -> list[Series]:
    """Returns an argument that must be an array of time series."""
    if not isinstance(value, list):
        raise InvalidQueryError(f"An argument of {name} is {_kind(value)}; allowed: an array of time series")
    return value


def as_number(name: str, value: Value) -> float:
    """Returns an argument that must be a number."""
    if isinstance(value, (Series, list)):
        raise InvalidQueryError(f"An argument of {name} is {_kind(value)}; allowed: a number")
    return value


def _kind(value: Value) -> str:
    if isinstance(value, list):
        return "an array of time series"
    return "a time series" if isinstance(value, Series) else "a number"


def _deviation(values: Sequence[float]) -> float:
    return statistics.pstdev(values)


AGGREGATES: dict[str, Callable[[Sequence[float]], float]] = {
    "AVG": statistics.fmean,
    "MAX": max,
    "MIN": min,
    "STDDEV": _deviation,
    "SUM": sum,
}
FUNCTIONS: dict[str, Callable[..., Value]] = {
    "ABS": each_series("ABS", lambda series: series.map(abs)),
    "CEIL": each_series("CEIL", _rounded(math.ceil)),
    "DATAPOINT_COUNT": aggregate("DATAPOINT_COUNT", len, missing_is_0=False),
    "DIFF": each_series("DIFF", lambda series: _differences(series, lambda difference, _: difference)),
    "DIFF_TIME": each_series("DIFF_TIME", lambda series: _differences(series, lambda _, seconds: seconds)),
    "FIRST": _end("FIRST", 0),
    "FLOOR": each_series("FLOOR", _rounded(math.floor)),
    "IF": if_then_else,
    "LAST": _end("LAST", -1),
    "LOG": each_series("LOG", _logarithm(math.log)),
    "LOG10": each_series("LOG10", _logarithm(math.log10)),
    "METRIC_COUNT": metric_count,
    "PERIOD": period,
    "RATE": each_series("RATE", lambda series: _differences(series, lambda difference, seconds: difference / seconds)),
    "REMOVE_EMPTY": remove_empty,
    "RUNNING_SUM": each_series("RUNNING_SUM", _running_sum),
    "SLICE": slice_array,
    **{name: aggregate(name, of_one, missing_is_0=name in ("AVG", "SUM")) for name, of_one in AGGREGATES.items()},
}
CALENDAR: dict[str, Callable[[datetime], float]] = {
    "DATE": lambda time: time.day,
    "DAY": lambda time: time.isoweekday(),
    "EPOCH": lambda time: time.timestamp(),
    "HOUR": lambda time: time.hour,
    "MINUTE": lambda time: time.minute,
    "MONTH": lambda time: time.month,
    "YEAR": lambda time: time.year,
}
"""Functions of the timestamp, in UTC."""


def calendar_value(name: str, timestamp: float) -> float:
    """Returns a part of a timestamp."""
    return float(CALENDAR[name](datetime.fromtimestamp(timestamp, UTC)))
