"""Writes a review as JSON, for programs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sandpiper.review.controls.standards import STANDARDS

if TYPE_CHECKING:
    from sandpiper.review.access.expectations import ComparedExpectation
    from sandpiper.review.access.matrix import TenantMatrix
    from sandpiper.review.baseline.compare import Changes
    from sandpiper.review.controls.status import ControlStatus
    from sandpiper.review.findings import Acceptance, Finding
    from sandpiper.review.model import ReviewModel
    from sandpiper.review.proofs.question import ProvedProperty
    from sandpiper.review.result import Review
    from sandpiper.review.verdicts.verdict import Verdict
    from sandpiper_policy.model.location import Location

VERSION = 1


def to_json(review: Review, changes: Changes | None = None) -> str:
    """Returns the review as JSON.

    It has the date, templates, counts, findings, proofs, values that could not be resolved, and rules; with a baseline
    also the changes.
    """
    model = review.model
    content: dict[str, Any] = {
        "version": VERSION,
        "name": model.name,
        "date": review.date.isoformat(),
        "templates": [
            {
                "name": one.name,
                "file": one.file,
                "account": one.account,
                "region": one.region,
                "sha256": one.sha256,
            }
            for one in model.templates
        ],
        "counts": counts(review),
        "findings": [_finding(review, one) for one in review.findings],
        "proofs": [_proved(model, one) for one in review.proofs],
        "access": [_matrix(one) for one in review.access],
        "expectations": [_expectation(one) for one in review.expectations],
        "verdicts": [verdict_entry(model, one) for one in review.verdicts],
        "controls": [_control(one) for one in review.controls],
        "unresolved": [
            {**_location(one.location), "expression": model.readable(one.expression), "reason": one.reason}
            for one in model.policies.unresolved
        ],
        "rules": [
            {
                "id": one.id,
                "group": one.group,
                "severity": one.severity.word,
                "title": one.title,
                "source": one.source,
            }
            for one in review.rules
        ],
    }
    if changes is not None:
        content["changes"] = changes_json(changes)
    return json.dumps(content, indent=2, ensure_ascii=True) + "\n"


def counts(review: Review) -> dict[str, int]:
    """Returns the number of open findings of each severity, and the number of accepted findings."""
    found = {"high": 0, "medium": 0, "low": 0, "accepted": len(review.accepted_findings)}
    for one in review.open_findings:
        found[one.severity.word] += 1
    return found


def changes_json(changes: Changes) -> dict[str, Any]:
    """Returns the changes since an approval as JSON values."""
    return {
        "approvedBy": changes.baseline.approved_by,
        "approvedOn": changes.baseline.approved_on.isoformat(),
        "approved": changes.are_approved,
        "granted": [
            {"key": one.entry.key, "grant": one.entry.sentence, "example": one.example} for one in changes.granted
        ],
        "limitsRemoved": [{"key": one.key, "limit": one.sentence} for one in changes.loosened],
        "revoked": [{"key": one.key, "grant": one.sentence} for one in changes.revoked],
        "limitsAdded": [{"key": one.key, "limit": one.sentence} for one in changes.tightened],
    }


def _finding(review: Review, finding: Finding) -> dict[str, Any]:
    return {
        "key": finding.key,
        "rule": finding.rule_id,
        "severity": finding.severity.word,
        "resource": finding.resource,
        **_location(finding.location),
        "message": finding.message,
        "evidence": list(finding.evidence),
        "remedy": finding.remedy,
        "accepted": finding.is_accepted(review.date),
        "acceptance": None if finding.acceptance is None else _acceptance(finding.acceptance),
    }


def _proved(model: ReviewModel, proved: ProvedProperty) -> dict[str, Any]:
    return {
        "id": proved.proposition.id,
        "title": proved.proposition.title,
        "outcome": None if proved.outcome is None else proved.outcome.value,
        "seconds": round(proved.seconds, 3),
        "claims": [
            {
                "subject": one.question.subject,
                "claim": model.readable(one.question.sentence),
                "outcome": one.proof.outcome.value,
                "reason": model.readable(one.proof.reason),
            }
            for one in proved.answers
        ],
    }


def _matrix(matrix: TenantMatrix) -> dict[str, Any]:
    return {
        "tenant": matrix.tenant,
        "principals": [
            {
                "name": row.label,
                "kind": row.kind,
                "policiesAssumed": row.assumed,
                "operations": {
                    title: {"access": cell.access.value, "reason": cell.reason, "through": list(cell.path)}
                    for title, cell in zip(matrix.operations, cells, strict=True)
                },
            }
            for row, cells in matrix.rows
        ],
    }


def _expectation(compared: ComparedExpectation) -> dict[str, Any]:
    expected, location = compared.expectation, compared.expectation.location
    return {
        "principal": expected.principal,
        "operation": expected.operation,
        "tenant": compared.tenant,
        "expected": expected.access,
        "access": compared.cell.access.value,
        "result": compared.comparison.value,
        "reason": compared.reason,
        "file": location.file,
        "line": location.line,
    }


def _control(status: ControlStatus) -> dict[str, Any]:
    return {
        "requirement": status.requirement,
        "state": status.state.value,
        "reasons": list(status.reasons),
        "controls": {STANDARDS[name]: list(controls) for name, controls in status.controls.items()},
    }


def verdict_entry(model: ReviewModel, verdict: Verdict) -> dict[str, str]:
    """Returns a verdict of another tool."""
    return {
        "interpreter": model.readable(verdict.interpreter),
        "tool": verdict.tool,
        "rule": verdict.rule,
        "source": verdict.source,
        "outcome": verdict.outcome.value,
        "reason": verdict.reason,
        "answer": model.readable(verdict.answer),
    }


def _location(location: Location) -> dict[str, Any]:
    return {
        "file": location.file,
        "line": location.line,
        "path": list(location.path),
        "construct": location.construct,
    }


def _acceptance(acceptance: Acceptance) -> dict[str, Any]:
    return {
        "reason": acceptance.reason,
        "owner": acceptance.owner,
        "expires": None if acceptance.expires is None else acceptance.expires.isoformat(),
        "source": acceptance.source,
    }
