"""The time and memory in which an environment file is rejected that was written to exhaust its reader."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.benchmarks.measurement import Measurement

MAX_SECONDS = 1
MAX_MIB = 200
LEVELS = "".join(f"  a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10))
MERGES = "".join(f"  m{n}: &m{n} {{<<: [{', '.join([f'*m{n - 1}'] * 9)}]}}\n" for n in range(1, 10))
FILES = {
    "nested aliases": f"tags:\n  a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n{LEVELS}",
    "nested merge keys": f"tags:\n  m0: &m0 {{k: 1, l: 1}}\n{MERGES}",
    "a long list": "tags:\n" + "- x\n" * 100_000,
    "a large file": "tags:\n" + "- x\n" * 3_000_000,
    "9,000 unknown options": "".join(f"k{n}: 1\n" for n in range(9_000)),
    "long strings by alias": f"x: &x {'y' * 250_000}\ntags:\n" + "".join(f"  k{n}: [*x]\n" for n in range(6_000)),
    "5,000 levels": "tags: " + "[" * 5_000,
}
PROGRAM = """
import json, resource, sys, time
from pathlib import Path
from sandpiper.environment import InvalidEnvironment, load

before = resource.getrusage(resource.RUSAGE_SELF)
try:
    load(Path(sys.argv[1]))
except InvalidEnvironment as error:
    message = str(error)
after = resource.getrusage(resource.RUSAGE_SELF)
seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
print(json.dumps({"seconds": seconds, "mib": after.ru_maxrss / 1024, "characters": len(message)}))
"""
"""Measures a rejection in a new process, without the time to import the package."""


def measurements() -> list[Measurement]:
    """Returns the longest time and the largest memory of all files."""
    with tempfile.TemporaryDirectory() as folder:
        measured = {name: _measured(Path(folder) / "dev.yaml", content) for name, content in FILES.items()}
    slowest = max(measured, key=lambda name: measured[name]["seconds"])
    largest = max(measured, key=lambda name: measured[name]["mib"])
    files = f"the worst of {len(FILES)} hostile files"
    return [
        Measurement(
            "reject a hostile environment file", measured[slowest]["seconds"], "s", MAX_SECONDS, f"{files}: {slowest}"
        ),
        Measurement("peak memory of the process", measured[largest]["mib"], "MiB", MAX_MIB, f"{files}: {largest}"),
    ]


def _measured(file: Path, content: str) -> dict[str, float]:
    """Returns the CPU time in seconds and the peak memory in MiB of one rejection."""
    file.write_text(content)
    process = subprocess.run([sys.executable, "-c", PROGRAM, str(file)], check=True, capture_output=True, text=True)
    return json.loads(process.stdout)
