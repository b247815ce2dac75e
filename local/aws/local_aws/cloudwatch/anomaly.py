"""ANOMALY_DETECTION_BAND in a simple form.

CloudWatch trains a model with trends and seasons on up to two weeks of data. Here the band of a period is the mean of
the earlier values of two weeks, plus and minus a number of standard deviations.
"""

from __future__ import annotations

import statistics
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from local_aws.cloudwatch.series import Series

TRAINING_SECONDS = 14 * 24 * 3600
MIN_VALUES = 3
"""Periods with fewer earlier values have no band. CloudWatch needs three days of data."""
DEFAULT_DEVIATIONS = 2.0


def bands(history: Series, timestamps: list[float], deviations: float) -> list[Series]:
    """Returns the upper and the lower band.

    Args:
        history: The values of the two weeks before the last timestamp.
        timestamps: The periods for which to return a band.
        deviations: The number of standard deviations between the mean and each band.
    """
    upper: list[tuple[float, float | None]] = []
    lower: list[tuple[float, float | None]] = []
    for timestamp in timestamps:
        since = timestamp - TRAINING_SECONDS
        earlier = [value for each, value in history.values.items() if since <= each < timestamp]
        if len(earlier) >= MIN_VALUES:
            mean, width = statistics.fmean(earlier), deviations * statistics.pstdev(earlier)
            upper.append((timestamp, mean + width))
            lower.append((timestamp, mean - width))
    named = [(f"{history.label} high", upper), (f"{history.label} low", lower)]
    return [replace(history.with_values(values), label=label) for label, values in named]
