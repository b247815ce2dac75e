"""Rules about templates: what a review cannot read or should not trust."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandpiper.review.findings import Severity
from sandpiper.review.rule import Occurrence, Rule
from sandpiper_policy.model.edges import MAX_EDGES
from sandpiper_policy.model.symbols import SYMBOL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandpiper.review.model import ReviewModel

_IAM = "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html"


def _resolved(model: ReviewModel) -> Iterator[Occurrence]:
    for one in model.policies.unresolved:
        yield Occurrence(
            one.location, f"{model.readable(one.expression)[:300]} is not known before a deployment: {one.reason}"
        )


def _valid(model: ReviewModel) -> Iterator[Occurrence]:
    for policy in model.policies.policies:
        for problem in policy.problems:
            yield Occurrence(policy.location, f"IAM would reject the {policy.use.value}: {problem[:300]}")


def _plain_characters(model: ReviewModel) -> Iterator[Occurrence]:
    for statement in model.policies.statements:
        for value in statement.values:
            text = SYMBOL.sub("", value)
            if not text.isascii():
                yield Occurrence(
                    statement.location,
                    f"{ascii(text)[1:-1][:300]} has characters that look like others, or are invisible",
                )


def _expanded(model: ReviewModel) -> Iterator[Occurrence]:
    for location, name in model.macros:
        yield Occurrence(location, f"the template is changed by {name[:80]} when it is deployed, which is not reviewed")


def _all_grants(model: ReviewModel) -> Iterator[Occurrence]:
    if model.policies.graph.left_out:
        first = next(iter(model.policies.identities.values()))
        yield Occurrence(
            first.location,
            f"the templates allow more than {MAX_EDGES:,} times that an identity uses a resource; rules about callers "
            "and chains have not seen the others",
        )


def _readable_reports(model: ReviewModel) -> Iterator[Occurrence]:
    for one in model.nag_reports:
        if one.problem:
            yield Occurrence(one.location, f"the review has no verdicts of rule packs: the report {one.problem}")


RULES = (
    Rule(
        id="template-unresolved",
        group="templates",
        severity=Severity.MEDIUM,
        title="Values that decide about access are known before a deployment.",
        reason="The reviewed template allows something else when the value is another one.",
        source="https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/parameters-section-structure.html",
        remedy="Review the assembly with the stack that creates the value, or write the value into the template.",
        check=_resolved,
    ),
    Rule(
        id="template-policy",
        group="templates",
        severity=Severity.HIGH,
        title="IAM accepts every policy.",
        reason="A policy that cannot be parsed is not reviewed, and its deployment fails.",
        source=_IAM,
        remedy="Correct the policy.",
        check=_valid,
    ),
    Rule(
        id="template-characters",
        group="templates",
        severity=Severity.HIGH,
        title="Policies have ASCII characters only.",
        reason="A character that looks like another one hides which principal or resource is meant.",
        source="https://www.unicode.org/reports/tr39/",
        remedy="Write the name with ASCII characters.",
        check=_plain_characters,
    ),
    Rule(
        id="template-macro",
        group="templates",
        severity=Severity.MEDIUM,
        title="No macro changes the template during deployment.",
        reason="The deployed resources differ from the reviewed ones.",
        source="https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/template-macros.html",
        remedy="Review the processed template, or remove the macro.",
        check=_expanded,
    ),
    Rule(
        id="template-grants",
        group="templates",
        severity=Severity.HIGH,
        title="The review sees every grant.",
        reason="A grant that is left out can allow anything.",
        source="https://docs.aws.amazon.com/IAM/latest/UserGuide/best-practices.html#grant-least-privilege",
        remedy="Remove wildcards, or review fewer stacks together.",
        check=_all_grants,
    ),
    Rule(
        id="template-report",
        group="templates",
        severity=Severity.MEDIUM,
        title="The validation report of the assembly can be read.",
        reason="Open findings of cdk-nag are missing in the review.",
        source="https://docs.aws.amazon.com/cdk/v2/guide/policy-validation-synthesis.html",
        remedy="Create the cloud assembly again with `cdk synth`, with fewer rule packs if the report is too large.",
        check=_readable_reports,
    ),
)
