"""Answers all questions about a model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandpiper.review.proofs.properties import PROPERTIES
from sandpiper.review.proofs.question import Answer, ProvedProperty
from sandpiper_policy.proofs.prover import prove

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sandpiper.review.model import ReviewModel
    from sandpiper.review.proofs.question import Property


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
    for one in properties:
        questions = list(one.questions(model))
        progress(f"proving {one.id}: {len(questions):,} claims")
        answers = tuple(Answer(question, prove(question.claim)) for question in questions)
        proved.append(ProvedProperty(one, answers))
    return tuple(proved)
