"""The metrics of an account, as queries see them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from local_aws.cloudwatch.series import Metric
    from local_aws.cloudwatch.statistics import Datum


class MetricStore(Protocol):
    """The metrics with their data."""

    def metrics(self) -> Iterable[Metric]:
        """Returns all metrics that have data."""
        ...

    def data(self, metric: Metric, unit: str | None = None) -> Sequence[Datum]:
        """Returns the data of a metric with exactly these dimensions, of one unit or of all."""
        ...
