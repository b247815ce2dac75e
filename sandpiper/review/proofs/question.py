"""Questions to the prover, and their answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sandpiper.review.findings import Severity
from sandpiper_policy.proofs.prover import ProofOutcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sandpiper.review.model import ReviewModel
    from sandpiper_policy.proofs.claims import Claim
    from sandpiper_policy.proofs.prover import Proof


@dataclass(frozen=True)
class Question:
    """One claim about one subject.

    Attributes:
        subject: The address of the resource or identity that the claim is about.
        sentence: What the claim states, with labels in place of invented names.
        claim: The claim.
        unknown_policies: The ARNs of policies that the templates do not contain and on which the claim depends. With
            one of them, it is undecided.
    """

    subject: str
    sentence: str
    claim: Claim
    unknown_policies: tuple[str, ...] = ()


@dataclass(frozen=True)
class Property:
    """A property of all subjects of a kind.

    Attributes:
        id: The id in reports. It never changes.
        title: What holds if every question is proved.
        meaning: What an attacker gains from a counterexample.
        remedy: What to change if it is refuted.
        questions: Returns the questions about a model; none if the model has no such subject.
        severity: The severity of a counterexample.
    """

    id: str
    title: str
    meaning: str
    remedy: str
    questions: Callable[[ReviewModel], Iterable[Question]]
    severity: Severity = Severity.HIGH

    @property
    def rule_id(self) -> str:
        """The id in findings."""
        return f"proof-{self.id}"


@dataclass(frozen=True)
class Answer:
    """The answer to a question."""

    question: Question
    proof: Proof


@dataclass(frozen=True)
class ProvedProperty:
    """The answers to all questions of a property.

    Attributes:
        proposition: The property.
        answers: The answers, in the order of the questions.
    """

    proposition: Property
    answers: tuple[Answer, ...]

    @property
    def outcome(self) -> ProofOutcome | None:
        """The worst outcome of its answers: refuted, then undecided, then proved. None without a subject."""
        outcomes = {answer.proof.outcome for answer in self.answers}
        order = (ProofOutcome.REFUTED, ProofOutcome.UNDECIDED, ProofOutcome.PROVED)
        return next((outcome for outcome in order if outcome in outcomes), None)

    @property
    def seconds(self) -> float:
        """How long all its proofs took."""
        return sum(answer.proof.seconds for answer in self.answers)

    def of_outcome(self, outcome: ProofOutcome) -> tuple[Answer, ...]:
        """Returns the answers with an outcome."""
        return tuple(answer for answer in self.answers if answer.proof.outcome is outcome)
