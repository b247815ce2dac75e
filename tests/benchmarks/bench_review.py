"""The CPU time and the memory of a review, at several sizes. Each runs in a new process, as `sandpiper review` does."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.benchmarks.measurement import Measurement
from tests.support.assemblies import synthesize

SIZES = {1: (1, 1), 100: (20, 5), 500: (100, 5)}
"""Tenants, and interpreters of each tenant, by the total number of interpreters."""
MAX_SECONDS = {1: 1.5, 100: 10.0, 500: 45.0}
MAX_MIB = 1024
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
    """Returns the time and the memory for each number of interpreters."""
    found: list[Measurement] = []
    for size, (tenants, interpreters) in SIZES.items():
        with tempfile.TemporaryDirectory() as name:
            keys = {f"key-{number:02}": dict[str, str]() for number in range(interpreters)}
            options = {"tenants": {f"tenant-{number:03}": {"interpreters": keys} for number in range(tenants)}}
            synthesize(Path(name), options)
            command = [sys.executable, "-c", PROGRAM, name]
            completed = subprocess.run(command, check=True, capture_output=True, text=True)
        result = json.loads(completed.stdout)
        method = f"{tenants} tenants, {result['resources']:,} resources, with the start of Python"
        found += [
            Measurement(f"review of {size} interpreters", result["seconds"], "s", MAX_SECONDS[size], f"CPU; {method}"),
            Measurement(f"memory for {size} interpreters", result["mib"], "MiB", MAX_MIB, method),
        ]
    return found
