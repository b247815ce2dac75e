"""Checks the included environments and those of `environments` with all rule packs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from tests.support.project import PROJECT
from tests.support.rules.cdk_nag import nag_acceptances, nag_findings, synthesize_with_packs
from tests.support.rules.checkov import CHECKOV, checkov_acceptances, run_checkov
from tests.support.rules.environments import EXISTING_BUCKET, OWN_BUCKET

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import aws_cdk as cdk

    from tests.support.assemblies import Assembly
    from tests.support.rules.findings import Finding


@dataclass(frozen=True)
class Review:
    """The result of all rule packs.

    Attributes:
        assemblies: the cloud assemblies by the name of the environment.
        findings: all findings, accepted or not.
        acceptances: every acceptance: the id of the rule, and where.
        passed: the types of the resources that pass a check of checkov, by the id of the check.
        still_failed: findings of checkov in templates that accept them.
    """

    assemblies: Mapping[str, Assembly]
    findings: tuple[Finding, ...]
    acceptances: frozenset[tuple[str, str]]
    passed: Mapping[str, frozenset[str]]
    still_failed: tuple[Finding, ...]

    def types(self) -> set[str]:
        """Returns the types of all resources."""
        return {
            resource["Type"]
            for assembly in self.assemblies.values()
            for template in assembly.templates.values()
            for resource in template.content["Resources"].values()
        }


def synthesize_included(folder: Path) -> dict[str, Assembly]:
    """Returns the cloud assembly of each environment in the repository by name, with the report of all rule packs."""
    from sandpiper.environment import load
    from stacks.accepted_findings import acknowledge
    from stacks.environment_stacks import add_stacks

    def fill(app: cdk.App, file: Path) -> None:
        environment = load(file)
        add_stacks(app, environment)
        acknowledge(app, environment, file)

    files = sorted((PROJECT / "environments").glob("*.yaml"))
    return {file.stem: synthesize_with_packs(folder / file.stem, partial(fill, file=file)) for file in files}


def review(folder: Path, included: Mapping[str, Assembly]) -> Review:
    """Returns the result for the included environments and for those of `environments`."""
    from sandpiper.environment import Environment
    from stacks.environment_stacks import add_stacks

    assemblies = dict(included)
    for options in (OWN_BUCKET, EXISTING_BUCKET):
        environment = Environment.model_validate(options)
        fill = partial(add_stacks, environment=environment)
        assemblies[environment.name] = synthesize_with_packs(folder / environment.name, fill)
    checkov = run_checkov(folder / CHECKOV, assemblies)
    return Review(
        assemblies=assemblies,
        findings=(*(found for each in assemblies.values() for found in nag_findings(each)), *checkov.findings),
        acceptances=frozenset(
            accepted
            for each in assemblies.values()
            for accepted in (*nag_acceptances(each), *checkov_acceptances(each))
        ),
        passed=checkov.passed,
        still_failed=checkov.still_failed,
    )
