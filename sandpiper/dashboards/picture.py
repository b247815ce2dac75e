"""Renders the picture of a dashboard as PNG, in a process without a browser."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sandpiper.dashboards import geometry
from sandpiper.dashboards.charts import FONT
from sandpiper.dashboards.colors import with_theme
from sandpiper.dashboards.geometry import LINE, SWATCH, flow, legend_width, shortened, text_width
from sandpiper.dashboards.page import STATES, templates
from sandpiper.dashboards.png import compressed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandpiper.dashboards.colors import Theme
    from sandpiper.dashboards.data import DataSource
    from sandpiper.dashboards.panels import LegendEntry, Panel
    from sandpiper.dashboards.preview import DashboardPreview
    from sandpiper.dashboards.text import Block

MARGIN = 16
HEADER = 56
"""Height of the name of the dashboard and of the label of its data."""
MAX_PIXELS = 40_000_000
"""Size of the largest picture. A larger dashboard is drawn at a smaller scale."""
SIZES = {True: 14, False: 12}
"""Font size of headings and of other text."""


@dataclass(frozen=True)
class Words:
    """A line of text at a position in a widget. `style` is a class of the template."""

    x: float
    y: float
    text: str
    style: str = ""
    color: str = "text"
    size: float = 12


@dataclass(frozen=True)
class Swatch:
    """The sample of a line in a legend, with its label as far as it fits."""

    x: float
    y: float
    entry: LegendEntry
    label: str


def render_picture(preview: DashboardPreview, source: DataSource, theme: Theme) -> bytes:
    """Returns the PNG of a dashboard."""
    import vl_convert  # here, because it takes 0.4 s of CPU to start

    width, height = _size(preview)
    scale = min(1.0, (MAX_PIXELS / (width * height)) ** 0.5)
    return compressed(vl_convert.svg_to_png(with_theme(picture_svg(preview, source), theme), scale=scale))


def picture_svg(preview: DashboardPreview, source: DataSource) -> str:
    """Returns the picture of a dashboard as SVG, with the names of colors."""
    width, height = _size(preview)
    return (
        templates()
        .get_template("picture.svg")
        .render(
            preview=preview,
            is_synthetic=source.is_synthetic,
            label=f"{preview.window.text}, {source.name}",
            width=width,
            height=height,
            margin=MARGIN,
            header=HEADER,
            font=FONT,
            box_of=geometry.box_of,
            content_box=geometry.content_box,
            words=words_of,
            swatches=swatches_of,
            numbers=number_places,
            shortened=shortened,
            title_of=_title,
        )
    )


def _size(preview: DashboardPreview) -> tuple[int, int]:
    rows = max((panel.place.y + panel.place.height for panel in preview.panels), default=1)
    return geometry.WIDTH + 2 * MARGIN, rows * geometry.ROW + HEADER + MARGIN


def _title(panel: Panel) -> str:
    return shortened(panel.title, geometry.content_box(panel.place).width, 14)


def words_of(panel: Panel) -> list[Words]:
    """Returns the text of a widget below its title. Lines that do not fit are counted in the last one."""
    match panel.kind:
        case "alarms":
            return list(_alarms(panel))
        case "text":
            return _cut(list(_blocks(panel)), panel)
        case "table":
            return _cut(list(_table(panel)), panel)
        case "chart" | "message" if panel.message:
            return list(_message(panel))
        case _:
            return []


def _message(panel: Panel) -> Iterator[Words]:
    box = geometry.content_box(panel.place)
    for number, line in enumerate(textwrap.wrap(panel.message, max(8, int(box.width / text_width("x", 12))))):
        yield Words(box.x + box.width / 2, box.y + box.height / 2 + number * LINE, line, "middle", "muted")


def _alarms(panel: Panel) -> Iterator[Words]:
    box = geometry.content_box(panel.place)
    texts = [f"{one.name} {one.alarm.condition if one.alarm else ''}" for one in panel.alarms]
    columns = max(1, int(box.width // (max((text_width(text, 12) for text in texts), default=1) + 2 * LINE)))
    fitting = max(1, int(box.height // LINE)) * columns
    for index, (one, text) in enumerate(zip(panel.alarms, texts, strict=True)):
        x = box.x + index % columns * box.width / columns
        y = box.y + index // columns * LINE + 12
        if index == fitting - 1 and len(texts) > fitting:
            yield Words(x, y, f"and {len(texts) - index} more", color="muted")
            return
        symbol, color, _ = STATES[one.state]
        yield Words(x, y, symbol, color=color)  # a font without the symbol is then replaced for the symbol only
        yield Words(x + LINE, y, shortened(text, box.width / columns - 2 * LINE, 12), color=color)


def _blocks(panel: Panel) -> Iterator[Words]:
    box = geometry.content_box(panel.place, has_title=False)
    y = box.y
    for block in panel.blocks:
        size = SIZES[block.is_heading]
        for line in _wrapped(block, box.width, size):
            y += LINE + (4 if block.is_heading else 0)
            style = "bold" if block.is_heading else "code" if block.is_code else ""
            yield Words(box.x + 12 * block.indent, y - 4, line, style, size=size)


def _wrapped(block: Block, width: float, size: float) -> list[str]:
    characters = max(8, int(width / text_width("x", size * (1.15 if block.is_heading or block.is_code else 1))))
    return textwrap.wrap(block.text, characters) or [""]


def _table(panel: Panel) -> Iterator[Words]:
    if panel.data is None:
        return
    box = geometry.content_box(panel.place)
    rows = [panel.data.columns, *panel.data.rows]
    widths = [max(text_width(f"{row[column]}xx", 12) for row in rows) for column in range(len(panel.data.columns))]
    widths = _fitted(widths, box.width)
    for number, row in enumerate(rows):
        x = box.x
        for width, value in zip(widths, row, strict=True):
            yield Words(x, box.y + (number + 1) * LINE - 4, shortened(value, width - 8, 12), "" if number else "bold")
            x += width


def _fitted(widths: list[float], available: float) -> list[float]:
    """Returns the widths of columns that fit: the widest ones share what the others leave."""
    left, fitted = available, dict.fromkeys(range(len(widths)), 0.0)
    for position, column in enumerate(sorted(fitted, key=lambda one: widths[one])):
        fitted[column] = min(widths[column], left / (len(widths) - position))
        left -= fitted[column]
    return list(fitted.values())


def _cut(words: list[Words], panel: Panel) -> list[Words]:
    """Returns the lines that fit into the widget. If some do not, the last one is `…`."""
    box = geometry.box_of(panel.place)
    bottom = box.height - geometry.PADDING + 2
    fitting = [one for one in words if one.y <= bottom]
    if len(fitting) == len(words):
        return words
    last = max((one.y for one in fitting), default=bottom)
    return [*(one for one in fitting if one.y < last), Words(geometry.PADDING, last, "…", color="muted")]


def swatches_of(panel: Panel) -> list[Swatch]:
    """Returns the legend of a chart, as far as it fits. The page has all entries."""
    if panel.kind != "chart" or panel.chart is None or not panel.legend:
        return []
    box = geometry.content_box(panel.place)
    top = box.y + panel.chart.height + geometry.GAP
    rows = max(1, int((box.y + box.height - top) // LINE))
    placed = flow([legend_width(entry.label) for entry in panel.legend], box.width)
    return [
        Swatch(box.x + x, top + row * LINE, entry, shortened(entry.label, box.width - x - SWATCH))
        for entry, (row, x) in zip(panel.legend, placed, strict=True)
        if row < rows
    ]


def number_places(panel: Panel) -> list[tuple[float, float]]:
    """Returns the left edge and the width of each number."""
    box = geometry.content_box(panel.place)
    width = box.width / max(1, len(panel.numbers))
    return [(box.x + index * width, width - geometry.GAP) for index in range(len(panel.numbers))]
