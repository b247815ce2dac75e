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
TIME = re.compile(r"^bin\(|time", re.IGNORECASE)
COUNT = re.compile(r"count|runs|number", re.IGNORECASE)
NUMBER = re.compile(r"\(|count|sum|avg|max|min|cost|usd|seconds|bytes|duration|p\d\d", re.IGNORECASE)


def invented_rows(query: str, window: Window) -> LogRows:
    """Returns invented rows with the columns that the last `fields`, `display` or `stats` command of a query names."""
    commands = [match for part in query.split("|") if (match := COMMAND.match(part))]
    columns = ("@timestamp", "@message")
    if commands:
        text = commands[-1][2].strip()
        calculated, *groups = BY.split(text, maxsplit=1) if commands[-1][1].lower() == "stats" else (text,)
        columns = tuple(_name(part) for group in (*groups, calculated) for part in SEPARATOR.split(group))
    rows = tuple(tuple(_value(column, row, window) for column in columns) for row in range(ROWS))
    return LogRows(columns, rows)


def _name(part: str) -> str:
    named = NAMED.search(part)
    return named[1] if named else part.strip()


def _value(column: str, row: int, window: Window) -> str:
    if TIME.search(column):
        return as_text(window.end - (row + 1) * window.seconds / (ROWS + 1))
    number = random.Random(f"{column} {row}").uniform(1, 100) / (row + 1)  # noqa: S311 - no secret
    if COUNT.search(column):
        return f"{number:.0f}"
    if NUMBER.search(column):
        return f"{number:.1f}"
    return f"{column.lstrip('@')} {row + 1}"
