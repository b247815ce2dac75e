"""Writes a review as Markdown, for pull requests and wikis.

Every text of a template is escaped, because a template can be hostile: it cannot add a link, an image or HTML.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sandpiper.review.controls.standards import STANDARDS
from sandpiper.review.formats.as_json import counts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sandpiper.review.findings import Finding
    from sandpiper.review.result import Review

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>()#+!|~&@])")
MAX_EVIDENCE = 10
"""Lines of evidence of one finding; JSON has all of them."""


def to_markdown(review: Review) -> str:
    """Returns the review as Markdown."""
    return "\n".join(_lines(review)) + "\n"


def escaped(text: str) -> str:
    """Returns a text on one line in which no character is Markdown or HTML, and none is invisible."""
    visible = "".join(character if character.isprintable() else "�" for character in text)
    return _SPECIAL.sub(r"\\\1", visible).replace("://", ":\u200b//")


def _lines(review: Review) -> Iterator[str]:
    model, number = review.model, counts(review)
    yield f"# Review of {escaped(model.name)}"
    yield ""
    yield (
        f"{number['high']} high, {number['medium']} medium, {number['low']} low, {number['accepted']} accepted; "
        f"{review.date}, {len(review.rules)} rules."
    )
    yield ""
    yield "| Template | Account | Region | SHA-256 |"
    yield "|---|---|---|---|"
    for one in model.templates:
        yield f"| {escaped(one.name)} | {escaped(one.account)} | {escaped(one.region)} | {one.sha256[:16]}… |"
    yield from _section("Findings", review, review.open_findings)
    yield from _section("Accepted findings", review, review.accepted_findings)
    yield from _expectations(review)
    yield from _verdicts(review)
    yield from _controls(review)


def _table(title: str, columns: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    """Yields a section with one table. The cells are escaped."""
    columns = tuple(columns)
    yield ""
    yield f"## {title}"
    yield ""
    yield f"| {' | '.join(columns)} |"
    yield "|" + "---|" * len(columns)
    for cells in rows:
        yield f"| {' | '.join(map(escaped, cells))} |"


def _controls(review: Review) -> Iterator[str]:
    rows = (
        (
            one.requirement,
            one.state.value,
            " ".join(one.reasons),
            *(", ".join(one.controls.get(name, ())) for name in STANDARDS),
        )
        for one in review.controls
    )
    yield from _table("Controls", ("Requirement", "State", "Reason, or how it is met", *STANDARDS.values()), rows)


def _expectations(review: Review) -> Iterator[str]:
    rows = [
        (
            one.expectation.principal,
            one.expectation.operation,
            one.tenant,
            one.expectation.access,
            one.comparison.value,
            one.reason,
        )
        for one in review.expectations
    ]
    if rows:
        columns = ("Principal", "Operation", "Tenant", "Expected", "Result", "Decided by")
        yield from _table("Expected access", columns, rows)


def _verdicts(review: Review) -> Iterator[str]:
    rows = [
        (
            review.model.readable(one.interpreter),
            one.tool,
            one.rule,
            one.outcome.value,
            f"{one.reason} {one.answer}".strip(),
        )
        for one in review.verdicts
    ]
    if rows:
        columns = ("Interpreter", "Tool", "Rule", "Outcome", "Why, and the answer of this review")
        yield from _table("Verdicts of other tools", columns, rows)


def _section(title: str, review: Review, findings: Sequence[Finding]) -> Iterator[str]:
    yield ""
    yield f"## {title}"
    yield ""
    if not findings:
        yield "None."
    for one in findings:
        yield f"- **{one.severity.word}** `{one.rule_id}` {escaped(one.place)} ({escaped(str(one.location))})"
        yield f"  {escaped(one.message)}."
        for line in one.evidence[:MAX_EVIDENCE]:
            yield f"  - {escaped(line)}"
        if one.is_accepted(review.date) and one.acceptance:
            owner = f" by {escaped(one.acceptance.owner)}" if one.acceptance.owner else ""
            until = f" until {one.acceptance.expires}" if one.acceptance.expires else ""
            yield f"  Accepted{owner}{until}: {escaped(one.acceptance.reason)}"
        else:
            yield f"  Remedy: {escaped(one.remedy)}"
