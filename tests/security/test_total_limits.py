"""All sessions together have limits: the session that uses most is ended, and the others and the host go on."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pytest
import urllib3
from botocore.exceptions import ClientError

from local_agentcore.sandbox.limits import GIBIBYTE, MEBIBYTE
from local_agentcore.sandbox.totals import Totals
from tests.support.processes import wait_until
from tests.support.sandbox_host import each_user, running_host

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    from tests.support.sandbox_host import Host, User

TOTALS = {"memoryMiB": 600, "diskMiB": 200, "processes": 300, "openFiles": 12_000, "terminals": 250}
OPTIONS = (
    *("--memory-mib", "512", "--pool", "0", "--calls-per-second", "0", "--total-memory-mib", "600"),
    *("--total-disk-mib", "200", "--total-processes", "300"),
    *("--total-open-files", "12000", "--total-terminals", "250"),
)


@pytest.fixture(scope="module")
def limited_host_of(agentcore_runtime: Path) -> Generator[Callable[[User], Host]]:
    """Returns a user's emulator with small total limits. Starts it at the first request."""
    hosts: dict[User, Host] = {}
    with contextlib.ExitStack() as running:

        def start(user: User) -> Host:
            if user not in hosts:
                hosts[user] = running.enter_context(running_host(user, agentcore_runtime, *OPTIONS))
            return hosts[user]

        yield start


@pytest.fixture
def host(limited_host_of: Callable[[User], Host], user: User) -> Host:
    """The user's emulator with small total limits. Replaces the fixture of the same name for this module."""
    return limited_host_of(user)


def totals(host: Host) -> dict[str, dict[str, int]]:
    report: dict[str, Any] = urllib3.request("GET", f"{host.emulator.address}/_local/health").json()
    return report["totals"]


WAIT = "\ntime.sleep(120)"
"""Ends a greedy program, which returns only if its session is not ended."""
MEMORY = """
blocks = []
for _ in range(AMOUNT // 4):
    blocks.append(bytearray(b'x') * (4 << 20))
    time.sleep(0.05)
"""
PROGRAMS = {
    "memoryMiB": ("600 MiB of memory", MEMORY, 150, 480),
    "diskMiB": (
        "200 MiB of disk",
        """
with open('large', 'wb', buffering=0) as file:
    for _ in range(AMOUNT):
        file.write(b'x' * (1 << 20))
        time.sleep(0.005)""",
        50,
        190,
    ),
    "processes": (
        "300 processes",
        """
children = []
for _ in range(AMOUNT):
    try:
        child = os.fork()
    except OSError:
        break
    if not child:
        time.sleep(3600)
        os._exit(0)
    children.append(child)""",
        60,
        240,
    ),
    "openFiles": (
        "12000 open files",
        """
for _ in range(AMOUNT):
    reading, writing = os.pipe()
    if not os.fork():
        kept = [os.open('/dev/null', os.O_RDONLY) for _ in range(900)]
        os.write(writing, b'x')
        time.sleep(3600)
        os._exit(0)
    os.close(writing)
    os.read(reading, 1)""",
        2,
        15,
    ),
    "terminals": (
        "250 terminals",
        """
kept = [os.open('/dev/ptmx', os.O_RDWR) for _ in range(AMOUNT)]""",
        20,
        240,
    ),
}
"""The limit in the message, a program, and amounts that a modest and a greedy session use, by resource."""


@each_user
@pytest.mark.parametrize("resource", PROGRAMS)
def test_session_that_uses_most_is_ended(resource: str, new_attacker: Callable[[], Any]) -> None:
    limit, program, modest, greedy = PROGRAMS[resource]
    bystander, attacker = new_attacker(), new_attacker()
    imports = "import os, time\n"
    assert bystander.python(f"{imports}kept_value = 1\n{program.replace('AMOUNT', str(modest))}")["exitCode"] == 0
    with pytest.raises(ClientError, match="InternalServerException") as failed:
        attacker.python(imports + program.replace("AMOUNT", str(greedy)) + WAIT)
    reason = f"all sessions together reached the limit of {limit}, and this session used most: "
    assert reason in str(failed.value)
    with pytest.raises(ClientError, match="is not active"):
        attacker.python("1")
    assert bystander.python("print(kept_value)")["stdout"] == "1"
    bystander.stop()
    assert new_attacker().is_responsive()


