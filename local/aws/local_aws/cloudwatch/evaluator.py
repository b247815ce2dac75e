"""The value of a metric math expression in a window."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from local_aws.cloudwatch import anomaly
from local_aws.cloudwatch.arithmetic import Value, combine
from local_aws.cloudwatch.errors import InvalidQueryError
from local_aws.cloudwatch.expression import Array, Binary, Call, Negation, Node, Number, Reference, Text
from local_aws.cloudwatch.functions import (
    AGGREGATES,
    CALENDAR,
    FUNCTIONS,
    as_array,
    as_number,
    as_series,
    calendar_value,
    exactly,
)
from local_aws.cloudwatch.series import Series, Window

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

DEFAULT_PERIOD = 300


class Scope(Protocol):
    """What an expression can refer to.

    Attributes:
        window: The time range.
    """

    window: Window

    def value(self, identifier: str) -> Value:
        """Returns the value of a metric or another expression. Raises InvalidQueryError for an unknown id."""
        ...

    def metrics(self, text: str) -> list[Series]:
        """Returns the metrics of the request whose id contains a text."""
        ...

    def search(self, query: str, stat: str, period: int) -> list[Series]:
        """Returns the result of SEARCH."""
        ...

    def before(self, seconds: float) -> Scope:
        """Returns the scope with a window that starts earlier."""
        ...


def evaluate(node: Node, scope: Scope) -> Value:
    """Returns the value of an expression.

    Raises:
        InvalidQueryError: It cannot be evaluated.
    """
    match node:
        case Number(value):
            return value
        case Reference(name):
            return scope.value(name)
        case Negation(operand):
            return combine("*", -1.0, evaluate(operand, scope))
        case Binary(symbol, left, right):
            return combine(symbol, evaluate(left, scope), evaluate(right, scope))
        case Array(items):
            return [series for item in items for series in _items(evaluate(item, scope))]
        case Call(function, arguments):
            return _call(function, arguments, scope)
        case Text(text):
            raise InvalidQueryError(f"The string {text!r} is not an argument of METRICS or SEARCH")


def _items(value: Value) -> list[Series]:
    if isinstance(value, (Series, list)):
        return value if isinstance(value, list) else [value]
    raise InvalidQueryError("An array contains a number; allowed: time series")


def _call(function: str, arguments: Sequence[Node], scope: Scope) -> Value:
    special = SPECIAL.get(function)
    if special is not None:
        return special(arguments, scope)
    values = [evaluate(argument, scope) for argument in arguments]
    if function in CALENDAR:
        series = as_series(function, *exactly(function, values, 1))
        timestamps = scope.window.timestamps(series.period)
        return series.with_values((each, calendar_value(function, each)) for each in timestamps)
    if function not in FUNCTIONS:
        allowed = " | ".join(sorted({*FUNCTIONS, *CALENDAR, *SPECIAL}))
        raise InvalidQueryError(f"The function {function} is not supported; allowed: {allowed}")
    return FUNCTIONS[function](*values)


def _metrics(arguments: Sequence[Node], scope: Scope) -> Value:
    match arguments:
        case ():
            return scope.metrics("")
        case (Text(text),):
            return scope.metrics(text)
        case _:
            raise InvalidQueryError("The argument of METRICS is not a string")


def _search(arguments: Sequence[Node], scope: Scope) -> Value:
    match arguments:
        case (Text(query), Text(stat), Number(period)):
            return scope.search(query, stat, round(period))
        case (Text(query), Text(stat)):
            return scope.search(query, stat, DEFAULT_PERIOD)
        case _:
            raise InvalidQueryError("The arguments of SEARCH are not: 'query', 'statistic', period")


def _time_series(arguments: Sequence[Node], scope: Scope) -> Value:
    values = exactly("TIME_SERIES", [evaluate(argument, scope) for argument in arguments], 1)
    value = as_number("TIME_SERIES", values[0])
    return Series("", DEFAULT_PERIOD, dict.fromkeys(scope.window.timestamps(DEFAULT_PERIOD), value))


def _fill(arguments: Sequence[Node], scope: Scope) -> Value:
    if len(arguments) != 2:
        raise InvalidQueryError(f"FILL has {len(arguments)} arguments; allowed: 2")
    value, filler = evaluate(arguments[0], scope), arguments[1]
    keyword = filler.name if isinstance(filler, Reference) and filler.name in ("REPEAT", "LINEAR") else None
    other = None if keyword else evaluate(filler, scope)

    def fill(series: Series) -> Series:
        timestamps = scope.window.timestamps(series.period)
        return series.with_values((each, _filled(series, each, keyword, other)) for each in timestamps)

    return [fill(series) for series in value] if isinstance(value, list) else fill(as_series("FILL", value))


def _filled(series: Series, timestamp: float, keyword: str | None, other: Value | None) -> float | None:
    """Returns the value of a series at a timestamp, or what fills the gap; None if nothing does."""
    if timestamp in series.values:
        return series.values[timestamp]
    if keyword is None:
        if isinstance(other, list):
            raise InvalidQueryError("FILL accepts a number or a time series as its second argument")
        return other.values.get(timestamp) if isinstance(other, Series) else other
    before = max((each for each in series.values if each < timestamp), default=None)
    if before is None:
        return None
    if keyword == "REPEAT":
        return series.values[before]
    after = min((each for each in series.values if each > timestamp), default=None)
    if after is None:
        return None
    start, end = series.values[before], series.values[after]
    return start + (end - start) * (timestamp - before) / (after - before)


def _sort(arguments: Sequence[Node], scope: Scope) -> Value:
    match arguments:
        case (array, Reference(function), Reference("ASC" | "DESC" as order), *limits) if function in AGGREGATES:
            series = as_array("SORT", evaluate(array, scope))
            of_all = AGGREGATES[function]
            ordered = sorted(
                series,
                key=lambda each: of_all(list(each.values.values())) if each.values else float("-inf"),
                reverse=order == "DESC",
            )
            limit = round(as_number("SORT", evaluate(limits[0], scope))) if limits else None
            return ordered[:limit]
        case _:
            raise InvalidQueryError("The arguments of SORT are not: array, AVG | MAX | MIN | SUM, ASC | DESC")


def _anomaly_band(arguments: Sequence[Node], scope: Scope) -> Value:
    if len(arguments) not in (1, 2):
        raise InvalidQueryError(f"ANOMALY_DETECTION_BAND has {len(arguments)} arguments; allowed: 1 | 2")
    name = "ANOMALY_DETECTION_BAND"
    deviations = as_number(name, evaluate(arguments[1], scope)) if arguments[1:] else anomaly.DEFAULT_DEVIATIONS
    history = as_series(name, evaluate(arguments[0], scope.before(anomaly.TRAINING_SECONDS)))
    return anomaly.bands(history, scope.window.timestamps(history.period), deviations)


SPECIAL: dict[str, Callable[[Sequence[Node], Scope], Value]] = {
    "ANOMALY_DETECTION_BAND": _anomaly_band,
    "FILL": _fill,
    "METRICS": _metrics,
    "SEARCH": _search,
    "SORT": _sort,
    "TIME_SERIES": _time_series,
}
"""Functions that depend on the window, the request or the text of their arguments."""
