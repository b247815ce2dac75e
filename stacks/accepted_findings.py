"""Acknowledges the findings that an environment file accepts, each at its resource, with its owner and expiry date.

They are listed in the validation report. An accepted finding that does not occur fails synthesis.
"""

from __future__ import annotations

import datetime
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
    """Acknowledges every accepted finding. Call it before synthesis.

    The stack of a finding whose acceptance has expired gets an error and cannot be deployed. All other stacks can.

    Raises:
        InvalidEnvironment: the app has no construct at the path of an accepted finding.
    """
    issues: list[ConfigIssue] = []
    today = datetime.datetime.now(datetime.UTC).date()
    for index, accepted in enumerate(environment.accepted_findings):
        scope = _find_construct(app, accepted.at)
        if scope is None:
            issues.append(
                ConfigIssue(
                    key_path=("accepted_findings", index, "at"),
                    problem=f"is {accepted.at!r}, which is not a construct of this app",
                    allowed="the path of a construct, as in the validation report",
                    remedy="correct the path, or remove the finding",
                )
            )
            continue
        if accepted.expires is not None and accepted.expires < today:
            cdk.Annotations.of(scope).add_error(
                f"accepted_findings[{index}], {accepted.finding}, expired on {accepted.expires} (owner: "
                f"{accepted.owner}): renew it, or correct the resource"
            )
        until = "" if accepted.expires is None else f", until {accepted.expires}"
        reason = f"{accepted.reason} (accepted by {accepted.owner}{until})"
        cdk.Validations.of(scope).acknowledge(
            cdk.Acknowledgment(id=_acknowledgement_id(accepted.finding), reason=reason)
        )
    _raise_for(issues, file)


def require_used(assembly: Path, environment: Environment, file: Path) -> None:
    """Checks that every accepted finding occurs. Call it after synthesis.

    Raises:
        InvalidEnvironment: an accepted finding does not occur at its resource.
    """
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
            problem=f"is {accepted.finding!r}, which does not occur at {accepted.at}",
            allowed=f"a finding that {REPORT} in the cloud assembly lists for that resource",
            remedy="correct the finding, or remove it",
        )
        for index, accepted in enumerate(environment.accepted_findings)
        if (_acknowledgement_id(accepted.finding), accepted.at) not in used
    ]
    _raise_for(issues, file)


def _raise_for(issues: Sequence[ConfigIssue], file: Path) -> None:
    if issues:
        raise InvalidEnvironment(
            *locate_issues(file, SourcePositions.from_text(file.read_text(encoding="utf-8")), issues)
        )


def _acknowledgement_id(finding: str) -> str:
    """Returns the finding's id with its rule pack, without which cdk-nag hides the finding from the report."""
    return f"{finding.partition('-')[0]}::{finding}"


def _find_construct(app: cdk.App, path: str) -> IConstruct | None:
    scope: IConstruct | None = app
    for name in path.split("/"):
        scope = scope.node.try_find_child(name)
        if scope is None:
            return None
    return scope
