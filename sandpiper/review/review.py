"""Reviews templates: reads them, builds the model, applies the rules and joins findings with their acceptances."""

from __future__ import annotations

import datetime
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sandpiper.review.acceptance import with_acceptances
from sandpiper.review.access.build import access_matrices
from sandpiper.review.access.expectations import compare_expectations
from sandpiper.review.building.build import build_model
from sandpiper.review.controls.status import control_statuses
from sandpiper.review.findings import Finding
from sandpiper.review.proofs.findings import proof_findings
from sandpiper.review.proofs.properties import PROPERTIES
from sandpiper.review.proofs.prove_all import prove_properties
from sandpiper.review.reading.assembly import is_assembly, read_assembly, read_template
from sandpiper.review.result import Review
from sandpiper.review.rules import RULES
from sandpiper.review.verdicts.collect import collect_verdicts
from sandpiper.review.verdicts.nag_report import nag_verdicts, read_nag_report

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from sandpiper.review.access.expectations import Expectation
    from sandpiper.review.model import ReviewModel
    from sandpiper.review.proofs.question import Property
    from sandpiper.review.rule import Rule


@dataclass(frozen=True)
class Target:
    """A cloud assembly or a template.

    Attributes:
        path: The folder of the assembly, or the file of the template.
        shown: The path in locations; empty for paths that are relative to the assembly.
        expectations: The access that its environment file requires or excludes.
    """

    path: Path
    shown: str
    expectations: tuple[Expectation, ...] = ()


def load_model(
    targets: Sequence[Target], progress: Callable[[str], None] = lambda _: None, *, name: str = ""
) -> ReviewModel:
    """Reads cloud assemblies and templates into one model.

    Args:
        targets: Cloud assemblies and templates.
        progress: Called with a line about each step.
        name: The name of the review. Default: the paths of the targets.

    Raises:
        TemplateError: A file cannot be read, or exceeds a limit.

    Example:
        >>> model = load_model([Target(Path("cdk.out"), "cdk.out")])  # doctest: +SKIP
        >>> [one.address for one in model.of_type("AWS::BedrockAgentCore::CodeInterpreterCustom")]  # doctest: +SKIP
        ['sandpiper-prod-claims/Interpretersandbox3BC2AC0C']
    """
    sources = [
        source
        for one in targets
        for source in (
            read_assembly(one.path, progress, one.shown)
            if is_assembly(one.path)
            else [read_template(one.path, one.shown)]
        )
    ]
    progress("resolving values and building the model")
    expectations = [expectation for one in targets for expectation in one.expectations]
    return build_model(name or ", ".join(one.shown for one in targets), sources, expectations)


def review(
    targets: Sequence[Target],
    progress: Callable[[str], None] = lambda _: None,
    *,
    rules: Sequence[Rule] = RULES,
    name: str = "",
    today: datetime.date | None = None,
) -> Review:
    """Reviews cloud assemblies and templates.

    Args:
        targets: Cloud assemblies and templates.
        progress: Called with a line about each step.
        rules: The rules to apply.
        name: The name of the review. Default: the paths of the targets.
        today: The day with which expiry dates are compared. Default: today, in UTC.

    Raises:
        TemplateError: A file cannot be read, or exceeds a limit.
        InvalidEnvironment: An environment file expects access of a principal that the templates do not have.
    """
    model = load_model(targets, progress, name=name)
    reports = filter(None, (read_nag_report(one.path, one.shown) for one in targets))
    model = replace(model, nag_reports=tuple(reports))
    progress(f"applying {len(rules)} rules")
    return review_model(model, progress, rules=rules, today=today)


def review_model(
    model: ReviewModel,
    progress: Callable[[str], None] = lambda _: None,
    *,
    rules: Sequence[Rule] = RULES,
    properties: Sequence[Property] = PROPERTIES,
    today: datetime.date | None = None,
) -> Review:
    """Applies rules to a model and proves properties of it.

    Findings are sorted by severity, then in the order of the rules, the properties and the templates.
    """
    order = {id_: index for index, id_ in enumerate([*(one.id for one in rules), *(one.rule_id for one in properties)])}
    proofs = prove_properties(model, properties, progress)
    findings = [*apply_rules(model, rules), *with_acceptances(model, proof_findings(model, proofs))]
    unique = {finding.key: finding for finding in findings}.values()
    date = today or datetime.datetime.now(datetime.UTC).date()
    return Review(
        model=model,
        findings=tuple(sorted(unique, key=lambda one: (-one.severity, order[one.rule_id], one.resource))),
        rules=tuple(rules),
        proofs=proofs,
        access=access_matrices(model),
        expectations=compare_expectations(model),
        date=date,
        verdicts=(*collect_verdicts(model, tuple(unique), date), *nag_verdicts(model)),
        controls=control_statuses(model, tuple(unique), date),
    )


def apply_rules(model: ReviewModel, rules: Sequence[Rule] = RULES) -> list[Finding]:
    """Returns the findings of rules with their acceptances, without proofs and access matrix, which take longer."""
    return list(with_acceptances(model, (finding for rule in rules for finding in _findings(model, rule))))


def _findings(model: ReviewModel, rule: Rule) -> Iterator[Finding]:
    for one in rule.check(model):
        yield Finding(
            rule_id=rule.id,
            severity=one.severity or rule.severity,
            resource=one.location.address,
            location=model.located(one.location),
            message=one.message,
            evidence=one.evidence,
            remedy=rule.remedy,
            acceptance=one.acceptance,
        )
