"""Runs all rule packs of cdk-nag over an app, and reads findings and acceptances from the cloud assembly."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.support.assemblies import new_app, read_assembly
from tests.support.rules.findings import Finding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import aws_cdk as cdk

    from tests.support.assemblies import Assembly

REPORT_ONLY = {"@aws-cdk/core:failSynthOnValidationErrors": "false"}
"""Context with which findings that are not accepted do not fail synthesis."""


def synthesize_with_packs(directory: Path, fill: Callable[[cdk.App], object]) -> Assembly:
    """Synthesizes an app with all rule packs, after `fill` has added its stacks."""
    import aws_cdk as cdk
    import cdk_nag

    packs = (
        cdk_nag.AwsSolutionsChecks,
        cdk_nag.NIST80053R5Checks,
        cdk_nag.HIPAASecurityChecks,
        cdk_nag.PCIDSS321Checks,
        cdk_nag.ServerlessChecks,
    )
    app = new_app(directory, REPORT_ONLY)
    fill(app)
    cdk.Validations.of(app).add_plugins(*(pack(app) for pack in packs))
    app.synth()
    return read_assembly(directory)


def nag_findings(assembly: Assembly) -> list[Finding]:
    """Returns the findings of all packs. Raises ValueError if a pack failed."""
    types = dict(_types(assembly))
    report = json.loads((assembly.directory / "validation-report.json").read_text())
    failed = [plugin for plugin in report["pluginReports"] if "error" in (plugin.get("metadata") or {})]
    if failed:
        raise ValueError(f"cdk-nag failed: {failed}")
    return [
        Finding(
            pack=plugin["pluginName"],
            rule=finding["ruleName"],
            at=construct["constructPath"],
            type=types[construct["constructPath"]],
            reason=finding.get("reason"),
            accepted_at=finding.get("acknowledgedAt"),
        )
        for plugin in report["pluginReports"]
        for finding in (*plugin["violations"], *plugin.get("suppressedViolations", ()))
        for construct in finding["violatingConstructs"]
    ]


def nag_acceptances(assembly: Assembly) -> set[tuple[str, str]]:
    """Returns every acceptance: the id of the rule and the construct path."""
    return {
        (rule.partition("::")[2], path)
        for path, entry in _metadata(assembly)
        if entry["type"] == "aws:cdk:acknowledged-rules"
        for rule in entry["data"]
    }


def _types(assembly: Assembly) -> Iterator[tuple[str, str]]:
    """Returns the type of every resource by its construct path."""
    for path, entry in _metadata(assembly):
        resources = assembly[path.partition("/")[0]].content.get("Resources", {})
        if entry["type"] == "aws:cdk:logicalId" and entry["data"] in resources:
            yield path, resources[entry["data"]]["Type"]


def _metadata(assembly: Assembly) -> Iterator[tuple[str, dict[str, Any]]]:
    """Returns every entry of metadata with its construct path."""
    for stack in assembly.templates:
        by_path = json.loads((assembly.directory / f"{stack}.metadata.json").read_text())
        for path, entries in by_path.items():
            for entry in entries:
                yield path.removeprefix("/"), entry
