"""The result of a review."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import datetime

    from sandpiper.review.access.expectations import ComparedExpectation
    from sandpiper.review.access.matrix import TenantMatrix
    from sandpiper.review.controls.status import ControlStatus
    from sandpiper.review.findings import Finding, Severity
    from sandpiper.review.model import ReviewModel
    from sandpiper.review.proofs.question import ProvedProperty
    from sandpiper.review.rule import Rule
    from sandpiper.review.verdicts.verdict import Verdict


@dataclass(frozen=True)
class Review:
    """The result of a review.

    Attributes:
        model: What the review knows.
        findings: The findings, worst first.
        rules: The rules that were applied.
        proofs: The properties with their proofs. A refuted or undecided one is also among the findings.
        access: The access matrix of each tenant.
        expectations: The access that environment files require or exclude, compared with the matrix.
        date: The day on which the review was made, in UTC. Acceptances that ended before it do not count.
        verdicts: What other tools say about each interpreter.
        controls: Whether controls of NIST 800-53, HIPAA, PCI DSS and CIS are met.
    """

    model: ReviewModel
    findings: tuple[Finding, ...]
    rules: tuple[Rule, ...]
    proofs: tuple[ProvedProperty, ...]
    access: tuple[TenantMatrix, ...]
    date: datetime.date
    verdicts: tuple[Verdict, ...] = ()
    expectations: tuple[ComparedExpectation, ...] = ()
    controls: tuple[ControlStatus, ...] = ()

    @property
    def open_findings(self) -> tuple[Finding, ...]:
        """The findings that are not accepted, or whose acceptance has expired."""
        return tuple(one for one in self.findings if not one.is_accepted(self.date))

    @property
    def accepted_findings(self) -> tuple[Finding, ...]:
        """The findings that are accepted."""
        return tuple(one for one in self.findings if one.is_accepted(self.date))

    def fails_at(self, severity: Severity | None) -> bool:
        """Returns whether an open finding is at least as severe; False for None."""
        return severity is not None and any(one.severity >= severity for one in self.open_findings)
