"""Measures the embedded AWS: start time, memory, and the duration of a trivial `sandpiper run`."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from local_aws import control, environment
from local_aws.settings import StateDirectory
from sandpiper.cdk_cli import cdk
from tests.benchmarks.measurement import Measurement
from tests.support.project import PROJECT

RUNS = 7


def measurements() -> list[Measurement]:
    """Starts a separate embedded AWS, deploys to it, runs programs and stops it."""
    with tempfile.TemporaryDirectory() as folder:
        state = StateDirectory(Path(folder, "state"))
        started = time.perf_counter()
        running, _ = control.start(state)
        ready = time.perf_counter() - started
        try:
            memory = _resident_mib(running.pid)
            environment.apply(running)
            cdk(["bootstrap", f"aws://{running.account}/{running.region}"], PROJECT, _quiet)
            cdk(["deploy", "--all", "--require-approval", "never", "--output", f"{folder}/cdk.out"], PROJECT, _quiet)
            first, *others = [_run_seconds(folder) for _ in range(RUNS + 1)]
        finally:
            control.stop(state)
    return [
        Measurement("embedded AWS ready", ready, "s", 3, "from `start` until it is ready"),
        Measurement(
            "embedded AWS memory", memory, "MiB", 300 * 1e6 / 2**20, "proportional set size of all its processes"
        ),
        Measurement("first `sandpiper run`", first, "s", None, "with the Lambda worker's cold start"),
        Measurement(
            "trivial `sandpiper run`", statistics.median(others), "s", 1, f"the entire command, median of {RUNS}"
        ),
    ]


def _run_seconds(folder: str) -> float:
    started = time.perf_counter()
    command = [Path(sys.executable).parent / "sandpiper", "run", "-", "--out", folder]
    subprocess.run(command, input=b"print(1)", check=True)
    return time.perf_counter() - started


def _resident_mib(pid: int) -> float:
    """Returns the memory of a process and its descendants in MiB. Shared pages count once (proc(5), smaps_rollup)."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    own = next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return own + sum(_resident_mib(int(child)) for child in children)


def _quiet(_: str) -> None:
    """Discards a line of the CDK CLI."""
