"""Text alternatives of charts, and their values as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandpiper.dashboards.numbers import as_text
from sandpiper.dashboards.panels import Table
from sandpiper.dashboards.times import as_text as time_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sandpiper.dashboards.drawn import DrawnSeries, Mark

VIEW_NAMES = {
    "bar": "Bar chart",
    "gauge": "Gauge",
    "pie": "Pie chart",
    "singleValue": "Numbers",
    "timeSeries": "Graph over time",
}
MAX_DESCRIBED = 10
"""Series in a description. The table has all of them."""


def describe(view: str, series: Sequence[DrawnSeries], thresholds: Sequence[Mark]) -> str:
    """Returns the text alternative of a chart."""
    parts = [f"{VIEW_NAMES[view]}."]
    for one in series[:MAX_DESCRIBED]:
        values = list(one.values.values())
        if one.latest is None:
            parts.append(f"{one.label}: no data.")
        else:
            low, high = as_text(min(values)), as_text(max(values))
            parts.append(f"{one.label}: latest {as_text(one.latest)}, lowest {low}, highest {high}.")
    if len(series) > MAX_DESCRIBED:
        parts.append(f"{len(series) - MAX_DESCRIBED} more series are in the table.")
    parts += [f"Threshold: {mark.text}." for mark in thresholds]
    return " ".join(parts)


def data_table(series: Sequence[DrawnSeries]) -> Table:
    """Returns the values by time, without times that have none."""
    times = sorted({time for one in series for time in one.values})
    rows = tuple(
        (time_text(time), *(as_text(one.values[time]) if time in one.values else "" for one in series))
        for time in times
    )
    return Table(("Time (UTC)", *(one.label for one in series)), rows)


def latest_table(series: Sequence[DrawnSeries]) -> Table:
    """Returns the latest, lowest and highest value of each series."""
    rows: list[tuple[str, ...]] = []
    for one in series:
        values = list(one.values.values())
        numbers = (values[-1], min(values), max(values)) if values else ()
        rows.append((one.label, *map(as_text, numbers), *[""] * (3 - len(numbers))))
    return Table(("Metric", "Latest", "Lowest", "Highest"), tuple(rows))
