"""How long `make demo` takes when everything is installed."""

from __future__ import annotations

import subprocess
import time

from tests.benchmarks.measurement import Measurement
from tests.support.project import PROJECT


def measurements() -> list[Measurement]:
    """Runs it twice and reports the second, a line for each of its phases."""
    subprocess.run(["make", "demo"], cwd=PROJECT, check=True, capture_output=True)
    begun = time.perf_counter()
    second = subprocess.run(["make", "demo"], cwd=PROJECT, check=True, capture_output=True, text=True)
    whole = time.perf_counter() - begun
    phases = [line.removeprefix("✓ ").rsplit(" ", 2) for line in second.stderr.splitlines() if line.startswith("✓ ")]
    return [
        Measurement("`make demo` a second time", whole, "s", 25, "the whole command"),
        *(Measurement(f"  {name}", float(seconds), "s", None, "a phase of it") for name, seconds, _ in phases),
    ]
