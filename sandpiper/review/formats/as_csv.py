"""Writes the findings of a review and the verdicts of other tools as CSV, safe to open in a spreadsheet."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sandpiper.review.findings import Finding
    from sandpiper.review.report import Report
    from sandpiper.review.result import Review
    from sandpiper.review.verdicts.verdict import Verdict

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""Characters that make a spreadsheet treat a cell as a formula.

https://owasp.org/www-community/attacks/CSV_Injection
"""
COLUMNS = (
    *("key", "severity", "rule", "resource", "construct", "file", "line", "message", "evidence", "remedy"),
    *("accepted", "reason", "owner", "expires", "tool", "outcome"),
)
OWN = "Sandpiper"
"""The tool of findings."""


def to_csv(report: Report) -> str:
    """Returns one row for each finding, and then one for each verdict of another tool about an interpreter."""
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    review = report.review
    for row in (*(_row(review, one) for one in review.findings), *(_verdict(review, one) for one in review.verdicts)):
        writer.writerow(map(safe_cell, row))
    return text.getvalue()


def safe_cell(value: str) -> str:
    r"""Returns a value that no spreadsheet treats as a formula.

    Example:
        >>> safe_cell('=HYPERLINK("https://example.com")')
        '\'=HYPERLINK("https://example.com")'
    """
    printable = "".join(one if one.isprintable() or one in "\t\r\n" else "�" for one in value)
    return f"'{printable}" if printable.lstrip(" ").startswith(FORMULA) else printable


def _row(review: Review, finding: Finding) -> list[str]:
    location, acceptance = finding.location, finding.acceptance
    decision = ("", "", "")
    if acceptance is not None:
        decision = (acceptance.reason, acceptance.owner, str(acceptance.expires or ""))
    return [
        finding.key,
        finding.severity.word,
        finding.rule_id,
        finding.resource,
        location.construct,
        location.file,
        "" if location.line is None else str(location.line),
        finding.message,
        "\n".join(finding.evidence),
        finding.remedy,
        "yes" if finding.is_accepted(review.date) else "no",
        *decision,
        OWN,
        "",
    ]


def _verdict(review: Review, verdict: Verdict) -> list[str]:
    """Returns the row of a verdict. The answer of the review is in the column of evidence."""
    location = review.model.located(review.model.by_address[verdict.interpreter].location)
    line = "" if location.line is None else str(location.line)
    return [
        *("", "", verdict.rule, review.model.readable(verdict.interpreter)),
        *(location.construct, location.file, line, verdict.reason, review.model.readable(verdict.answer), ""),
        *("", "", "", "", verdict.tool, verdict.outcome.value),
    ]
