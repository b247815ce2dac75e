"""Writes a review as one HTML file that a reviewer reads and signs. It loads nothing, and its only script filters."""

from __future__ import annotations

import base64
import functools
import hashlib
from typing import TYPE_CHECKING

from markupsafe import Markup

from sandpiper.html_templates import html_templates
from sandpiper.review.controls.standards import STANDARDS
from sandpiper.review.findings import Severity
from sandpiper.review.formats.as_json import counts
from sandpiper.review.formats.html.alarms import MISUSES, alarms_of, misuses_without_alarm
from sandpiper.review.formats.html.cards import cards_of
from sandpiper.review.formats.html.costs import costs_of
from sandpiper.review.formats.html.storage import stores_of
from sandpiper.review.formats.html.trust import trust_graph
from sandpiper.review.formats.html.verdict import MAX_DAYS, exceptions_of, verdict_of

if TYPE_CHECKING:
    from jinja2 import Environment

    from sandpiper.review.access.matrix import Cell, Row, TenantMatrix
    from sandpiper.review.report import Report

SCRIPT = "filter.js"


@functools.cache
def templates() -> Environment:
    """Returns the templates of the page, which escape every value."""
    environment = html_templates("sandpiper.review.formats.html")
    environment.finalize = _finalize
    return environment


def _finalize(value: object) -> object:
    """Makes the characters of every text visible, except of markup of the templates themselves."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def visible(text: str) -> str:
    """Returns a text in which no character is invisible or changes the direction of the text."""
    return "".join(one if one.isprintable() or one == "\n" else "�" for one in text)


def ordered(matrix: TenantMatrix) -> list[tuple[Row, tuple[Cell, ...]]]:
    """Returns the rows of a matrix: first the principals that have access, then the others."""
    return sorted(matrix.rows, key=lambda row: not any(cell.access.is_access for cell in row[1]))


def to_html(report: Report) -> str:
    """Returns the page."""
    review, environment = report.review, templates()
    source = environment.loader.get_source(environment, SCRIPT)[0] if environment.loader else ""
    script = source.strip()
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return environment.get_template("page.html").render(
        report=report,
        review=review,
        model=review.model,
        counts=counts(review),
        severities=tuple(reversed(Severity)),
        verdict=verdict_of(report),
        max_days=MAX_DAYS,
        cards=cards_of(report),
        graph=trust_graph(review.model),
        exceptions=exceptions_of(report),
        standards=STANDARDS,
        stores=stores_of(report),
        costs=costs_of(report),
        alarms=alarms_of(review.model),
        misuses=MISUSES,
        without_alarm=misuses_without_alarm(review.model),
        ordered=ordered,
        script=script,
        script_digest=digest,
    )
