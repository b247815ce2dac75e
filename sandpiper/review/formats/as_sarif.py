"""Writes a review as SARIF 2.1.0, for code scanning and editors.

https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from sandpiper.review.environment_lines import environment_line
from sandpiper.review.findings import Severity
from sandpiper.review.formats.as_json import verdict_entry
from sandpiper.review.formats.sarif_taxonomies import failed_rules, taxa_of, taxonomies

if TYPE_CHECKING:
    from sandpiper.review.findings import Finding
    from sandpiper.review.report import Report
    from sandpiper_policy.model.location import Location

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/os/schemas/sarif-schema-2.1.0.json"
LEVELS = {Severity.HIGH: "error", Severity.MEDIUM: "warning", Severity.LOW: "note"}
SECURITY_SEVERITIES = {Severity.HIGH: "8.0", Severity.MEDIUM: "5.0", Severity.LOW: "2.0"}
"""GitHub's scale: high from 7.0, medium from 4.0.

https://docs.github.com/en/code-security/code-scanning/integrating-with-code-scanning/sarif-support-for-code-scanning
"""
FINGERPRINT = "sandpiperFinding/v1"


def to_sarif(report: Report) -> str:
    """Returns the review as SARIF. Accepted findings are suppressed results.

    Rules of other tools are taxa of results that answer a failed one. All their verdicts are properties of the run.
    """
    rules = _rules(report)
    failed = failed_rules(report.review)
    index = {rule["id"]: number for number, rule in enumerate(rules)}
    run = {
        "tool": {"driver": {"name": "Sandpiper", "rules": rules}},
        "taxonomies": taxonomies(),
        "results": [_result(report, one, index[one.rule_id], taxa_of(one, failed)) for one in report.review.findings],
        "columnKind": "utf16CodeUnits",
        "properties": {"verdicts": [verdict_entry(report.review.model, one) for one in report.review.verdicts]},
    }
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2) + "\n"


def _rules(report: Report) -> list[dict[str, Any]]:
    review = report.review
    rules = [(one.id, one.severity, one.title, one.reason, one.remedy, one.source) for one in review.rules]
    for proposition in (one.proposition for one in review.proofs):
        texts = (f"{proposition.title}.", proposition.meaning, proposition.remedy)
        rules.append((proposition.rule_id, proposition.severity, *texts, ""))
    return [_rule(*one) for one in rules]


def _rule(id_: str, severity: Severity, title: str, reason: str, remedy: str, source: str) -> dict[str, Any]:
    return {
        "id": id_,
        "shortDescription": {"text": title},
        "fullDescription": {"text": reason},
        "help": {"text": remedy},
        "defaultConfiguration": {"level": LEVELS[severity]},
        "properties": {"tags": ["security"], "security-severity": SECURITY_SEVERITIES[severity]},
        **({"helpUri": source} if source else {}),
    }


def _result(report: Report, finding: Finding, rule_index: int, taxa: list[dict[str, Any]]) -> dict[str, Any]:
    evidence = "".join(f"\n- {line}" for line in finding.evidence)
    result: dict[str, Any] = {
        "ruleId": finding.rule_id,
        "ruleIndex": rule_index,
        "level": LEVELS[finding.severity],
        "message": {"text": f"{finding.message}.{evidence}\nRemedy: {finding.remedy}"},
        "locations": [_primary(report, finding.location)],
        "partialFingerprints": {FINGERPRINT: finding.key},
    }
    if report.source is not None and finding.location.file not in ("", report.source.path):
        template = _physical(finding.location.file, finding.location.line)
        result["relatedLocations"] = [{"id": 0, "message": {"text": "in the template"}, "physicalLocation": template}]
    if taxa:
        result["taxa"] = taxa
    if finding.is_accepted(report.review.date) and finding.acceptance is not None:
        owner = f" ({finding.acceptance.owner})" if finding.acceptance.owner else ""
        justification = f"{finding.acceptance.reason}{owner}"
        result["suppressions"] = [{"kind": "external", "status": "accepted", "justification": justification}]
    return result


def _primary(report: Report, location: Location) -> dict[str, Any]:
    """Returns the line of the environment file; without one, the line of the template."""
    if report.source is not None:
        physical = _physical(report.source.path, environment_line(report.source, location))
    else:
        physical = _physical(location.file or location.address or report.review.model.name, location.line)
    name = location.construct or location.address
    logical = {"fullyQualifiedName": name, "kind": "resource"}
    return {"physicalLocation": physical, **({"logicalLocations": [logical]} if name else {})}


def _physical(file: str, line: int | None) -> dict[str, Any]:
    path = Path(file)
    uri = path.as_uri() if path.is_absolute() else quote(path.as_posix())
    return {"artifactLocation": {"uri": uri}, **({} if line is None else {"region": {"startLine": line}})}
