"""The colors of a preview by theme. Charts refer to them by name, so that one chart serves both themes.

Text has a contrast of at least 4.5:1 to its background, and lines have at least 3:1 (WCAG 2.2, 1.4.3 and 1.4.11).
"""

from __future__ import annotations

import re
from typing import Literal

Theme = Literal["light", "dark"]
THEMES: dict[Theme, dict[str, str]] = {
    "light": {
        "page": "#f2f3f5",
        "card": "#ffffff",
        "text": "#16191f",
        "muted": "#545b64",
        "rule": "#d5dbdb",
        "link": "#0054a8",
        "threshold": "#b0191b",
        "event": "#545b64",
        "ok": "#1a6d20",
        "alarm": "#b0191b",
        "unknown": "#545b64",
        "notice": "#fff4cf",
        "series-0": "#1f6fb4",
        "series-1": "#b85c00",
        "series-2": "#2a7d2e",
        "series-3": "#7b4fb5",
        "series-4": "#b83280",
        "series-5": "#00787a",
        "series-6": "#7a5230",
        "series-7": "#5b6472",
    },
    "dark": {
        "page": "#0f1216",
        "card": "#1a1f26",
        "text": "#eceff3",
        "muted": "#b3bac5",
        "rule": "#3b434e",
        "link": "#7db8ff",
        "threshold": "#ff8a85",
        "event": "#b3bac5",
        "ok": "#7fd184",
        "alarm": "#ff8a85",
        "unknown": "#b3bac5",
        "notice": "#4a3d10",
        "series-0": "#5aa9e6",
        "series-1": "#ffa24d",
        "series-2": "#7fd184",
        "series-3": "#bd9cf5",
        "series-4": "#f687b3",
        "series-5": "#4fd1c5",
        "series-6": "#d9ab7a",
        "series-7": "#a7b0bd",
    },
}
SERIES_COLORS = sum(name.startswith("series-") for name in THEMES["light"])
DASHES: tuple[tuple[int, ...], ...] = ((), (6, 3), (2, 2))
"""Patterns of lines: color is not the only difference between two lines."""
_VARIABLE = re.compile(r"var\(--([a-z0-9-]+)\)")


def color(name: str) -> str:
    """Returns the reference to a color, which CSS resolves in a page, and `with_theme` in a picture."""
    return f"var(--{name})"


def series_color(index: int) -> str:
    """Returns the color of the line at a position in its graph."""
    return color(f"series-{index % SERIES_COLORS}")


def series_dash(index: int) -> tuple[int, ...]:
    """Returns the pattern of the line at a position in its graph. Lines of the same color have different patterns."""
    return DASHES[(index + index // SERIES_COLORS) % len(DASHES)]


def with_theme(svg: str, theme: Theme) -> str:
    """Returns an SVG with the colors of a theme in place of references."""
    return _VARIABLE.sub(lambda match: THEMES[theme].get(match[1], match[0]), svg)
