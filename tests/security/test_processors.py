"""A session has so many processors and no more, where this user may make control groups; and it is said where not."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.security.conftest import User, hosting
from tests.security.speakers import SPEAKERS

if TYPE_CHECKING:
    from local_agentcore.process import EmulatorProcess

BUSY = {
    "python": """
for _ in range(3):
    if not os.fork():
        end = time.process_time() + 0.1
        while time.process_time() < end: pass
        os._exit(0)
for _ in range(3): os.wait()""",
    "shell": "for n in 1 2 3; do (for ((i = 0; i < 40000; i++)); do :; done) & done; wait",
    "deno": """
const busy = { args: ["eval", "let sum = 0; for (let i = 0; i < 2e7; i++) sum += i % 7;"] };
await Promise.all([1, 2, 3].map(() => new Deno.Command(Deno.execPath(), busy).output()));""",
}
"""Three processes at once, each busy for longer than all of them may be in a tenth of a second."""


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
    with hosting(user, agentcore_runtime, "--cpus", "0.2", "--pool", "0") as host:
        words, count = processors(host.emulator)
        assert count == 0.2
        for speaker in SPEAKERS.values():
            attacker = host.attacker()
            before = throttled(host.process)
            assert speaker.said(attacker, BUSY[speaker.name])["exitCode"] == 0
            assert ("not bounded" in words) != (throttled(host.process) > before), speaker.name


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
