"""Compares the AgentCore emulator with a plain Jupyter kernel: starts, no-ops, output, files, memory, and leaks.

The emulator is called with boto3 over HTTP, as by a user's program. The kernel is called with jupyter_client in this
process.
"""

from __future__ import annotations

import json
import os
import statistics
import tempfile
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_client.manager import KernelManager

from local_agentcore.process import client, running_emulator
from sandpiper_contract.aws import MANAGED_INTERPRETER
from tests.benchmarks.measurement import Measurement
from tests.support.account import REGION

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

RUNTIME = Path(__file__).resolve().parents[2] / "local/runtimes/sandbox/.venv"
NO_OP = "pass"
KERNEL_STARTS, NO_OPS, POOL, COLD_STARTS, MANY, CYCLES = 5, 200, 20, 10, 100, 1000
COUNTED = ("processes", "descriptors", "files", "control groups")
OUTPUT_BYTES = 8 * 1024 * 1024
FILE_BYTES = 64 * 1024 * 1024
"""Its base64 is close to the maximum size of a request, 100 MB."""
MEBIBYTE = 1024 * 1024


def measurements() -> list[Measurement]:
    """Measures the kernel, then an emulator with a pool, then one without."""
    start, no_op, kernel_mib = _kernel()
    peer = f"Jupyter kernel: start {start:.2f} s, no-op {no_op * 1e3:.1f} ms, {kernel_mib:.0f} MiB of private memory"
    with _emulator("--pool", str(POOL)) as emulator:
        emulator.wait_for_pool(POOL)
        from_pool = statistics.median(emulator.start_seconds(POOL))
        session = emulator.start()
        no_ops = [_seconds(lambda: emulator.run(session, NO_OP)) for _ in range(NO_OPS)]
        program = f"print('x' * {OUTPUT_BYTES})"
        output, share = min(_seconds_with_own_share(lambda: emulator.run(session, program)) for _ in range(5))
        file = os.urandom(FILE_BYTES)
        written = min(_seconds(lambda: emulator.write(session, file)) for _ in range(3))
    with _emulator("--pool", "0") as emulator:
        cold = statistics.median(emulator.start_seconds(COLD_STARTS))
    with _emulator("--pool", "0") as emulator:
        burst = _seconds(lambda: emulator.burst(MANY))
        memory_mib = emulator.proportional_mib_per_session()
    with _emulator("--pool", "0") as emulator:
        leaks = emulator.measure_leaks(CYCLES)
    in_starts, in_no_ops, no_op_seconds = "kernel starts", "kernel no-ops", statistics.median(no_ops)
    pool = f"{from_pool * 1e3:.1f} ms, median of {POOL} sequentially from a pool of {POOL}. {peer}"
    burst_method = f"for each of {MANY} in parallel, without a pool; the last after {burst:.1f} s"
    memory_method = f"proportional set size, {MANY} live sessions after a no-op each"
    return [
        Measurement("session start, pool", from_pool / start, in_starts, 0.05, pool),
        Measurement(
            "session start, no pool", cold / start, in_starts, 0.5, f"{cold * 1e3:.0f} ms, median of {COLD_STARTS}"
        ),
        Measurement("session starts in parallel", burst / MANY / start, in_starts, None, burst_method),
        Measurement(
            "no-op executeCode",
            no_op_seconds / no_op,
            in_no_ops,
            1.0,
            f"{no_op_seconds * 1e3:.1f} ms, median of {NO_OPS}",
        ),
        Measurement("8 MiB of stdout", output, "s", 0.3, f"best of 5; {share:.2f} s of it are CPU time of botocore"),
        Measurement(
            "a file of 64 MiB written", written, "s", None, "best of 3; close to the maximum of 100 MB for a request"
        ),
        Measurement("memory of a live session", memory_mib, "MiB", 25e6 / MEBIBYTE, memory_method),
        *(
            Measurement(f"leaked by {CYCLES:,} sessions", value, unit, maximum, method)
            for value, unit, maximum, method in leaks
        ),
    ]


