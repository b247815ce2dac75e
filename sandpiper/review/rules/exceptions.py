"""Rules about decisions that the review cannot check: accepted findings and roles that are not in the templates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandpiper.plan.resource_types import INTERPRETER
from sandpiper.review.acceptance import acceptances_of
from sandpiper.review.findings import Severity
from sandpiper.review.reading.values import as_text
from sandpiper.review.rule import Occurrence, Rule
from sandpiper_policy.model.symbols import has_symbol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandpiper.review.model import ReviewModel


def _complete_acceptances(model: ReviewModel) -> Iterator[Occurrence]:
    for one in {resource.address: resource for resource in model.resources}.values():
        for rule, acceptance in acceptances_of(one).items():
            missing = [
                word for word, value in (("owner", acceptance.owner), ("expiry date", acceptance.expires)) if not value
            ]
            if missing:
                yield Occurrence(one.location, f"the acceptance of {rule[:80]} has no {' and no '.join(missing)}")


def _existing_interpreter_roles(model: ReviewModel) -> Iterator[Occurrence]:
    for one in model.of_type(INTERPRETER):
        if has_symbol(as_text(one.get("ExecutionRoleArn"))):
            yield Occurrence(one.at("ExecutionRoleArn"), "the execution role is known only after the deployment")


RULES = (
    Rule(
        id="exceptions-complete",
        group="exceptions",
        severity=Severity.MEDIUM,
        title="Every acceptance has an owner and an expiry date.",
        reason="An exception without an end is never reviewed again.",
        source="https://docs.aws.amazon.com/prescriptive-guidance/latest/vulnerability-management/exceptions.html",
        remedy="Add owner and expires to the acceptance.",
        check=_complete_acceptances,
    ),
    Rule(
        id="exceptions-unknown-role",
        group="exceptions",
        severity=Severity.MEDIUM,
        title="The execution role of an interpreter is known before the deployment.",
        reason="A parameter or an SSM parameter can name any role.",
        source="https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/dynamic-references.html",
        remedy="Create the role in the templates.",
        check=_existing_interpreter_roles,
    ),
)
