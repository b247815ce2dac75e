"""Data points as they are published, and the statistics of a period.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Statistics-definitions.html
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from local_aws.cloudwatch.errors import InvalidQueryError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

PERCENTILE = re.compile(r"[pP](\d{1,3}(?:\.\d{1,10})?)")


@dataclass(frozen=True)
class Datum:
    """What one call published: a value with its count, or a statistic set.

    Attributes:
        timestamp: Seconds since the epoch.
        count: The number of samples.
        total: The sum of the samples.
        minimum: The smallest sample.
        maximum: The largest sample.
        unit: CloudWatch's unit, such as `Count`.
    """

    timestamp: float
    count: float
    total: float
    minimum: float
    maximum: float
    unit: str = "None"

    @property
    def is_one_value(self) -> bool:
        """Whether all samples are equal, so that percentiles are known."""
        return self.minimum == self.maximum and self.total == self.minimum * self.count


def _total(data: Sequence[Datum]) -> float:
    return sum(datum.total for datum in data)


def _count(data: Sequence[Datum]) -> float:
    return sum(datum.count for datum in data)


_BASIC: dict[str, Callable[[Sequence[Datum]], float | None]] = {
    "Sum": _total,
    "SampleCount": _count,
    "Average": lambda data: _total(data) / _count(data),
    "Minimum": lambda data: min(datum.minimum for datum in data),
    "Maximum": lambda data: max(datum.maximum for datum in data),
}
STATISTICS = tuple(_BASIC)


def require_statistic(name: str) -> None:
    """Raises InvalidQueryError for a statistic that is not supported here."""
    match = PERCENTILE.fullmatch(name)
    if name not in _BASIC and (match is None or float(match[1]) > 100):
        raise InvalidQueryError(
            f"The statistic {name!r} is not supported; allowed: {' | '.join(STATISTICS)} | p0 to p100, such as p90"
        )


def statistic(name: str, data: Sequence[Datum]) -> float | None:
    """Returns a statistic of a period's data, or None if there is none.

    Args:
        name: `Sum`, `Average`, `Minimum`, `Maximum`, `SampleCount` or a percentile such as `p90`.
        data: The data of the period.

    Raises:
        InvalidQueryError: The statistic is unknown.
    """
    require_statistic(name)
    samples = [datum for datum in data if datum.count > 0]
    if not samples:
        return None
    if name in _BASIC:
        return _BASIC[name](samples)
    return _percentile(samples, float(name[1:]))


def _percentile(data: Sequence[Datum], percent: float) -> float | None:
    """Interpolates between the two nearest ranks. None for negative values and statistic sets, as CloudWatch does."""
    if any(datum.minimum < 0 or not datum.is_one_value for datum in data):
        return None
    ordered = sorted(data, key=lambda datum: datum.minimum)
    rank = percent / 100 * max(_count(ordered) - 1, 0)
    low, high = _at(ordered, int(rank)), _at(ordered, int(rank) + 1)
    return low + (rank - int(rank)) * (high - low)


def _at(ordered: Sequence[Datum], index: int) -> float:
    seen = 0.0
    for datum in ordered:
        seen += datum.count
        if index < seen:
            return datum.minimum
    return ordered[-1].maximum