@each_user
def test_start_is_refused_at_the_limit_and_succeeds_below_it(host: Host, new_attacker: Callable[[], Any]) -> None:
    one, other = new_attacker(), new_attacker()
    amount = (540 - totals(host)["memoryMiB"]["used"]) // 2  # a third sandbox would exceed the limit
    for attacker in (one, other):
        assert attacker.python(f"block = bytearray(b'x') * ({amount} << 20)")["exitCode"] == 0
    with pytest.raises(ClientError, match="InternalServerException") as refused:
        new_attacker()
    message = str(refused.value)
    assert "No session can be started: all sessions together use" in message
    assert "of 600 MiB of memory. Remedy: Stop sessions, or raise --total-memory-mib" in message
    assert one.is_responsive()
    assert other.is_responsive()
    other.stop()
    wait_until(lambda: totals(host)["memoryMiB"]["used"] < 350)
    assert new_attacker().is_responsive()


@each_user
def test_health_report_shows_the_limits_and_their_use(host: Host, new_attacker: Callable[[], Any]) -> None:
    attacker = new_attacker()
    before = totals(host)
    assert {name: each["limit"] for name, each in before.items()} == TOTALS
    attacker.python("block = bytearray(b'x') * (64 << 20)\nwith open('f', 'wb') as file: file.write(bytes(32 << 20))")
    after = totals(host)
    assert 64 <= after["memoryMiB"]["used"] - before["memoryMiB"]["used"] < 200
    assert 32 <= after["diskMiB"]["used"] - before["diskMiB"]["used"] < 40
    assert 2 < after["processes"]["used"] < 60
    assert after["openFiles"]["used"] > 10
    attacker.stop()


MACHINE = {
    "proc/meminfo": "MemTotal:       25165824 kB\nMemFree: 1 kB\n",
    "proc/self/cgroup": "4:memory:/a/b\n3:pids:/a\n0::/c/d\n",
    "proc/sys/kernel/threads-max": "190000\n",
    "proc/sys/kernel/pid_max": "100000\n",
    "proc/sys/kernel/pty/max": "4096\n",
    "proc/sys/kernel/pty/reserve": "1024\n",
    "proc/sys/fs/file-max": "9223372036854775807\n",
}


def machine(root: Path, **files: str) -> Totals:
    """Returns the totals of a machine with the given kernel files in addition to those of `MACHINE`."""
    for name, text in {**MACHINE, **files}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return Totals.of_host(root)


def test_totals_leave_a_reserve_for_the_host(tmp_path: Path) -> None:
    found = machine(tmp_path)
    assert found.memory_bytes == found.disk_bytes == 21 * GIBIBYTE
    assert found.processes <= 75_000
    assert found.open_files == 24 * GIBIBYTE // 10_240 * 3 // 4 + 1
    assert found.terminals == 3072


def test_small_host_keeps_half_of_its_memory(tmp_path: Path) -> None:
    assert machine(tmp_path, **{"proc/meminfo": "MemTotal: 1048576 kB\n"}).memory_bytes == 512 * MEBIBYTE


@pytest.mark.parametrize(
    "file",
    [
        "sys/fs/cgroup/memory/a/memory.limit_in_bytes",  # version 1, above the group of this process
        "sys/fs/cgroup/c/d/memory.max",  # version 2
    ],
)
def test_limit_of_the_own_control_group_counts_as_the_memory_of_the_host(tmp_path: Path, file: str) -> None:
    assert machine(tmp_path, **{file: f"{8 * GIBIBYTE}\n"}).memory_bytes == 7 * GIBIBYTE
    assert machine(tmp_path, **{file: "max\n"}).memory_bytes == 21 * GIBIBYTE


def test_limit_of_processes_of_the_own_control_group_counts(tmp_path: Path) -> None:
    assert machine(tmp_path, **{"sys/fs/cgroup/pids/a/pids.max": "400\n"}).processes == 300
