"""What a chart draws: series with their colors, and lines that mark thresholds and events."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sandpiper.dashboards.numbers import nice_limit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sandpiper.dashboards.model import Axis, Side


@dataclass(frozen=True)
class DrawnSeries:
    """A series with its color and pattern."""

    label: str
    values: Mapping[int, float]
    period: int
    axis: Side
    color: str
    dash: tuple[int, ...]

    @property
    def latest(self) -> float | None:
        """The last value."""
        return [*self.values.values()][-1] if self.values else None

    def gapless_parts(self) -> Iterator[list[tuple[int, float]]]:
        """Yields runs of values without a missing period between them."""
        part: list[tuple[int, float]] = []
        for time, value in self.values.items():
            if part and time - part[-1][0] > self.period * 1.5:
                yield part
                part = []
            part.append((time, value))
        if part:
            yield part


@dataclass(frozen=True)
class Mark:
    """A threshold or an event: its value, its name in the chart, its axis, and its text for the description."""

    value: float
    label: str
    axis: Side = "left"
    text: str = ""


@dataclass(frozen=True)
class Scale:
    """The limits of an axis and the values that it names."""

    low: float
    high: float
    ticks: tuple[float, ...]

    def position(self, value: float, height: float) -> float:
        """Returns the distance of a value from the top of a chart."""
        return height * (1 - (value - self.low) / (self.high - self.low))


def scale_of(axis: Axis, values: Sequence[float], count: int = 5) -> Scale:
    """Returns the scale of an axis: its limits, or those that contain zero and all values.

    Args:
        axis: the axis of the dashboard.
        values: the values and the thresholds on the axis.
        count: the number of ticks that fit.
    """
    high = axis.max if axis.max is not None else max([*values, 0.0])
    low = axis.min if axis.min is not None else min([*values, 0.0])
    if high <= low:
        high = low + 1
    step = nice_limit((high - low) * 1.02 / max(1, count))
    if all(value.is_integer() for value in map(float, values)):
        step = max(1.0, step)
    top = high if axis.max is not None else math.ceil(high * 1.02 / step) * step
    bottom = low if axis.min is not None else math.floor(low / step) * step
    first = math.ceil(bottom / step - 1e-9)
    return Scale(bottom, top, tuple(index * step for index in range(first, int(top / step + 1e-9) + 1)))
