"""The formats of a review, each with the function that writes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from sandpiper.review.formats.as_csv import to_csv
from sandpiper.review.formats.as_json import to_json
from sandpiper.review.formats.as_markdown import to_markdown
from sandpiper.review.formats.as_sarif import to_sarif
from sandpiper.review.formats.html import to_html

if TYPE_CHECKING:
    from sandpiper.review.report import Report

Writer = Callable[["Report"], str]
FORMATS: Mapping[str, Writer] = {
    "md": lambda report: to_markdown(report.review),
    "json": lambda report: to_json(report.review, report.changes),
    "html": to_html,
    "sarif": to_sarif,
    "csv": to_csv,
}
"""The writers by the name of the format, which is also the suffix of its files."""
