"""Findings that an environment accepts: each acknowledged at its own resource, with who answers for it and until when.

The report of the synthesis has them. One that accepts nothing is refused: what it was for is gone, or misspelt.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import aws_cdk as cdk

from sandpiper.environment.errors import ConfigIssue, InvalidEnvironment
from sandpiper.environment.file import locate_issues
from sandpiper.environment.source_positions import SourcePositions

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from constructs import IConstruct

    from sandpiper.environment import Environment

REPORT = "validation-report.json"


def acknowledge(app: cdk.App, environment: Environment, file: Path) -> None:
    """Acknowledges every accepted finding, before synthesis. Raises InvalidEnvironment where no such resource is."""
    issues: list[ConfigIssue] = []
    for index, accepted in enumerate(environment.accepted_findings):
        scope = _at(app, accepted.at)
        if scope is None:
            issues.append(
                ConfigIssue(
                    key_path=("accepted_findings", index, "at"),
                    problem=f"is {accepted.at!r}, and there is no such construct",
                    allowed="the path of a construct, as the report has it",
                    remedy="mend it, or take the finding out",
                )
            )
            continue
        until = "" if accepted.expires is None else f", until {accepted.expires}"
        reason = f"{accepted.reason} (accepted by {accepted.owner}{until})"
        cdk.Validations.of(scope).acknowledge(cdk.Acknowledgment(id=_id(accepted.finding), reason=reason))
    _raise_for(issues, file)


def require_used(assembly: Path, environment: Environment, file: Path) -> None:
    """After synthesis: raises InvalidEnvironment for what was accepted where there is no such finding."""
    if not environment.accepted_findings:
        return
    report = json.loads((assembly / REPORT).read_text())
    used = {
        (finding["acknowledgedId"], finding["acknowledgedAt"])
        for plugin in report["pluginReports"]
        for finding in plugin.get("suppressedViolations", [])
    }
    issues = [
        ConfigIssue(
            key_path=("accepted_findings", index, "finding"),
            problem=f"is {accepted.finding!r}, and {accepted.at} has no such finding",
            allowed=f"a finding that the report has there: {REPORT} of the cloud assembly",
            remedy="mend it, or take it out",
        )
        for index, accepted in enumerate(environment.accepted_findings)
        if (_id(accepted.finding), accepted.at) not in used
    ]
    _raise_for(issues, file)


def _raise_for(issues: Sequence[ConfigIssue], file: Path) -> None:
    if issues:
        raise InvalidEnvironment(
            *locate_issues(file, SourcePositions.from_text(file.read_text(encoding="utf-8")), issues)
        )


def _id(finding: str) -> str:
    """With the pack's name, which a rule's begins with: a bare rule hides the finding instead of explaining it."""
    return f"{finding.partition('-')[0]}::{finding}"


def _at(app: cdk.App, path: str) -> IConstruct | None:
    scope: IConstruct | None = app
    for step in path.split("/"):
        scope = scope.node.try_find_child(step)
        if scope is None:
            return None
    return scope
