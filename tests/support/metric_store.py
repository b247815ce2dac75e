"""Metrics in memory, for tests of the embedded CloudWatch's evaluation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from local_aws.cloudwatch.statistics import Datum

if TYPE_CHECKING:
    from collections.abc import Sequence

    from local_aws.cloudwatch.series import Metric

STORE_START = 1_796_040_000 - 1_796_040_000 % 3600
"""A full hour."""


@dataclass(frozen=True)
class MetricStore:
    """Metrics with their data."""

    items: Sequence[tuple[Metric, Sequence[Datum]]]

    def metrics(self) -> list[Metric]:
        """Returns the metrics that have data."""
        return [metric for metric, data in self.items if data]

    def data(self, metric: Metric, unit: str | None = None) -> list[Datum]:
        """Returns the data of a metric."""
        found = (datum for each, data in self.items if each == metric for datum in data)
        return [datum for datum in found if unit is None or datum.unit == unit]


def store_of(items: Sequence[tuple[Metric, Sequence[float | None]]], period: int) -> MetricStore:
    """Returns a store with one value for each period from STORE_START. None is a missing value."""
    return MetricStore(
        [
            (
                metric,
                [
                    Datum(STORE_START + index * period, 1, value, value, value)
                    for index, value in enumerate(values)
                    if value is not None
                ],
            )
            for metric, values in items
        ]
    )
