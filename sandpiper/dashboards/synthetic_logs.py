"""Invented results of log queries: the columns of the query, with values that suit their names."""

from __future__ import annotations

import random
import re
from typing import TYPE_CHECKING

from sandpiper.dashboards.data import LogRows
from sandpiper.dashboards.times import as_text

if TYPE_CHECKING:
    from sandpiper.dashboards.times import Window

ROWS = 5
COMMAND = re.compile(r"^\s*(fields|display|stats)\s+(.*)$", re.IGNORECASE | re.DOTALL)
BY = re.compile(r"\s+by\s+", re.IGNORECASE)
NAMED = re.compile(r"\s+as\s+([\w.@]+)\s*$", re.IGNORECASE)
SEPARATOR = re.compile(r",(?![^(]*\))")
"""A comma outside parentheses."""
TIME = re.compile(r"bin\(|@timestamp|time", re.IGNORECASE)
COUNT = re.compile(r"count", re.IGNORECASE)
NUMBER = re.compile(r"\(|milliseconds|seconds|duration|bytes|cost|memory|usd", re.IGNORECASE)


def invented_rows(query: str, window: Window) -> LogRows:
    """Returns invented rows with the columns that the last `fields`, `display` or `stats` command of a query names."""
    commands = [match for part in query.split("|") if (match := COMMAND.match(part))]
    parts = ["@timestamp", "@message"]
    if commands:
        text = commands[-1][2].strip()
        calculated, *groups = BY.split(text, maxsplit=1) if commands[-1][1].lower() == "stats" else (text,)
        parts = [part.strip() for group in (*groups, calculated) for part in SEPARATOR.split(group)]
    rows = tuple(tuple(_value(part, row, window) for part in parts) for row in range(ROWS))
    return LogRows(tuple(map(_name, parts)), rows)


def _name(part: str) -> str:
    named = NAMED.search(part)
    return named[1] if named else part


def _value(part: str, row: int, window: Window) -> str:
    """Returns the value of a column, given by its expression and its name."""
    if TIME.search(part):
        return as_text(window.end - (row + 1) * window.seconds / (ROWS + 1))
    number = random.Random(f"{part} {row}").uniform(1, 100) / (row + 1)  # noqa: S311 - no secret
    if COUNT.search(part):
        return f"{number:.0f}"
    if NUMBER.search(part):
        return f"{number:.1f}"
    return f"{_name(part).lstrip('@')} {row + 1}"
