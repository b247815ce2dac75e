"""Collects the verdicts of other tools about every interpreter, with the answers of the review."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sandpiper.review.rules.queries import interpreters
from sandpiper.review.verdicts.table import EXTERNAL_RULES
from sandpiper.review.verdicts.verdict import Outcome, Verdict

if TYPE_CHECKING:
    import datetime
    from collections.abc import Iterator, Sequence

    from sandpiper.review.findings import Finding
    from sandpiper.review.model import ReviewModel
    from sandpiper.review.verdicts.verdict import ExternalRule


def collect_verdicts(model: ReviewModel, findings: Sequence[Finding], today: datetime.date) -> tuple[Verdict, ...]:
    """Returns the verdicts by interpreter, in the order of the templates and of the table.

    An interpreter whose properties depend on conditions of the template has a verdict for each outcome.
    """
    return tuple(dict.fromkeys(_verdicts(model, findings, today)))


def _verdicts(model: ReviewModel, findings: Sequence[Finding], today: datetime.date) -> Iterator[Verdict]:
    for interpreter in interpreters(model):
        for rule in EXTERNAL_RULES:
            outcome, reason = rule.judge(model, interpreter)
            verdict = Verdict(interpreter.address, rule.tool, rule.id, rule.source, outcome, reason)
            if outcome is Outcome.FAIL:
                verdict = replace(verdict, answer=_answer(rule, interpreter.address, findings, today))
            yield verdict


def _answer(rule: ExternalRule, interpreter: str, findings: Sequence[Finding], today: datetime.date) -> str:
    """Returns what the review says about the same: an open finding, an accepted one, or none."""
    found = [
        one for one in findings if one.rule_id in rule.own_rules and (rule.account_wide or one.resource == interpreter)
    ]
    if not found:
        return f"The review has no finding of {', '.join(rule.own_rules)}."
    return " ".join(dict.fromkeys(_about(one, today) for one in found))


def _about(finding: Finding, today: datetime.date) -> str:
    if finding.acceptance is None or not finding.is_accepted(today):
        return f"Open finding {finding.rule_id} ({finding.severity.word}): {finding.message}."
    accepted = finding.acceptance
    owner = f" by {accepted.owner}" if accepted.owner else ""
    until = f" until {accepted.expires}" if accepted.expires else ""
    return f"{finding.rule_id} is accepted{owner}{until}: {accepted.reason}."
