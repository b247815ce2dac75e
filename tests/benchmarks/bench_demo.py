"""Measures the duration of `make demo` when everything is installed."""

from __future__ import annotations

import subprocess
import time

from tests.benchmarks.measurement import Measurement
from tests.support.project import PROJECT


def measurements() -> list[Measurement]:
    """Runs the demo twice. Returns the duration of the second run and of each of its phases."""
    subprocess.run(["make", "demo"], cwd=PROJECT, check=True, capture_output=True)
    started = time.perf_counter()
    second = subprocess.run(["make", "demo"], cwd=PROJECT, check=True, capture_output=True, text=True)
    total = time.perf_counter() - started
    phases = [line.removeprefix("✓ ").rsplit(" ", 2) for line in second.stderr.splitlines() if line.startswith("✓ ")]
    return [
        Measurement("`make demo` a second time", total, "s", 25, "the entire command"),
        *(Measurement(f"  {name}", float(seconds), "s", None, "one phase") for name, seconds, _ in phases),
    ]
