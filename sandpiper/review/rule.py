"""The form of a rule. The tables of rules are in `sandpiper.review.rules`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sandpiper.review.findings import Acceptance, Severity
    from sandpiper.review.model import ReviewModel
    from sandpiper_policy.model.location import Location


@dataclass(frozen=True)
class Occurrence:
    """What a check found at one place.

    Attributes:
        location: The position; its address names the resource of the finding.
        message: What is wrong, in one sentence that names the deciding value.
        evidence: The deciding statements, edges or values, one a line.
        severity: Another severity than that of the rule.
        acceptance: A decision that the template itself contains, such as the reason for PUBLIC.
    """

    location: Location
    message: str
    evidence: tuple[str, ...] = ()
    severity: Severity | None = None
    acceptance: Acceptance | None = None


Check = Callable[["ReviewModel"], Iterable[Occurrence]]


@dataclass(frozen=True)
class Rule:
    """One rule.

    Attributes:
        id: The id in findings, options and acceptances. It never changes.
        group: The group, which is the name of the module with the rule.
        severity: The severity of its findings, unless an occurrence has another.
        title: What the rule requires, in one sentence.
        reason: What an attacker gains from a violation.
        source: The address of the page that the rule is based on.
        remedy: What to change.
        check: Finds the violations.
    """

    id: str
    group: str
    severity: Severity
    title: str
    reason: str
    source: str
    remedy: str
    check: Check
