"""The specifications of charts of single values: sparkline, bars, pie and gauge."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from sandpiper.dashboards.charts import FONT_SIZE, Chart, Padding, draw
from sandpiper.dashboards.colors import color
from sandpiper.dashboards.drawn import scale_of
from sandpiper.dashboards.geometry import text_width
from sandpiper.dashboards.numbers import as_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sandpiper.dashboards.drawn import DrawnSeries, Mark
    from sandpiper.dashboards.model import Axis

GAUGE_ANGLE = 0.72 * math.pi
"""Half of the angle that a gauge covers."""


def draw_sparkline(series: DrawnSeries, width: int, height: int, name: str) -> Chart:
    """Draws the course of a number as an area without axes."""
    rows = [{"t": time, "v": value} for time, value in series.values.items()]
    mark = {"type": "area", "color": series.color, "opacity": 0.3, "line": {"color": series.color, "strokeWidth": 1.5}}
    encoding = {
        "x": {"field": "t", "type": "quantitative", "axis": None, "scale": {"zero": False, "nice": False}},
        "y": {"field": "v", "type": "quantitative", "axis": None, "scale": {"nice": False}},
    }
    return draw({"data": {"values": rows}, "mark": mark, "encoding": encoding}, width, height, name)


def draw_bars(series: Sequence[DrawnSeries], width: int, height: int, name: str) -> Chart:
    """Draws the latest value of each series as a horizontal bar with its number."""
    left = min(width // 3, round(max(text_width(one.label) for one in series)) + 20)
    rows = [{"i": index, "v": one.latest or 0, "n": as_text(one.latest or 0)} for index, one in enumerate(series)]
    names = {str(index): one.label for index, one in enumerate(series)}
    y = {
        "field": "i",
        "type": "ordinal",
        "axis": {
            "title": None,
            "domain": False,
            "ticks": False,
            "labelLimit": left - 6,
            "labelExpr": f"({json.dumps(names)})[datum.value]",
        },
    }
    high = max([one.latest or 0 for one in series] + [0.0]) or 1.0
    x = {"field": "v", "type": "quantitative", "axis": None, "scale": {"domain": [0, high * 1.2], "nice": False}}
    colors = {"domain": list(range(len(series))), "range": [one.color for one in series]}
    bar = {"type": "bar", "height": {"band": 0.65}}
    number = {"type": "text", "align": "left", "dx": 4, "color": color("text"), "fontSize": FONT_SIZE}
    shown = {"color": {"field": "i", "type": "nominal", "scale": colors, "legend": None}}
    layers = [
        {"mark": bar, "encoding": {"x": x, "y": y, **shown}},
        {"mark": number, "encoding": {"x": x, "y": y, "text": {"field": "n"}}},
    ]
    return draw({"data": {"values": rows}, "layer": layers}, width, height, name, Padding(left=left))


def draw_pie(series: Sequence[DrawnSeries], width: int, height: int, name: str) -> Chart:
    """Draws the shares of the latest values as a ring. The legend has the numbers."""
    rows = [{"i": index, "v": max(0, one.latest or 0)} for index, one in enumerate(series)]
    colors = {"domain": list(range(len(series))), "range": [one.color for one in series]}
    radius = min(width, height) // 2 - 4
    spec = {
        "data": {"values": rows},
        "mark": {
            "type": "arc",
            "outerRadius": radius,
            "innerRadius": radius * 0.55,
            "stroke": color("card"),
            "strokeWidth": 2,
        },
        "encoding": {
            "theta": {"field": "v", "type": "quantitative", "stack": True},
            "order": {"field": "i"},
            "color": {"field": "i", "type": "nominal", "scale": colors, "legend": None},
        },
    }
    return draw(spec, width, height, name)


def draw_gauge(series: DrawnSeries, axis: Axis, marks: Sequence[Mark], width: int, height: int, name: str) -> Chart:
    """Draws the latest value as a part of an arc between the limits of an axis, with a tick for each threshold."""
    latest = series.latest or 0.0
    scale = scale_of(axis, [latest, *(mark.value for mark in marks)])
    low, high = scale.low, scale.high

    def angle(value: float) -> float:
        share = min(1.0, max(0.0, (value - low) / (high - low)))
        return (2 * share - 1) * GAUGE_ANGLE

    outer = max(30, min(width // 2, int(height / 1.75)) - 6)
    inner = outer * 0.72
    center = outer + 4

    def arc(start: float, end: float, fill: str, radius: float = outer) -> dict[str, Any]:
        mark = {"type": "arc", "innerRadius": inner, "outerRadius": radius, "color": fill, "y": center, "x": width / 2}
        return {"mark": mark, "encoding": {"theta": {"value": start}, "theta2": {"value": end}}}

    def text(value: str, dx: float, dy: float, size: int, fill: str) -> dict[str, Any]:
        mark = {"type": "text", "x": width / 2 + dx, "y": center + dy, "fontSize": size, "color": fill}
        return {"mark": mark, "encoding": {"text": {"value": value}}}

    side = math.sin(GAUGE_ANGLE) * outer
    below = -math.cos(GAUGE_ANGLE) * outer + FONT_SIZE
    layers = [
        arc(-GAUGE_ANGLE, GAUGE_ANGLE, color("rule")),
        arc(-GAUGE_ANGLE, angle(latest), series.color),
        *(arc(angle(mark.value) - 0.02, angle(mark.value) + 0.02, color("threshold"), outer + 4) for mark in marks),
        text(as_text(latest), 0, 0, max(16, int(inner * 0.42)), color("text")),
        text(as_text(low), -side, below, FONT_SIZE, color("muted")),
        text(as_text(high), side, below, FONT_SIZE, color("muted")),
    ]
    return draw({"data": {"values": [{}]}, "layer": layers}, width, height, name)
