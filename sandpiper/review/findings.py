"""Findings of a review: the result of a rule at a resource, with its evidence and its remedy."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import datetime

    from sandpiper_policy.model.location import Location

KEY_CHARACTERS = 16


class Severity(IntEnum):
    """How much a finding matters. Greater is worse."""

    LOW = 1
    """A residual risk, or a missing control that another control makes up for."""
    MEDIUM = 2
    """A missing control, or a grant that is larger than necessary."""
    HIGH = 3
    """A grant or a way that gives an attacker access. It fails synthesis."""

    @property
    def word(self) -> str:
        """The severity in reports and options: `high`, `medium` or `low`."""
        return self.name.lower()


@dataclass(frozen=True)
class Acceptance:
    """The decision to accept a finding.

    Attributes:
        reason: The reason.
        owner: The team or person that decided; empty for a decision of the construct that creates the resource.
        expires: The last day on which the decision is valid; None: it has no end.
        source: Where the decision is, such as `accepted_findings of the environment file`.
    """

    reason: str
    owner: str
    expires: datetime.date | None
    source: str

    def is_valid(self, today: datetime.date) -> bool:
        """Returns whether the decision has not expired."""
        return self.expires is None or today <= self.expires


@dataclass(frozen=True)
class Finding:
    """The result of a rule at a resource.

    Attributes:
        rule_id: The id of the rule, such as `trust-source-arn`.
        severity: The severity.
        resource: The address `STACK/LOGICAL_ID`; empty for a finding about a template as a whole.
        location: The position in the template.
        message: What is wrong, in one sentence.
        evidence: The deciding statements, edges or values, one a line. The text comes from the template, which may be
            hostile: writers of reports escape it.
        remedy: What to change.
        acceptance: The decision that it may stay, which may have expired; None without one.
    """

    rule_id: str
    severity: Severity
    resource: str
    location: Location
    message: str
    evidence: tuple[str, ...] = ()
    remedy: str = ""
    acceptance: Acceptance | None = None

    @property
    def key(self) -> str:
        """A hash of rule, resource and message, which identifies the finding in baselines and in SARIF."""
        content = "\0".join((self.rule_id, self.resource, self.message))
        return hashlib.sha256(content.encode()).hexdigest()[:KEY_CHARACTERS]

    @property
    def place(self) -> str:
        """The construct, the resource or the file that it is about."""
        return self.location.construct or self.resource or self.location.file

    def is_accepted(self, today: datetime.date) -> bool:
        """Returns whether the finding is accepted today."""
        return self.acceptance is not None and self.acceptance.is_valid(today)
