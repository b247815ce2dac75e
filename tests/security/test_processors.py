"""Limits of processors, memory and disk. Processors are bounded if the user may create control groups."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support.languages import PYTHON
from tests.support.sandbox_host import User, each_user, running_host

if TYPE_CHECKING:
    from local_agentcore.process import EmulatorProcess

BUSY_PROCESSES = """
for _ in range(3):
    if not os.fork():
        end = time.process_time() + 0.1
        while time.process_time() < end: pass
        os._exit(0)
for _ in range(3): os.wait()"""
"""Three parallel processes. Each uses more processor time than all of them together may use in 100 ms."""


def processors(emulator: EmulatorProcess) -> tuple[str, float]:
    """Returns a description of how processors are bounded, and the number of processors of a session."""
    with urllib.request.urlopen(f"{emulator.address}/_local/health") as response:  # noqa: S310  loopback
        limits: dict[str, Any] = json.load(response)["limits"]
    return limits["processors"], limits["cpus"]


def throttled(emulator: int) -> int:
    """Returns how often the kernel has throttled the sandboxes of an emulator."""
    mark = f"local-agentcore-{emulator}-"
    root = Path("/sys/fs/cgroup")
    files = [file for file in root.rglob("cpu.stat") if mark in str(file)]
    return sum(int(line.split()[1]) for file in files for line in file.read_text().splitlines()
               if line.startswith("nr_throttled "))  # fmt: skip


@each_user  # an ordinary user may not be allowed to create control groups
def test_control_group_throttles_a_session(user: User, agentcore_runtime: Path) -> None:
    with running_host(user, agentcore_runtime, "--cpus", "0.2", "--pool", "0") as host:
        description, count = processors(host.emulator)
        assert count == 0.2
        attacker = host.new_attacker()
        before = throttled(host.process)
        assert PYTHON.run(attacker, BUSY_PROCESSES)["exitCode"] == 0
        assert ("not limited" in description) != (throttled(host.process) > before)


def test_default_limits_are_those_of_the_service(user: User, agentcore_runtime: Path) -> None:
    with running_host(user, agentcore_runtime) as host:
        with urllib.request.urlopen(f"{host.emulator.address}/_local/health") as response:  # noqa: S310  loopback
            limits = json.load(response)["limits"]
        assert (limits["cpus"], limits["memoryMiB"], limits["diskMiB"]) == (2, 8192, 10240)
        attacker = host.new_attacker()
        free = "import shutil; print(shutil.disk_usage('.').total >> 20, shutil.disk_usage('/tmp').total >> 20)"
        assert attacker.python(free)["stdout"] == f"{limits['diskInMemoryMiB']} {limits['temporaryMiB']}"


@each_user  # a control group counts files in memory, a watchdog does not
def test_full_disk_ends_no_process(user: User, agentcore_runtime: Path) -> None:
    with running_host(user, agentcore_runtime, "--memory-mib", "256") as host:
        attacker = host.new_attacker()
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
