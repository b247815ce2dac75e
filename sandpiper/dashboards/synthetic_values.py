"""Invented values of metrics: plausible for their names, and the same in every run."""

from __future__ import annotations

import math
import random
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from local_aws.cloudwatch.statistics import Datum

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local_aws.cloudwatch.series import Metric

HOUR = 3_600
MINUTE = 60
MAX_MINUTES = 6 * HOUR
"""Longest time range with a value for each minute. Longer ones have a value for each five minutes."""
WAVE_SECONDS = 2 * HOUR
"""Time between two busy phases."""


@dataclass(frozen=True)
class Profile:
    """How the values of a metric are invented.

    Attributes:
        typical: the mean of a value per minute.
        spread: the standard deviation of a value as a share of it.
        rate: the share of minutes that have a value.
        is_count: whether values are whole numbers that add up.
    """

    typical: float
    spread: float = 0.3
    rate: float = 1.0
    is_count: bool = False


PROFILES: tuple[tuple[re.Pattern[str], Profile], ...] = tuple(
    (re.compile(pattern), profile)
    for pattern, profile in (
        (r"Duplicate", Profile(0, 0, 1, True)),
        (r"Throttle|Fault|Fail|Denied|Skipped|NotStopped|TimedOut|Aborted|Leak|Swept|Blocked|MatchedEvents|QueryVolume"
         r"|Error", Profile(1, 0.4, 0.01, True)),
        (r"(?i)percent|utilization|share", Profile(35, 0.2)),
        (r"vCPU", Profile(0.02)),
        (r"GBHours|GB-Hours", Profile(0.04)),
        (r"(?i)cost|spend|usd|difference", Profile(0.01)),
        (r"(?i)bytes|size", Profile(250_000, 0.5)),
        (r"ActiveSessionCount|Concurren|Depth|Memory", Profile(40, 0.1)),
        (r"ExecutionTime|Duration", Profile(4_200, 0.4)),
        (r"Seconds", Profile(30, 0.4)),
        (r"Latency|Time$|Age", Profile(220, 0.4)),
        (r"Files", Profile(2, 0.5, 0.5, True)),
        (r"Succeeded", Profile(2.7, 0.3, 1, True)),
        (r"", Profile(3, 0.3, 1, True)),
    )
)  # fmt: skip
"""The profiles by the first pattern that the name of a metric matches."""


def invented_data(metric: Metric, start: float, end: float) -> Iterator[Datum]:
    """Yields the data of a metric in a time range. All metrics are busy at the same time."""
    profile = next(profile for pattern, profile in PROFILES if pattern.search(metric.name))
    dimensions = sorted(metric.dimensions.items())
    # Each hour has its own numbers, so that they do not depend on the time range.
    size = 0.5 + random.Random(repr([pair for pair in dimensions if pair[0] != "Operation"])).random()  # noqa: S311
    step = MINUTE if end - start <= MAX_MINUTES else 5 * MINUTE
    for hour in range(math.floor(start / HOUR), math.ceil(end / HOUR)):
        own = random.Random(repr((metric.namespace, metric.name, dimensions, hour)))  # noqa: S311 - no secret
        for timestamp in range(hour * HOUR, (hour + 1) * HOUR, step):
            draw, noise = own.random(), own.gauss(0, 1)
            if draw < profile.rate and start <= timestamp < end:
                value = _value(profile, timestamp, size, noise, step)
                yield Datum(timestamp, 1, value, value, value)


def _value(profile: Profile, timestamp: int, size: float, noise: float, step: int) -> float:
    is_rare = profile.rate < 1
    busy = 1 if is_rare else size * (1 + 0.6 * math.sin(2 * math.pi * timestamp / WAVE_SECONDS))
    value = max(0.0, profile.typical * busy * (1 + profile.spread * noise))
    if not profile.is_count:
        return value
    return max(round(value * step / MINUTE), int(is_rare and profile.typical > 0))