class Emulator:
    """A running emulator and its managed interpreter, used by one client."""

    def __init__(self, address: str, process: int, state: Path) -> None:
        self._address = address
        self._data: Any = client("bedrock-agentcore", address, REGION)
        self._process, self._state = process, state
        self._sessions: list[str] = []

    def wait_for_pool(self, size: int) -> None:
        """Waits until the pool contains `size` started sandboxes."""
        while True:
            with urllib.request.urlopen(f"{self._address}/_local/health") as response:  # noqa: S310  loopback
                if json.load(response)["startedAhead"]["SANDBOX"] >= size:
                    return
            time.sleep(0.1)

    def start(self) -> str:
        """Starts a session and returns its id."""
        response = self._data.start_code_interpreter_session(
            codeInterpreterIdentifier=MANAGED_INTERPRETER, sessionTimeoutSeconds=3600
        )
        self._sessions.append(response["sessionId"])
        return self._sessions[-1]

    def run(self, session: str, code: str) -> int:
        """Runs Python in a session and returns the number of printed characters."""
        result = self._invoke(session, "executeCode", language="python", code=code)
        return len(result["structuredContent"]["stdout"])

    def write(self, session: str, data: bytes) -> None:
        """Writes a file in a session."""
        self._invoke(session, "writeFiles", content=[{"path": "file", "blob": data}])

    def stop(self, session: str) -> None:
        """Stops a session."""
        self._data.stop_code_interpreter_session(codeInterpreterIdentifier=MANAGED_INTERPRETER, sessionId=session)
        self._sessions.remove(session)

    def start_seconds(self, count: int) -> list[float]:
        """Starts sessions sequentially. Returns the duration of each start."""
        return [_seconds(self.start) for _ in range(count)]

    def burst(self, count: int) -> None:
        """Starts `count` sessions in parallel."""
        with ThreadPoolExecutor(count) as threads:
            for started in [threads.submit(self.start) for _ in range(count)]:
                started.result()

    def proportional_mib_per_session(self) -> float:
        """Runs a no-op in each session and returns the mean memory of a sandbox in MiB.

        The memory is the proportional set size: a page that 100 processes share counts as 1/100 in each.
        """
        for session in self._sessions:
            self.run(session, NO_OP)
        return sum(map(_proportional_mib, _descendants(self._process))) / len(self._sessions)

    def measure_leaks(self, cycles: int) -> list[tuple[float, str, float | None, str]]:
        """Starts and stops sessions sequentially. Returns the growth of each counted resource."""
        self.cycle(50)  # fills caches first
        before = self._count_resources()
        self.cycle(cycles)
        grown = [after - earlier for after, earlier in zip(self._count_resources(), before, strict=True)]
        *counts, mebibytes = grown
        return [
            *((count, what, 0, "") for count, what in zip(counts, COUNTED, strict=True)),
            (mebibytes, "MiB", 16, "growth of the emulator, which stores its last 10,000 sessions"),
        ]

    def cycle(self, count: int) -> None:
        """Starts a session, runs a no-op and stops the session, `count` times."""
        for _ in range(count):
            session = self.start()
            self.run(session, NO_OP)
            self.stop(session)

    def _invoke(self, session: str, tool: str, **arguments: Any) -> dict[str, Any]:
        response = self._data.invoke_code_interpreter(
            codeInterpreterIdentifier=MANAGED_INTERPRETER, sessionId=session, name=tool, arguments=arguments
        )
        (event,) = response["stream"]  # read completely, to return the connection to the pool
        result: dict[str, Any] = event["result"]
        if result["isError"]:
            raise RuntimeError(str(result["content"])[:1000])
        return result

    def _count_resources(self) -> tuple[float, ...]:
        name = next(self._state.glob("local-agentcore-*")).name
        return (
            len(_descendants(self._process)),
            sum(1 for _ in Path(f"/proc/{self._process}/fd").iterdir()),
            sum(1 for _ in self._state.rglob("*")),
            sum(1 for _ in Path("/sys/fs/cgroup").rglob(f"{name}-*") if _.is_dir()),
            _proportional_mib(self._process),
        )


@contextmanager
def _emulator(*options: str) -> Generator[Emulator]:
    options = ("--calls-per-second", "0", *options)  # without a quota, so that measured calls are not throttled
    with (
        tempfile.TemporaryDirectory() as folder,
        running_emulator(RUNTIME, Path(folder), *options) as running,
    ):
        yield Emulator(running.address, running.process.pid, Path(folder))


def _kernel() -> tuple[float, float, float]:
    """Returns a plain kernel's start time and no-op time in seconds, and its private memory in MiB."""
    starts: list[float] = []
    for _ in range(KERNEL_STARTS):
        with _jupyter_kernel() as (_, _, seconds):
            starts.append(seconds)
    with _jupyter_kernel() as (manager, kernel_client, seconds):
        starts.append(seconds)
        no_op = statistics.median(_seconds(partial(kernel_client.execute_interactive, NO_OP)) for _ in range(NO_OPS))
        return statistics.median(starts), no_op, _private_mib(manager.provisioner.pid)


@contextmanager
def _jupyter_kernel() -> Generator[tuple[Any, Any, float]]:
    manager: Any = KernelManager(transport="ipc")
    started = time.perf_counter()
    manager.start_kernel()
    kernel_client = manager.client()
    kernel_client.start_channels()
    kernel_client.wait_for_ready()
    try:
        yield manager, kernel_client, time.perf_counter() - started
    finally:
        kernel_client.stop_channels()
        manager.shutdown_kernel(now=True)


def _seconds(action: Callable[[], object]) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def _seconds_with_own_share(action: Callable[[], object]) -> tuple[float, float]:
    """Returns the duration of an action, and the CPU time of this process in it."""
    started = time.process_time()
    seconds = _seconds(action)
    return seconds, time.process_time() - started


def _descendants(process: int) -> list[int]:
    children = Path(f"/proc/{process}/task").glob("*/children")
    direct = [int(child) for file in children for child in file.read_text().split()]
    return [one for child in direct for one in (child, *_descendants(child))]


def _proportional_mib(process: int) -> float:
    return _rollup_kib(process, "Pss:") / 1024


def _private_mib(process: int) -> float:
    return (_rollup_kib(process, "Private_Clean:") + _rollup_kib(process, "Private_Dirty:")) / 1024


def _rollup_kib(process: int, name: str) -> int:
    lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))
