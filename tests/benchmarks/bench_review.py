"""The CPU time and the memory of a review, at several sizes. Each runs in a new process, as `sandpiper review` does."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from sandpiper.review.review import Target, load_model
from tests.benchmarks.measurement import Measurement
from tests.benchmarks.proof_attacks import attacks
from tests.support.assemblies import synthesize
from tests.support.iamprover_catalogue import answers_of_iamprover, answers_of_the_prover, catalogue_model

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandpiper.review.model import ReviewModel
    from tests.support.iamprover_catalogue import Answers

SIZES = {1: (1, 1), 100: (20, 5), 500: (100, 5)}
"""Tenants, and interpreters of each tenant, by the total number of interpreters."""
MAX_SECONDS = {1: 1.5, 100: 10.0, 500: 45.0}
MAX_MIB = 1024
COMPARED_SIZE = 100
"""The number of interpreters whose policies iamprover reads, too."""
ROUNDS = 3
PROGRAM = """
import json, resource, sys
from pathlib import Path
from sandpiper.review.review import Target, review

found = review([Target(Path(sys.argv[1]), "")])
usage = resource.getrusage(resource.RUSAGE_SELF)
seconds = usage.ru_utime + usage.ru_stime
print(json.dumps({"seconds": seconds, "mib": usage.ru_maxrss / 1024, "resources": len(found.model.resources)}))
"""


def measurements() -> list[Measurement]:
    """Returns the time and the memory for each number of interpreters, the comparison with iamprover, and attacks."""
    found = [*attacks(), ratio_to_iamprover("policies for its catalogue", catalogue_model())]
    for size, (tenants, interpreters) in SIZES.items():
        with tempfile.TemporaryDirectory() as name:
            keys = {f"key-{number:02}": dict[str, str]() for number in range(interpreters)}
            options = {"tenants": {f"tenant-{number:03}": {"interpreters": keys} for number in range(tenants)}}
            synthesize(Path(name), options)
            command = [sys.executable, "-c", PROGRAM, name]
            if size == COMPARED_SIZE:
                model = load_model([Target(Path(name), "")])
                found.append(ratio_to_iamprover(f"the policies of {size} interpreters", model))
            completed = subprocess.run(command, check=True, capture_output=True, text=True)
        result = json.loads(completed.stdout)
        method = f"{tenants} tenants, {result['resources']:,} resources, with the start of Python"
        found += [
            Measurement(f"review of {size} interpreters", result["seconds"], "s", MAX_SECONDS[size], f"CPU; {method}"),
            Measurement(f"memory for {size} interpreters", result["mib"], "MiB", MAX_MIB, method),
        ]
    return found


def ratio_to_iamprover(name: str, model: ReviewModel) -> Measurement:
    """Returns the CPU time of the prover for the catalogue of iamprover, divided by that of iamprover."""
    ours, theirs = list[float](), list[float]()
    for _ in range(ROUNDS):
        for seconds, answers in ((theirs, answers_of_iamprover), (ours, answers_of_the_prover)):
            seconds.append(_cpu_seconds(answers, model))
    answers = len(answers_of_iamprover(model))
    method = f"CPU; {answers:,} answers, {min(ours):.2f} s against {min(theirs):.2f} s, best of {ROUNDS}, alternately"
    return Measurement(f"prover / iamprover: {name}", min(ours) / min(theirs), "times", 1.0, method)


def _cpu_seconds(answers: Callable[[ReviewModel], Answers], model: ReviewModel) -> float:
    started = time.process_time()
    answers(model)
    return time.process_time() - started
