"""Renders the page of a preview: one HTML file without scripts that loads nothing."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from markupsafe import Markup

from sandpiper.dashboards.colors import THEMES
from sandpiper.dashboards.geometry import GAP, ROW
from sandpiper.html_templates import html_templates

if TYPE_CHECKING:
    from jinja2 import Environment

    from sandpiper.dashboards.preview import Preview

STATES = {
    "ALARM": ("▲", "alarm", "in alarm"),
    "OK": ("✓", "ok", "OK"),
    "INSUFFICIENT_DATA": ("?", "unknown", "insufficient data"),
    "UNKNOWN": ("–", "unknown", "not found"),
}
"""The symbol, the color and the name of each state of an alarm."""


@functools.cache
def templates() -> Environment:
    """Returns the templates of pages and pictures, which escape every value."""
    environment = html_templates("sandpiper.dashboards")
    # The markup of Vega and of the Markdown renderer, both of which escape text.
    environment.filters["markup"] = Markup
    return environment


def render_page(preview: Preview) -> str:
    """Returns the HTML of a preview."""
    return templates().get_template("page.html").render(preview=preview, STATES=STATES, themes=THEMES, row=ROW, gap=GAP)
