"""Answers all questions about a model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandpiper.review.proofs.properties import PROPERTIES
from sandpiper.review.proofs.question import Answer, ProvedProperty
from sandpiper_policy.proofs.prover import EFFORT, QUICK, Proof, ProofOutcome, prove

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sandpiper.review.model import ReviewModel
    from sandpiper.review.proofs.question import Property


MAX_GIVEN_UP = 5
"""After so many undecided claims, the solver gets less effort for each, so that no template keeps it busy for long."""


def prove_properties(
    model: ReviewModel,
    properties: Iterable[Property] = PROPERTIES,
    progress: Callable[[str], None] = lambda _: None,
) -> tuple[ProvedProperty, ...]:
    """Returns the answers to all questions.

    Args:
        model: The model.
        properties: The properties. Default: all.
        progress: Called with a line about each property.
    """
    proved: list[ProvedProperty] = []
    given_up = 0
    for one in properties:
        questions = list(one.questions(model))
        progress(f"proving {one.id}: {len(questions):,} claims")
        answers: list[Answer] = []
        for question in questions:
            if question.unknown_policies:
                reason = f"the templates do not contain {', '.join(question.unknown_policies)}"
                answers.append(Answer(question, Proof(ProofOutcome.UNDECIDED, 0.0, reason=reason)))
                continue
            proof = prove(question.claim, EFFORT if given_up < MAX_GIVEN_UP else EFFORT // QUICK)
            given_up += proof.outcome is ProofOutcome.UNDECIDED
            answers.append(Answer(question, proof))
        proved.append(ProvedProperty(one, tuple(answers)))
    return tuple(proved)
