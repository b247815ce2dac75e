"""The emulator of AgentCore beside a bare Jupyter kernel: starts, no-ops, output, files, memory, what starts leave.

Everything goes through boto3 and HTTP, as a user's program does; the kernel is asked by jupyter_client in this process.
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
"""In base64 near the 100 MB that a request may have."""
MEBIBYTE = 1024 * 1024


def measurements() -> list[Measurement]:
    """Measures the kernel, then an emulator with a pool, then one without."""
    start, no_op, kernel_mib = _kernel()
    peer = f"Jupyter kernel: start {start:.2f} s, no-op {no_op * 1e3:.1f} ms, {kernel_mib:.0f} MiB of its own"
    with _emulator("--pool", str(POOL)) as emulator:
        emulator.wait_for_pool(POOL)
        from_pool = statistics.median(emulator.start_seconds(POOL))
        session = emulator.start()
        no_ops = [_seconds(lambda: emulator.run(session, NO_OP)) for _ in range(NO_OPS)]
        output = min(_seconds(lambda: emulator.run(session, f"print('x' * {OUTPUT_BYTES})")) for _ in range(5))
        file = os.urandom(FILE_BYTES)
        written = min(_seconds(lambda: emulator.write(session, file)) for _ in range(3))
    with _emulator("--pool", "0") as emulator:
        cold = statistics.median(emulator.start_seconds(COLD_STARTS))
    with _emulator("--pool", "0") as emulator:
        burst = _seconds(lambda: emulator.burst(MANY))
        resting = emulator.private_mib_a_session()
    with _emulator("--pool", "0") as emulator:
        left = emulator.leavings_of(CYCLES)
    in_starts, in_no_ops, no_op_now = "kernel starts", "kernel no-ops", statistics.median(no_ops)
    pool = f"{from_pool * 1e3:.1f} ms, median of {POOL} one after another from a pool of {POOL}. {peer}"
    all_at_once = f"for each of {MANY}, without a pool; the last after {burst:.1f} s"
    resting_how = f"proportional size, {MANY} live, each has run a no-op"
    return [
        Measurement("session start, pool", from_pool / start, in_starts, 0.05, pool),
        Measurement(
            "session start, no pool", cold / start, in_starts, 0.5, f"{cold * 1e3:.0f} ms, median of {COLD_STARTS}"
        ),
        Measurement("session starts, a burst", burst / MANY / start, in_starts, None, all_at_once),
        Measurement(
            "no-op executeCode", no_op_now / no_op, in_no_ops, 1.0, f"{no_op_now * 1e3:.1f} ms, median of {NO_OPS}"
        ),
        Measurement("8 MiB of stdout", output, "s", 0.3, "best of 5"),
        Measurement(
            "a file of 64 MiB written", written, "s", None, "best of 3; nearly the 100 MB that a request may have"
        ),
        Measurement("a live session's memory", resting, "MiB", 25e6 / MEBIBYTE, resting_how),
        *(Measurement(f"left by {CYCLES:,} sessions", value, unit, most, how) for value, unit, most, how in left),
    ]


class Emulator:
    """A running emulator and its managed interpreter, as one client sees it."""

    def __init__(self, address: str, process: int, state: Path) -> None:
        self._address = address
        self._data: Any = client("bedrock-agentcore", address, REGION)
        self._process, self._state = process, state
        self._sessions: list[str] = []

    def wait_for_pool(self, size: int) -> None:
        """Waits until as many sandboxes as `size` are started ahead."""
        while True:
            with urllib.request.urlopen(f"{self._address}/_local/health") as answer:  # noqa: S310  loopback
                if json.load(answer)["startedAhead"]["SANDBOX"] >= size:
                    return
            time.sleep(0.1)

    def start(self) -> str:
        """Starts a session and returns its id."""
        answer = self._data.start_code_interpreter_session(
            codeInterpreterIdentifier=MANAGED_INTERPRETER, sessionTimeoutSeconds=3600
        )
        self._sessions.append(answer["sessionId"])
        return self._sessions[-1]

    def run(self, session: str, code: str) -> int:
        """Runs Python in a session and returns how much it printed."""
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
        """Starts sessions one after another. Returns how long each took."""
        return [_seconds(self.start) for _ in range(count)]

    def burst(self, count: int) -> None:
        """Starts as many sessions as `count`, all at once."""
        with ThreadPoolExecutor(count) as threads:
            for started in [threads.submit(self.start) for _ in range(count)]:
                started.result()

    def private_mib_a_session(self) -> float:
        """Memory of all sandboxes by proportional size, in which a page of a hundred counts a hundredth in each.

        Each session has run a no-op before.
        """
        for session in self._sessions:
            self.run(session, NO_OP)
        return sum(map(_proportional_mib, _descendants(self._process))) / len(self._sessions)

    def leavings_of(self, cycles: int) -> list[tuple[float, str, float | None, str]]:
        """Starts and stops sessions, one after another. Returns what there is more of afterwards."""
        self.cycle(50)  # caches fill, once
        before = self._inventory()
        self.cycle(cycles)
        grown = [after - earlier for after, earlier in zip(self._inventory(), before, strict=True)]
        *counts, mebibytes = grown
        return [
            *((count, what, 0, "") for count, what in zip(counts, COUNTED, strict=True)),
            (mebibytes, "MiB", 16, "growth of the emulator; it remembers its last 10,000 sessions"),
        ]

    def cycle(self, count: int) -> None:
        """Starts a session, runs a no-op, stops it; again and again."""
        for _ in range(count):
            session = self.start()
            self.run(session, NO_OP)
            self.stop(session)

    def _invoke(self, session: str, tool: str, **arguments: Any) -> dict[str, Any]:
        answer = self._data.invoke_code_interpreter(
            codeInterpreterIdentifier=MANAGED_INTERPRETER, sessionId=session, name=tool, arguments=arguments
        )
        (event,) = answer["stream"]  # read to its end, which gives the connection back
        result: dict[str, Any] = event["result"]
        if result["isError"]:
            raise RuntimeError(str(result["content"])[:1000])
        return result

    def _inventory(self) -> tuple[float, ...]:
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
    options = ("--calls-per-second", "0", *options)  # what is measured would be throttled
    with (
        tempfile.TemporaryDirectory() as folder,
        running_emulator(RUNTIME, Path(folder), *options) as running,
    ):
        yield Emulator(running.address, running.process.pid, Path(folder))


def _kernel() -> tuple[float, float, float]:
    """A bare kernel's seconds to its first answer, seconds for a no-op, and MiB of its own (private pages)."""
    starts: list[float] = []
    for _ in range(KERNEL_STARTS):
        with _jupyter_kernel() as (_, _, seconds):
            starts.append(seconds)
    with _jupyter_kernel() as (manager, talk, seconds):
        starts.append(seconds)
        no_op = statistics.median(_seconds(partial(talk.execute_interactive, NO_OP)) for _ in range(NO_OPS))
        return statistics.median(starts), no_op, _private_mib(manager.provisioner.pid)


@contextmanager
def _jupyter_kernel() -> Generator[tuple[Any, Any, float]]:
    manager: Any = KernelManager(transport="ipc")
    begun = time.perf_counter()
    manager.start_kernel()
    talk = manager.client()
    talk.start_channels()
    talk.wait_for_ready()
    try:
        yield manager, talk, time.perf_counter() - begun
    finally:
        talk.stop_channels()
        manager.shutdown_kernel(now=True)


def _seconds(action: Callable[[], object]) -> float:
    begun = time.perf_counter()
    action()
    return time.perf_counter() - begun


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
