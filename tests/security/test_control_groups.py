"""Control groups of version 2, on a real hierarchy where the machine has one.

On a machine with both versions, memory, processors and processes are usually limited by version 1. A controller that is
left to version 2, such as hugetlb, then takes the place of these in the tests.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import uuid
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from local_agentcore.sandbox import cgroups
from local_agentcore.sandbox.cgroups import Controller, SandboxCgroups, create_control_groups
from local_agentcore.sandbox.limits import Limits
from local_agentcore.sandbox.totals import Totals

if TYPE_CHECKING:
    from collections.abc import Generator

LIMIT_FILES = {"memory": "memory.max", "pids": "pids.max", "hugetlb": "hugetlb.2MB.max"}
LIMIT, TOTAL_LIMIT = 2 * 1024 * 1024, 4 * 1024 * 1024
PARENT_WITH_CHILD = ["/bin/sh", "-c", "sleep 600 & echo $!; wait"]


def hierarchy() -> Path | None:
    """Returns where version 2 is mounted, if it has one of the controllers and this user may create groups."""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        path = Path(line.split()[1])
        if line.split()[2] == "cgroup2" and os.access(path / "cgroup.procs", os.W_OK) and available(path):
            return path
    return None


def available(group: Path) -> list[str]:
    """Returns the controllers in LIMIT_FILES that child groups of a group may use, or that can be enabled for them."""
    offered = (group / "cgroup.controllers").read_text().split()
    return [name for name in LIMIT_FILES if name in offered]


def set_enabled(group: Path, controller: str, *, enabled: bool) -> None:
    (group / cgroups.SUBTREE_FILE).write_text(f"{'+' if enabled else '-'}{controller}")


class Hierarchy:
    """A branch of a real hierarchy: a group without processes, below which a group has the process of the emulator.

    Attributes:
        branch: The group without processes. Its child groups have the controller.
        own: The group of the emulator.
        controller: The name of the controller.
    """

    def __init__(self, root: Path, clean_up: ExitStack) -> None:
        self.controller = available(root)[0]
        if self.controller not in (root / cgroups.SUBTREE_FILE).read_text().split():
            set_enabled(root, self.controller, enabled=True)
            clean_up.callback(set_enabled, root, self.controller, enabled=False)
        self.branch = root / f"sandpiper-test-{uuid.uuid4().hex}"
        self.own = self.branch / "own"
        for group in (self.branch, self.own):
            group.mkdir()
            clean_up.callback(group.rmdir)
        set_enabled(self.branch, self.controller, enabled=True)
        process = clean_up.enter_context(subprocess.Popen(["sleep", "600"]))
        clean_up.callback(process.kill)
        (self.own / cgroups.PROCS_FILE).write_text(str(process.pid))
        self._root = root

    def own_path(self, _: Controller) -> str:
        """Returns the path of the emulator's group as /proc/PID/cgroup shows it."""
        return str(self.own.relative_to(self._root))


@pytest.fixture
def version_2(monkeypatch: pytest.MonkeyPatch) -> Generator[Hierarchy]:
    root = hierarchy()
    if root is None:
        pytest.skip("this machine has no hierarchy of version 2 with a controller, or the user may not change it")
    with ExitStack() as clean_up:
        found = Hierarchy(root, clean_up)
        file = LIMIT_FILES[found.controller]
        controller = Controller(
            found.controller, 2, lambda _: {file: str(LIMIT)}, total_files=lambda _: {file: str(TOTAL_LIMIT)}
        )
        monkeypatch.setattr(cgroups, "ROOT", root)
        monkeypatch.setattr(cgroups, "CONTROLLERS", (controller,))
        monkeypatch.setattr(cgroups, "_own_group", found.own_path)
        yield found


def test_groups_are_created_where_no_process_prevents_it_and_removed(version_2: Hierarchy) -> None:
    """A group with processes cannot have limited child groups, so the emulator's group is not below its own."""
    groups = create_control_groups("emulator", Limits(), Totals.of_host(), [version_2.controller])
    assert [parent.path for parent in groups.parents] == [version_2.branch / "emulator"]
    assert groups.version_of(version_2.controller) == 2
    assert (version_2.branch / "emulator" / LIMIT_FILES[version_2.controller]).read_text() == f"{TOTAL_LIMIT}\n"
    sandbox = groups.create(1, Limits())
    (group,) = sandbox.paths
    assert (group / LIMIT_FILES[version_2.controller]).read_text() == f"{LIMIT}\n"
    with subprocess.Popen(PARENT_WITH_CHILD, stdout=subprocess.PIPE, preexec_fn=lambda: join(sandbox)) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        assert {process.pid, child} <= set(map(int, (group / cgroups.PROCS_FILE).read_text().split()))
        assert (group / cgroups.KILL_FILE).exists()
        asyncio.run(sandbox.remove())  # kills the processes first
        assert process.wait() == -signal.SIGKILL
    assert has_ended(child)
    assert not group.exists()
    groups.remove()
    assert not (version_2.branch / "emulator").exists()


def has_ended(pid: int) -> bool:
    """Returns whether a process has ended. Its new parent may not have collected it yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def join(sandbox: SandboxCgroups) -> None:
    """Moves this process, as the launcher does."""
    for file in sandbox.procs_files:
        file.write_text(str(os.getpid()))


VERSION_1 = {
    "memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n",
    "memory.usage_in_bytes": "1000\n",
    "memory.stat": "active_file 1\ninactive_file 2\ntotal_active_file 10\ntotal_inactive_file 20\n",
    "pids.current": "4\n",
}
VERSION_2 = {
    "memory.events": "low 0\nhigh 0\nmax 7\noom 5\noom_kill 3\noom_group_kill 1\n",
    "memory.current": "1000\n",
    "memory.stat": "anon 500\nfile 30\nactive_file 10\ninactive_file 20\n",
    "pids.current": "4\n",
}
"""The formats of https://docs.kernel.org/admin-guide/cgroup-v2.html."""


@pytest.mark.parametrize("files", [VERSION_1, VERSION_2], ids=["version 1", "version 2"])
def test_use_is_read_in_the_format_of_each_version(tmp_path: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    group = SandboxCgroups((tmp_path,))
    assert (group.oom_kills(), group.processes()) == (3, 4)
    assert (group.memory_bytes(with_cache=True), group.memory_bytes(with_cache=False)) == (1000, 970)


def test_limits_of_both_versions_are_equal() -> None:
    """The kernel of a test machine may have only one of them."""
    limits = Limits(processors=1.5)
    values = {
        (controller.name, controller.version): controller.files(limits) | controller.optional_files(limits)
        for controller in cgroups.CONTROLLERS
    }
    assert values["memory", 2] == {"memory.max": str(limits.memory_bytes), "memory.swap.max": "0"}
    assert values["memory", 1] == {
        **dict.fromkeys(("memory.limit_in_bytes", "memory.memsw.limit_in_bytes"), str(limits.memory_bytes)),
        "memory.kmem.tcp.limit_in_bytes": str(limits.memory_bytes // 16),  # version 2 counts TCP as memory
    }
    assert values["cpu", 2] == {"cpu.max": "150000 100000"}
    assert values["cpu", 1] == {"cpu.cfs_period_us": "100000", "cpu.cfs_quota_us": "150000"}
    assert values["pids", 1] == values["pids", 2] == {"pids.max": str(limits.processes + cgroups.HOST_PROCESSES)}
