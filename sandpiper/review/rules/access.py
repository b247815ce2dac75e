"""The rule about the access that an environment file requires or excludes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandpiper.review.access.expectations import Comparison, compare_expectations
from sandpiper.review.access.matrix import Access
from sandpiper.review.findings import Severity
from sandpiper.review.rule import Occurrence, Rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandpiper.review.access.expectations import ComparedExpectation
    from sandpiper.review.model import ReviewModel

FOUND = {Access.ALLOWED: "allowed", Access.THROUGH: "allowed through a program", Access.DENIED: "denied"}


def _as_expected(model: ReviewModel) -> Iterator[Occurrence]:
    for one in compare_expectations(model):
        if one.comparison is not Comparison.MET:
            yield Occurrence(one.expectation.location, _message(one), tuple(_evidence(one)))


def _message(one: ComparedExpectation) -> str:
    expected = f"`expect` requires that it is {one.expectation.access}"
    subject = f"{one.expectation.principal}: {one.expectation.operation} of tenant {one.tenant}"
    found = "not decided" if one.comparison is Comparison.UNDECIDED else FOUND[one.cell.access]
    return f"{subject} is {found}, but {expected}"


def _evidence(one: ComparedExpectation) -> Iterator[str]:
    yield one.reason
    if one.cell.path:
        yield f"through {', '.join(one.cell.path)}"
    if one.cell.action:
        yield f"request: {one.cell.action} on {one.cell.resource}"


RULES = (
    Rule(
        id="access-expected",
        group="access",
        severity=Severity.HIGH,
        title="Access is as `expect` in the environment file requires; an undecided one is not.",
        reason="A principal can do what the owner of the environment excludes, or cannot do what it has to do.",
        source="https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html",
        remedy="Change the deciding statement, or correct the entry of `expect`.",
        check=_as_expected,
    ),
)
