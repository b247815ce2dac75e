"""The specification of a graph over time: lines or stacked areas on one or two axes, thresholds and events."""

from __future__ import annotations

import itertools
import json
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sandpiper.dashboards.charts import FONT_SIZE, Chart, Padding, draw
from sandpiper.dashboards.colors import color
from sandpiper.dashboards.drawn import Scale, scale_of
from sandpiper.dashboards.geometry import text_width
from sandpiper.dashboards.model import AUTOMATIC
from sandpiper.dashboards.numbers import short_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sandpiper.dashboards.drawn import DrawnSeries, Mark
    from sandpiper.dashboards.model import Axis, Side
    from sandpiper.dashboards.times import Window

DAY = 86_400
SIDES: tuple[Side, ...] = ("left", "right")
TICK_PIXELS = (75, 36)
"""Width and height for each tick of an axis."""
LABEL_LIMIT = 230
"""Width of the name of a threshold, at most."""
LABEL_PIXELS = FONT_SIZE + 2
"""Height of the name of a threshold."""
AXIS_PIXELS = 20
"""Height of the time axis."""
TOP_PIXELS = 6
"""Space for half of the highest number of an axis."""


@dataclass(frozen=True)
class Graph:
    """A graph. `stacked` draws areas on top of each other."""

    series: Sequence[DrawnSeries]
    window: Window
    stacked: bool = False
    thresholds: Sequence[Mark] = ()
    events: Sequence[Mark] = ()
    left: Axis = AUTOMATIC
    right: Axis = AUTOMATIC

    def draw(self, width: int, height: int, name: str) -> Chart:
        """Draws the graph. `name` is unique on the page."""
        used: list[Side] = [side for side in SIDES if any(one.axis == side for one in self.series)]
        sides: list[Side] = used or ["left"]
        inner = height - AXIS_PIXELS - TOP_PIXELS
        scales: dict[Side, Scale] = {side: self._scale(side, inner) for side in sides}
        titles = {"left": self.left.label, "right": self.right.label}
        space = {side: _axis_width(scale, titles[side]) for side, scale in scales.items()}
        padding = Padding(space.get("left", 4), space.get("right", 6), TOP_PIXELS, AXIS_PIXELS)
        x = self._time_axis(width - padding.left - padding.right)
        layers = [
            self._side(side, scale, x, inner, title=titles[side], has_grid=side == "left" or len(scales) == 1)
            for side, scale in scales.items()
        ]
        spec = {"layer": [*layers, *self._events()], "resolve": {"scale": {"y": "independent"}}}
        return draw(spec, width, height, name, padding)

    def _scale(self, side: Side, height: int) -> Scale:
        series = [one for one in self.series if one.axis == side]
        values = _sums(series) if self.stacked else [value for one in series for value in one.values.values()]
        marked = [mark.value for mark in self.thresholds if mark.axis == side]
        axis = self.left if side == "left" else self.right
        return scale_of(axis, [*values, *marked], max(2, height // TICK_PIXELS[1]))

    def _time_axis(self, width: int) -> dict[str, Any]:
        return {
            "field": "t",
            "type": "temporal",
            "scale": {"type": "utc", "domain": [self.window.start * 1000, self.window.end * 1000]},
            "axis": {
                "title": None,
                "grid": False,
                "format": "%H:%M" if self.window.seconds <= 2 * DAY else "%b %d",
                "values": [time * 1000 for time in self.window.ticks(max(2, width // TICK_PIXELS[0]))],
                "labelFlush": 20,
                "tickSize": 4,
            },
        }

    def _side(
        self, side: Side, scale: Scale, x: dict[str, Any], height: int, *, title: str, has_grid: bool
    ) -> dict[str, Any]:
        series = [one for one in self.series if one.axis == side]
        names = json.dumps([short_text(tick) for tick in scale.ticks])
        y = {
            "type": "quantitative",
            "scale": {"domain": [scale.low, scale.high], "nice": False},
            "axis": {
                "orient": side,
                "title": title or None,
                "grid": has_grid,
                "domain": False,
                "ticks": False,
                "values": scale.ticks,
                "labelExpr": f"{names}[round(datum.index * {len(scale.ticks) - 1})]",
                "labelPadding": 4,
            },
        }
        marks = [self._areas(series)] if self._is_area(series) else [_line(one) for one in series]
        axis = self.left if side == "left" else self.right
        # Drawing a picture with clip paths takes twice as long. Only limits of the dashboard leave out values.
        clip = {"clip": True} if axis.min is not None or axis.max is not None else {}
        place = {"x": x, "y": {"field": "v", **y}}
        layers = [
            {**layer, "mark": layer["mark"] | clip, "encoding": place | layer.get("encoding", {})} for layer in marks
        ]
        if not layers:
            nothing: list[object] = []
            layers = [{"data": {"values": nothing}, "mark": "point", "encoding": place}]
        thresholds = [mark for mark in self.thresholds if mark.axis == side]
        points = [point for one in series for point in _isolated(one)] if not self._is_area(series) else []
        if points:
            shown = {"color": {"field": "c", "type": "nominal", "scale": None}}
            mark: dict[str, Any] = {"type": "point", "filled": True, "size": 22, "opacity": 1, **clip}
            layers.append({"data": {"values": points}, "mark": mark, "encoding": place | shown})
        return {"layer": [*layers, *_thresholds(thresholds, y, scale, height)]}

    def _is_area(self, series: Sequence[DrawnSeries]) -> bool:
        """Returns whether the series are drawn as areas, which need two times to be visible."""
        return self.stacked and len({time for one in series for time in one.values}) > 1

    def _areas(self, series: Sequence[DrawnSeries]) -> dict[str, Any]:
        # A missing value is 0 in a stack.
        times = sorted({time for one in series for time in one.values})
        rows = [
            {"t": time * 1000, "v": one.values.get(time, 0), "s": index}
            for index, one in enumerate(series)
            for time in times
        ]
        colors = {"domain": list(range(len(series))), "range": [one.color for one in series]}
        return {
            "data": {"values": rows},
            "mark": {"type": "area", "opacity": 0.75, "line": {"strokeWidth": 1}},
            "encoding": {
                "color": {"field": "s", "type": "nominal", "scale": colors, "legend": None},
                "order": {"field": "s"},
            },
        }

    def _events(self) -> list[dict[str, Any]]:
        inside = [mark for mark in self.events if self.window.start <= mark.value <= self.window.end]
        if not inside:
            return []
        x = {"field": "t", "type": "temporal"}
        rows = [{"t": mark.value * 1000, "label": mark.label} for mark in inside]
        text = {"type": "text", "align": "left", "dx": 3, "y": 8, "color": color("event"), "fontSize": FONT_SIZE}
        rule = {"type": "rule", "color": color("event"), "strokeDash": [4, 3]}
        return [
            {"data": {"values": rows}, "mark": rule, "encoding": {"x": x}},
            {"data": {"values": rows}, "mark": text, "encoding": {"x": x, "text": {"field": "label"}}},
        ]


def _line(series: DrawnSeries) -> dict[str, Any]:
    rows = [
        {"t": time * 1000, "v": value, "part": number}
        for number, part in enumerate(series.gapless_parts())
        for time, value in part
    ]
    mark = {"type": "line", "strokeWidth": 1.75, "color": series.color}
    dash = {"strokeDash": list(series.dash)} if series.dash else {}
    return {"data": {"values": rows}, "mark": mark | dash, "encoding": {"detail": {"field": "part"}}}


def _isolated(series: DrawnSeries) -> Iterable[dict[str, Any]]:
    """Returns the values without a neighbor, which a line would not show."""
    parts = (part for part in series.gapless_parts() if len(part) == 1)
    return [{"t": time * 1000, "v": value, "c": series.color} for ((time, value),) in parts]


def _sums(series: Sequence[DrawnSeries]) -> list[float]:
    sums: defaultdict[int, float] = defaultdict(float)
    for time, value in itertools.chain.from_iterable(one.values.items() for one in series):
        sums[time] += value
    return list(sums.values())


def _thresholds(marks: Sequence[Mark], y: dict[str, Any], scale: Scale, height: int) -> list[dict[str, Any]]:
    """Returns the lines of thresholds and their names, which are moved apart where they would overlap."""
    labels: defaultdict[float, list[str]] = defaultdict(list)
    for mark in marks:
        labels[mark.value].append(mark.label)
    rows: list[dict[str, Any]] = []
    free = float(height)
    for value in sorted(labels):
        bottom = min(scale.position(value, height) - 2, free)
        rows.append({"v": value, "label": _joined(labels[value]), "y": bottom})
        free = bottom - LABEL_PIXELS
    top = min((row["y"] for row in rows), default=height) - LABEL_PIXELS
    for row in rows if top < 0 else ():
        row["y"] -= top
    if not rows:
        return []
    rule = {"type": "rule", "color": color("threshold"), "strokeDash": [6, 4], "strokeWidth": 1}
    text = {
        "type": "text",
        "align": "right",
        "baseline": "bottom",
        "fontSize": FONT_SIZE,
        "x": "width",
        "dx": -2,
        "limit": LABEL_LIMIT,
    }
    place = {"y": {"field": "y", "type": "quantitative", "scale": None}, "text": {"field": "label"}}
    halo = {"stroke": color("card"), "strokeWidth": 3, "strokeJoin": "round", "color": color("card")}
    data = {"values": rows}
    return [
        {"data": data, "mark": rule, "encoding": {"y": {"field": "v", **y}}},
        {"data": data, "mark": text | halo, "encoding": place},
        {"data": data, "mark": text | {"color": color("threshold")}, "encoding": place},
    ]


def _joined(labels: Sequence[str]) -> str:
    first, *others = labels
    return f"{first} and {len(others)} more" if others else first


def _axis_width(scale: Scale, title: str) -> int:
    return round(max(text_width(short_text(tick)) for tick in scale.ticks)) + 8 + (16 if title else 0)
