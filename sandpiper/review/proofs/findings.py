"""Findings about properties that are refuted or undecided."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandpiper.review.findings import Finding, Severity
from sandpiper_policy.model.location import Location
from sandpiper_policy.proofs.prover import ProofOutcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sandpiper.review.model import ReviewModel
    from sandpiper.review.proofs.question import Answer, ProvedProperty
    from sandpiper_policy.evaluate import Request


def proof_findings(model: ReviewModel, proofs: Iterable[ProvedProperty]) -> Iterator[Finding]:
    """Yields a finding for each answer that is not a proof. An undecided claim is a finding of low severity."""
    for proved in proofs:
        for answer in proved.answers:
            if answer.proof.outcome is not ProofOutcome.PROVED:
                yield _finding(model, proved, answer)


def _finding(model: ReviewModel, proved: ProvedProperty, answer: Answer) -> Finding:
    proof, subject = answer.proof, model.by_address.get(answer.question.subject)
    refuted = proof.outcome is ProofOutcome.REFUTED
    stated = model.readable(answer.question.sentence)
    return Finding(
        rule_id=proved.proposition.rule_id,
        severity=proved.proposition.severity if refuted else Severity.LOW,
        resource=answer.question.subject,
        location=Location("", address=answer.question.subject) if subject is None else subject.location,
        message=f"{stated}: {'refuted' if refuted else f'undecided, because {model.readable(proof.reason)}'}",
        evidence=() if proof.counterexample is None else tuple(_evidence(model, answer, proof.counterexample)),
        remedy=proved.proposition.remedy,
    )


def _evidence(model: ReviewModel, answer: Answer, request: Request) -> Iterator[str]:
    """Yields the allowed request, its condition keys and the statements that allow it, one a line."""
    yield model.readable(f"{request.principal.name or 'an anonymous caller'}: {request.action} on {request.resource}")
    for name, value in sorted(request.context.items()):
        yield model.readable(f"{name}: {value if isinstance(value, str) else ', '.join(value)}")
    if answer.proof.decision is not None:
        yield model.readable(answer.proof.decision.reason)
