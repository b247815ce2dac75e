"""Writes a review as Markdown, for pull requests and wikis.

Every text of a template is escaped, because a template can be hostile: it cannot add a link, an image or HTML.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sandpiper.review.controls.standards import STANDARDS
from sandpiper.review.formats.as_json import counts

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

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


def _controls(review: Review) -> Iterator[str]:
    yield ""
    yield "## Controls"
    yield ""
    yield f"| Requirement | State | Reason, or how it is met | {' | '.join(STANDARDS.values())} |"
    yield "|---|---|---|" + "---|" * len(STANDARDS)
    for one in review.controls:
        controls = (", ".join(one.controls.get(name, ())) for name in STANDARDS)
        cells = (one.requirement, one.state.value, " ".join(one.reasons), *controls)
        yield f"| {' | '.join(map(escaped, cells))} |"


def _expectations(review: Review) -> Iterator[str]:
    if review.expectations:
        yield ""
        yield "## Expected access"
        yield ""
        yield "| Principal | Operation | Tenant | Expected | Result | Decided by |"
        yield "|---|---|---|---|---|---|"
    for one in review.expectations:
        expected = one.expectation
        cells = (expected.principal, expected.operation, one.tenant, expected.access, one.comparison.value, one.reason)
        yield f"| {' | '.join(map(escaped, cells))} |"


def _verdicts(review: Review) -> Iterator[str]:
    if review.verdicts:
        yield ""
        yield "## Verdicts of other tools"
        yield ""
        yield "| Interpreter | Tool | Rule | Outcome | Why, and the answer of this review |"
        yield "|---|---|---|---|---|"
    for one in review.verdicts:
        cells = (review.model.readable(one.interpreter), one.tool, one.rule)
        why = escaped(f"{one.reason} {one.answer}".strip())
        yield f"| {' | '.join(map(escaped, cells))} | {one.outcome.value} | {why} |"


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
