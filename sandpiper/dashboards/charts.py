"""Draws charts as SVG with Vega-Lite, in a process without a browser.

A specification is a plain dictionary: building and checking it with Altair takes longer than drawing it (see
docs/decisions). https://vega.github.io/vega-lite/docs/spec.html
"""

from __future__ import annotations

import functools
import json
import re
from dataclasses import asdict, dataclass
from typing import Any

from sandpiper.dashboards.colors import color

VERSION = "6.4"
"""The version of Vega-Lite, which vl-convert contains."""
FONT = "sans-serif"
"""Vega measures texts of this font twice as fast as those of a list of fonts. The page replaces it."""
FONT_SIZE = 11
_ROOT = re.compile(r"<svg[^>]*>(.*)</svg>\s*$", re.DOTALL)
_CLIP = re.compile(r'(id="|url\(#)(clip\d+)')
_TAG = re.compile(r"<[^>]*>")
_UNUSED = re.compile(r' (?:role|aria-[a-z]+|class|pointer-events)="[^"]*"')
"""Attributes without a use here. The page describes a chart as a whole, so that its parts need no role."""
_CONFIG: dict[str, Any] = {
    "font": FONT,
    "background": "transparent",
    "view": {"stroke": None},
    "axis": {
        "labelColor": color("muted"),
        "titleColor": color("muted"),
        "gridColor": color("rule"),
        "domainColor": color("rule"),
        "tickColor": color("rule"),
        "labelFontSize": FONT_SIZE,
        "titleFontSize": FONT_SIZE,
        "titleFontWeight": "normal",
    },
}


@dataclass(frozen=True)
class Chart:
    """The content of an SVG without its root element, and its size in pixels."""

    content: str
    width: int
    height: int


@dataclass(frozen=True)
class Padding:
    """The space for axes around a chart, in pixels. Vega's own layout takes as long as drawing the chart."""

    left: int = 0
    right: int = 0
    top: int = 0
    bottom: int = 0


def draw(spec: dict[str, Any], width: int, height: int, name: str, padding: Padding = Padding()) -> Chart:
    """Draws a specification.

    Args:
        spec: the marks and encodings.
        width: the width in pixels, including the padding.
        height: the height in pixels, including the padding.
        name: a name that is unique on the page, for the ids in the SVG.
        padding: the space for axes.
    """
    match = _ROOT.search(_svg(json.dumps(complete(spec, width, height, padding))))
    assert match is not None, "vl-convert returned no SVG"  # noqa: S101 - documented
    content = _TAG.sub(lambda tag: _UNUSED.sub("", tag[0]), match[1])
    numbers: dict[str, int] = {}  # vl-convert counts the clip paths of a process
    content = _CLIP.sub(lambda clip: f"{clip[1]}{name}-clip{numbers.setdefault(clip[2], len(numbers))}", content)
    return Chart(content, width, height)


@functools.lru_cache
def _svg(spec: str) -> str:
    """Draws a specification as JSON. Empty graphs of the same size are drawn once."""
    import vl_convert  # here, because it takes 0.4 s of CPU to start

    return vl_convert.vegalite_to_svg(spec, vl_version=VERSION, allowed_base_urls=[])


def complete(spec: dict[str, Any], width: int, height: int, padding: Padding) -> dict[str, Any]:
    """Returns a specification with its size and colors."""
    return {
        "width": max(1, width - padding.left - padding.right),
        "height": max(1, height - padding.top - padding.bottom),
        "padding": asdict(padding),
        "autosize": "none",
        "config": _CONFIG,
        **spec,
    }
