"""A session has so many processors and no more, where this user may make control groups; and it is said where not."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.security.conftest import Attacker, User, hosting

if TYPE_CHECKING:
    from local_agentcore.process import EmulatorProcess

BUSY = """import os, time
for _ in range(3):
    if not os.fork():
        end = time.process_time() + 0.3
        while time.process_time() < end: pass
        os._exit(0)
for _ in range(3): os.wait()
"""


def processors(emulator: EmulatorProcess) -> tuple[str, float]:
    """Returns how processors are bounded, in words, and how many a session has."""
    with urllib.request.urlopen(f"{emulator.address}/_local/health") as answer:  # noqa: S310  loopback
        limits: dict[str, Any] = json.load(answer)["limits"]
    return limits["processors"], limits["cpus"]


def throttled(emulator: int) -> int:
    """Returns how often the kernel has held sandboxes of an emulator back."""
    mark = f"local-agentcore-{emulator}-"
    root = Path("/sys/fs/cgroup")
    files = [file for file in root.rglob("cpu.stat") if mark in str(file)]
    return sum(int(line.split()[1]) for file in files for line in file.read_text().splitlines()
               if line.startswith("nr_throttled "))  # fmt: skip


def test_a_session_has_so_many_processors(user: User, agentcore_runtime: Path) -> None:
    with hosting(user, agentcore_runtime, "--cpus", "0.2") as host:
        words, count = processors(host.emulator)
        assert count == 0.2
        attacker: Attacker = host.attacker()
        before = throttled(host.process)
        assert attacker.python(BUSY)["exitCode"] == 0
        assert ("not bounded" in words) != (throttled(host.process) > before)


def test_by_default_it_is_what_the_service_gives(user: User, agentcore_runtime: Path) -> None:
    with hosting(user, agentcore_runtime) as host:
        with urllib.request.urlopen(f"{host.emulator.address}/_local/health") as answer:  # noqa: S310  loopback
            limits = json.load(answer)["limits"]
        assert (limits["cpus"], limits["memoryMiB"], limits["diskMiB"]) == (2, 8192, 10240)
        attacker = host.attacker()
        free = "import shutil; print(shutil.disk_usage('.').total >> 20, shutil.disk_usage('/tmp').total >> 20)"
        assert attacker.python(free)["stdout"] == f"{limits['diskInMemoryMiB']} {limits['temporaryMiB']}"


def test_a_file_that_fills_the_disk_ends_no_process(user: User, agentcore_runtime: Path) -> None:
    with hosting(user, agentcore_runtime, "--memory-mib", "256") as host:
        attacker = host.attacker()
        attacker.python("kept = 1")
        fill = """
for path in ('big', '/tmp/big', '/dev/shm/big'):
    try:
        with open(path, 'wb') as file:
            while True: file.write(bytes(1 << 20))
    except OSError as error:
        print(error.strerror)
"""
        assert attacker.python(fill)["stdout"].splitlines() == ["No space left on device"] * 3
        assert attacker.python("print(kept)")["stdout"] == "1"
