"""Random requests against every proof of the included environments."""

from __future__ import annotations

import tempfile
from pathlib import Path

from sandpiper.review.proofs.prove_all import prove_properties
from sandpiper.review.review import Target, load_model
from sandpiper_policy.proofs.attack import attack
from sandpiper_policy.proofs.prover import ProofOutcome
from tests.benchmarks.measurement import Measurement
from tests.support.rules.review import synthesize_included

REQUESTS = 10_000
"""Requests against each proof."""


def attacks() -> list[Measurement]:
    """Returns the number of proofs that random requests refute, for each environment. It has to be 0."""
    found: list[Measurement] = []
    with tempfile.TemporaryDirectory() as folder:
        for name, assembly in synthesize_included(Path(folder)).items():
            model = load_model([Target(assembly.directory, name)])
            answers = [one for proved in prove_properties(model) for one in proved.answers]
            proofs = [one for one in answers if one.proof.outcome is ProofOutcome.PROVED]
            results = [attack(one.question.claim, REQUESTS) for one in proofs]
            wrong = [
                (one.question.sentence, request)
                for one, (_, request) in zip(proofs, results, strict=True)
                if request is not None
            ]
            sent, allowed = len(proofs) * REQUESTS, sum(count for count, _ in results)
            method = f"{len(proofs)} proofs, {sent:,} requests, {allowed:,} of them allowed"
            found.append(Measurement(f"refuted proofs of {name}", len(wrong), "", 0, f"{method} {wrong[:1] or ''}"))
    return found
