"""The verdict of a review, how long it is valid, and the exceptions by their expiry."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sandpiper.plan.lines import count_of
from sandpiper.review.access.expectations import Comparison
from sandpiper.review.findings import Severity
from sandpiper_policy.proofs.prover import ProofOutcome

if TYPE_CHECKING:
    from sandpiper.review.findings import Finding
    from sandpiper.review.report import Report

MAX_DAYS = 90
"""The longest time that a review is valid, in days."""


@dataclass(frozen=True)
class Verdict:
    """The verdict.

    Attributes:
        passes: Whether nothing has to be corrected before a deployment.
        title: The verdict in a few words.
        reasons: Why, one sentence each.
        valid_until: The last day on which the review is valid.
        limited_by: What limits the validity.
    """

    passes: bool
    title: str
    reasons: tuple[str, ...]
    valid_until: datetime.date
    limited_by: str


def verdict_of(report: Report) -> Verdict:
    """Returns the verdict: it fails with an open finding of high severity, a refuted proof or an unapproved grant."""
    review, changes = report.review, report.changes
    by_severity = {one: sum(each.severity is one for each in review.open_findings) for one in Severity}
    refuted = sum(proved.outcome is ProofOutcome.REFUTED for proved in review.proofs)
    undecided = sum(proved.outcome is ProofOutcome.UNDECIDED for proved in review.proofs)
    unapproved = 0 if changes is None else len(changes.granted) + len(changes.loosened)
    passes = not by_severity[Severity.HIGH] and not unapproved
    expiry, limited_by = _validity(report)
    shown = ", ".join(f"{by_severity[one]} {one.word}" for one in reversed(Severity))
    reasons = [
        f"Open findings: {shown}. Accepted findings: {len(review.accepted_findings)}.",
        f"Properties: {len(review.proofs)} examined, {refuted} refuted, {undecided} undecided.",
        "There is no approval to compare with."
        if changes is None
        else f"Since the approval of {changes.baseline.approved_on} by {changes.baseline.approved_by}: "
        f"{count_of(unapproved, 'change')} not approved.",
    ]
    if review.expectations:
        met = sum(one.comparison is Comparison.MET for one in review.expectations)
        reasons.append(f"Expected access: {met} of {count_of(len(review.expectations), 'outcome')} as expected.")
    if review.model.policies.unresolved:
        number = count_of(len(review.model.policies.unresolved), "value")
        reasons.append(f"{number} of policies can be known only after a deployment.")
    title = "Nothing of high severity is open" if passes else "Must be corrected before a deployment"
    return Verdict(passes, title, tuple(reasons), expiry, limited_by)


def _validity(report: Report) -> tuple[datetime.date, str]:
    latest = report.review.date + datetime.timedelta(days=MAX_DAYS)
    dated = [one for one in report.review.accepted_findings if one.acceptance and one.acceptance.expires]
    first = min(dated, key=lambda one: _expiry(one) or latest, default=None)
    expiry = None if first is None else _expiry(first)
    if first is None or expiry is None or expiry >= latest:
        return latest, f"{MAX_DAYS} days after the review"
    return expiry, f"the acceptance of {first.rule_id} expires"


def _expiry(finding: Finding) -> datetime.date | None:
    return None if finding.acceptance is None else finding.acceptance.expires


def exceptions_of(report: Report) -> tuple[Finding, ...]:
    """Returns the findings with an acceptance: by expiry, the earliest first, then those without an expiry."""
    accepted = (one for one in report.review.findings if one.acceptance is not None)
    return tuple(sorted(accepted, key=lambda one: (_expiry(one) or datetime.date.max, -one.severity, one.resource)))
