"""The lines of a review for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandpiper.plan.lines import Line, count_of
from sandpiper.review.findings import Severity
from sandpiper.review.formats.as_json import counts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandpiper.plan.lines import Tone
    from sandpiper.review.baseline.compare import Changes
    from sandpiper.review.findings import Finding
    from sandpiper.review.result import Review

_TONES: dict[Severity, Tone] = {Severity.HIGH: "loss", Severity.MEDIUM: "less", Severity.LOW: "plain"}
MAX_PLACES = 5
"""Places of one rule that are shown; the other formats have all of them."""


def console_lines(review: Review) -> Iterator[Line]:
    """Yields the lines: open findings by rule, accepted findings, and the counts."""
    for severity in reversed(Severity):
        by_rule: dict[str, list[Finding]] = {}
        for one in review.open_findings:
            if one.severity is severity:
                by_rule.setdefault(one.rule_id, []).append(one)
        for rule, findings in by_rule.items():
            yield Line(f"{severity.word} {rule}", tone=_TONES[severity])
            for one in findings[:MAX_PLACES]:
                yield Line(f"{one.place} ({one.location})", 1)
                yield Line(one.message, 2)
            if len(findings) > MAX_PLACES:
                yield Line(f"and {len(findings) - MAX_PLACES:,} more places", 1, "note")
            yield Line(f"remedy: {findings[0].remedy}", 1, "note")
    accepted = review.accepted_findings
    if accepted:
        yield Line("accepted", tone="head")
        for one in accepted:
            decision = one.acceptance
            owner = f", {decision.owner}" if decision and decision.owner else ""
            until = f", until {decision.expires}" if decision and decision.expires else ""
            reason = decision.reason if decision else ""
            yield Line(f"{one.severity.word} {one.rule_id} {one.place}", 1, "note")
            yield Line(f"{reason}{owner}{until}", 2, "note")
    number = counts(review)
    yield Line(
        f"{len(review.model.templates)} templates, {len(review.rules)} rules: {number['high']} high, "
        f"{number['medium']} medium, {number['low']} low, {number['accepted']} accepted",
        tone="head",
    )


def change_lines(changes: Changes) -> Iterator[Line]:
    """Yields the lines about changes since an approval: each new grant with an example, and each removed limit."""
    baseline = changes.baseline
    yield Line(f"changes since the approval of {baseline.approved_on} by {baseline.approved_by}", tone="head")
    for one in changes.granted:
        yield Line(f"new: {one.entry.sentence}", 1, "loss")
        if one.example:
            yield Line(f"example: {one.example}", 2, "note")
    for limit in changes.loosened:
        yield Line(f"no longer: {limit.sentence}", 1, "loss")
    for entry in changes.revoked:
        yield Line(f"no longer: {entry.sentence}", 1, "less")
    for entry in changes.tightened:
        yield Line(f"new: {entry.sentence}", 1, "more")
    number = len(changes.granted) + len(changes.loosened)
    result = f"{count_of(number, 'change')} not approved" if number else "everything that is allowed is approved"
    yield Line(result, 1, "loss" if number else "note")
