"""Values of fields, and the expressions on them."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from local_aws.cloudwatch.errors import InvalidQueryError

Value = str | float | bool | None
Row = dict[str, Value]
Expression = Callable[[Row], Value]


class Time(float):
    """A time in milliseconds since the epoch, which is displayed as a date and a time."""


def number(value: Value) -> float | None:
    """Returns a value as a number, or None if it is not one."""
    try:
        return None if value is None else float(value)
    except ValueError:
        return None


def text(value: Value) -> str | None:
    """Returns a value as it is displayed. Whole numbers have no decimals."""
    if isinstance(value, Time):
        moment = datetime.fromtimestamp(value / 1000, UTC)
        return moment.strftime("%Y-%m-%d %H:%M:%S.") + f"{moment.microsecond // 1000:03d}"
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    return str(value) if isinstance(value, int) else value


def flatten(document: Mapping[str, Any], prefix: str = "") -> Row:
    """Returns the fields of a JSON document. Names of nested fields and items are joined by dots."""
    row: Row = {}
    for name, value in document.items():
        path = f"{prefix}{name}"
        if isinstance(value, Mapping):
            row |= flatten(value, f"{path}.")  # pyright: ignore[reportUnknownArgumentType] - JSON
        elif isinstance(value, list):
            row |= flatten({str(index): item for index, item in enumerate(value)}, f"{path}.")  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType] - JSON
        else:
            row[path] = float(value) if isinstance(value, int) and not isinstance(value, bool) else value
    return row


def _equal(left: Value, right: Value) -> bool:
    numbers = number(left), number(right)
    return numbers[0] == numbers[1] if None not in numbers else text(left) == text(right)


def _order(compare: Callable[[Any, Any], bool]) -> Callable[[Value, Value], Value]:
    def apply(left: Value, right: Value) -> Value:
        if left is None or right is None:
            return False
        numbers = number(left), number(right)
        return compare(*numbers) if None not in numbers else compare(text(left), text(right))

    return apply


def _arithmetic(compute: Callable[[float, float], float]) -> Callable[[Value, Value], Value]:
    def apply(left: Value, right: Value) -> Value:
        first, second = number(left), number(right)
        if first is None or second is None:
            return None
        try:
            return float(compute(first, second))
        except (ZeroDivisionError, OverflowError):
            return None

    return apply


def _add(left: float, right: float) -> float:
    return left + right


def _multiply(left: float, right: float) -> float:
    return left * right


def _divide(left: float, right: float) -> float:
    return left / right


def _subtract(left: float, right: float) -> float:
    return left - right


OPERATORS: dict[str, Callable[[Value, Value], Value]] = {
    "=": lambda left, right: left is not None and _equal(left, right),
    "!=": lambda left, right: not _equal(left, right),
    "<": _order(operator.lt),
    "<=": _order(operator.le),
    ">": _order(operator.gt),
    ">=": _order(operator.ge),
    "+": _arithmetic(_add),
    "-": _arithmetic(_subtract),
    "*": _arithmetic(_multiply),
    "/": _arithmetic(_divide),
    "^": _arithmetic(math.pow),
    "%": _arithmetic(math.fmod),
}


def _of_number(compute: Callable[..., float]) -> Callable[..., Value]:
    def apply(*values: Value) -> Value:
        numbers = [number(value) for value in values]
        return None if None in numbers else float(compute(*numbers))

    return apply


def _of_text(compute: Callable[..., Value]) -> Callable[..., Value]:
    def apply(*values: Value) -> Value:
        texts = [text(value) for value in values]
        return None if None in texts else compute(*texts)

    return apply


def _substring(value: str, start: str, length: str | None = None) -> str:
    begin = int(start)
    return value[begin : None if length is None else begin + int(length)]


def _replace(value: str, old: str, new: str) -> str:
    return value.replace(old, new)


def _length(value: str) -> float:
    return float(len(value))


def _joined(*values: str) -> str:
    return "".join(values)


def _coalesce(*values: Value) -> Value:
    return next((value for value in values if value is not None), None)


def _is_blank(value: Value) -> Value:
    return not (text(value) or "").strip()


def _is_empty(value: Value) -> Value:
    return value is None or value == ""


def _is_present(value: Value) -> Value:
    return value is not None


def _time(value: Value) -> Value:
    found = number(value)
    return None if found is None else Time(found)


FUNCTIONS: dict[str, Callable[..., Value]] = {
    "abs": _of_number(math.fabs),
    "ceil": _of_number(math.ceil),
    "coalesce": _coalesce,
    "concat": _of_text(_joined),
    "floor": _of_number(math.floor),
    "frommillis": _time,
    "greatest": _of_number(max),
    "isblank": _is_blank,
    "isempty": _is_empty,
    "ispresent": _is_present,
    "least": _of_number(min),
    "log": _of_number(math.log),
    "replace": _of_text(_replace),
    "sqrt": _of_number(math.sqrt),
    "strcontains": _of_text(str.__contains__),
    "strlen": _of_text(_length),
    "substr": _of_text(_substring),
    "tolower": _of_text(str.lower),
    "tomillis": _of_number(float),
    "toupper": _of_text(str.upper),
    "trim": _of_text(str.strip),
}
UNITS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}


def milliseconds(duration: str) -> int:
    """Returns a duration such as `5m`. Raises InvalidQueryError for months, quarters and years."""
    match = re.fullmatch(r"(\d+)([a-z]+)", duration)
    if match is None or match[2] not in UNITS:
        raise InvalidQueryError(f"The period {duration} is not supported; allowed units: {' | '.join(UNITS)}")
    return int(match[1]) * UNITS[match[2]]


def boolean(value: Value) -> bool:
    """Returns whether a condition holds."""
    return value is True or (value is not None and value is not False and number(value) not in (None, 0))


def call(name: str, arguments: Sequence[Expression]) -> Expression:
    """Returns the call of a function. Raises InvalidQueryError if it is not supported."""
    function = FUNCTIONS.get(name.lower())
    if function is None:
        raise InvalidQueryError(f"The function {name} is not supported; allowed: {' | '.join(sorted(FUNCTIONS))}")
    return lambda row: function(*(argument(row) for argument in arguments))
