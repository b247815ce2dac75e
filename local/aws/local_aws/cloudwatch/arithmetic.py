"""Operators of metric math on numbers, time series and arrays of time series.

A value that is missing in one of two time series counts as 0. A division by zero drops the data point.
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING

from local_aws.cloudwatch.errors import InvalidQueryError
from local_aws.cloudwatch.series import Series

if TYPE_CHECKING:
    from collections.abc import Callable

Value = float | Series | list[Series]


def _divide(left: float, right: float) -> float | None:
    return left / right if right else None


def _power(left: float, right: float) -> float | None:
    try:
        result = left**right
    except (OverflowError, ZeroDivisionError):
        return None
    return result if isinstance(result, (int, float)) else None  # complex: the root of a negative number


OPERATORS: dict[str, Callable[[float, float], float | None]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": _divide,
    "^": _power,
    "==": lambda left, right: float(left == right),
    "!=": lambda left, right: float(left != right),
    "<=": lambda left, right: float(left <= right),
    ">=": lambda left, right: float(left >= right),
    "<": lambda left, right: float(left < right),
    ">": lambda left, right: float(left > right),
    "AND": lambda left, right: float(bool(left) and bool(right)),
    "OR": lambda left, right: float(bool(left) or bool(right)),
}


def combine(symbol: str, left: Value, right: Value) -> Value:
    """Returns the result of an operator.

    Raises:
        InvalidQueryError: The operands are arrays of different lengths, or numbers without a result.
    """
    if isinstance(left, list) or isinstance(right, list):
        return [_combine_series(symbol, *pair) for pair in _pairs(left, right)]
    if isinstance(left, Series) or isinstance(right, Series):
        return _combine_series(symbol, left, right)
    result = OPERATORS[symbol](left, right)
    if result is None:
        raise InvalidQueryError(f"{left:g} {symbol} {right:g} has no result")
    return result


def _pairs(left: Value, right: Value) -> list[tuple[float | Series, float | Series]]:
    if not isinstance(left, list):
        return [(left, item) for item in right] if isinstance(right, list) else [(left, right)]
    if not isinstance(right, list):
        return [(item, right) for item in left]
    if len(left) != len(right):
        raise InvalidQueryError(f"Arrays of {len(left)} and {len(right)} time series cannot be combined")
    return list(zip(left, right, strict=True))


def _combine_series(symbol: str, left: float | Series, right: float | Series) -> Series:
    apply = OPERATORS[symbol]
    if isinstance(left, Series) and isinstance(right, Series):
        timestamps = sorted({*left.values, *right.values})
        return left.with_values(
            (each, apply(left.values.get(each, 0), right.values.get(each, 0))) for each in timestamps
        )
    if isinstance(left, Series):
        number = _number(right)
        return left.map(lambda value: apply(value, number))
    number = left
    return _series(right).map(lambda value: apply(number, value))


def _number(value: float | Series) -> float:
    assert not isinstance(value, Series)  # noqa: S101 - narrows the type
    return value


def _series(value: float | Series) -> Series:
    assert isinstance(value, Series)  # noqa: S101 - narrows the type
    return value
