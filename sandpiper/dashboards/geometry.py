"""The geometry of a dashboard in pixels, which pages and pictures share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sandpiper.dashboards.model import COLUMNS

if TYPE_CHECKING:
    from sandpiper.dashboards.model import Place

WIDTH = 1_440
"""Width of a dashboard."""
ROW = 50
"""Height of one grid unit."""
GAP = 8
PADDING = 10
"""Between the border and the content of a widget."""
TITLE = 22
"""Height of a widget's title."""
LINE = 16
"""Height of a line of a legend or a text."""
CHARACTER = 5.7
"""Mean width of a character of 11 pixels in Liberation Sans, the font of pictures."""
SWATCH = 22
"""Width of the sample of a line in a legend."""
MAX_LEGEND_SHARE = 0.4
"""Share of a widget's height that its legend may take in a picture."""


@dataclass(frozen=True)
class Box:
    """A rectangle in pixels."""

    x: float
    y: float
    width: float
    height: float


def box_of(place: Place) -> Box:
    """Returns the rectangle of a widget."""
    unit = WIDTH / COLUMNS
    return Box(place.x * unit, place.y * ROW, place.width * unit - GAP, place.height * ROW - GAP)


def content_box(place: Place, *, has_title: bool = True) -> Box:
    """Returns the rectangle below the title of a widget, relative to the widget."""
    box, top = box_of(place), PADDING + (TITLE if has_title else 0)
    return Box(PADDING, top, box.width - 2 * PADDING, max(1, box.height - top - PADDING))


def text_width(text: str, size: float = 11) -> float:
    """Returns the approximate width of a text."""
    return len(text) * CHARACTER * size / 11


def shortened(text: str, width: float, size: float = 11) -> str:
    """Returns a text that fits into a width, with `…` in place of its end."""
    fitting = max(1, int(width / (CHARACTER * size / 11)))
    return text if len(text) <= fitting else f"{text[: fitting - 1]}…"


def flow(widths: list[float], available: float, gap: float = 12) -> list[tuple[int, float]]:
    """Places items of some widths from left to right. Returns the row and the left edge of each."""
    places: list[tuple[int, float]] = []
    row, left = 0, 0.0
    for width in widths:
        if left and left + width > available:
            row, left = row + 1, 0.0
        places.append((row, left))
        left += width + gap
    return places


def legend_width(label: str) -> float:
    """Returns the width of an entry of a legend."""
    return SWATCH + text_width(label)
