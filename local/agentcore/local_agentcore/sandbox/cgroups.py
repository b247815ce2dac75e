"""Control groups, by which the kernel limits memory, processors and processes, if this user may create them.

An emulator has one group with the limits of all its sandboxes together. Each sandbox has a group in it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .ownership import OwnedDirectory

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .limits import Limits
    from .totals import Totals

ROOT = Path("/sys/fs/cgroup")
PROCS_FILE, KILL_FILE, SUBTREE_FILE = "cgroup.procs", "cgroup.kill", "cgroup.subtree_control"
PERIOD_MICROSECONDS = 100_000
MAX_REMOVAL_ATTEMPTS = 200

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Controller:
    """A resource that a control group can limit, in one version of the kernel's interface.

    Attributes:
        name: Name of the controller.
        version: Version of the interface, 1 or 2.
        files: Returns the limits of a sandbox to write, by file name.
        optional_files: Returns limits to write to files that only some kernels have.
        total_files: Returns the limits of all sandboxes together, by file name. Those that do not exist are omitted.
    """

    name: str
    version: int
    files: Callable[[Limits], dict[str, str]]
    optional_files: Callable[[Limits], dict[str, str]] = lambda _: {}
    total_files: Callable[[Totals], dict[str, str]] = lambda _: {}


def _quota(limits: Limits) -> int:
    return round(limits.processors * PERIOD_MICROSECONDS)


def _process_limit(limits: Limits) -> dict[str, str]:
    return {"pids.max": str(limits.processes + HOST_PROCESSES)}


def _total_processes(totals: Totals) -> dict[str, str]:
    return {"pids.max": str(totals.processes)}


def _tcp_limit(limits: Limits) -> dict[str, str]:
    return {TCP_FILE: str(limits.memory_bytes // TCP_DIVISOR)}


def _total_tcp() -> dict[str, str]:
    """Returns the limit of TCP buffers of all sandboxes: half of what the machine uses without pressure, in pages."""
    pages = int(TCP_PAGES.read_text().split()[0])
    return {TCP_FILE: str(pages * os.sysconf("SC_PAGE_SIZE") // 2)}


TCP_FILE, TCP_PAGES, TCP_DIVISOR = "memory.kmem.tcp.limit_in_bytes", Path("/proc/sys/net/ipv4/tcp_mem"), 16
"""Version 1 does not count the buffers of TCP connections as memory. All processes of the machine share TCP_PAGES."""
MEMORY, PROCESSORS, PROCESSES = "memory", "cpu", "pids"
RESOURCES = (MEMORY, PROCESSORS, PROCESSES)
HOST_PROCESSES = 16
"""Processes and threads of a sandbox that its limit of processes does not count: bubblewrap and slirp4netns."""
CONTROLLERS = (
    Controller(MEMORY, 1, lambda limits: {"memory.limit_in_bytes": str(limits.memory_bytes)},
               lambda limits: {"memory.memsw.limit_in_bytes": str(limits.memory_bytes),  # memory and swap together
                               **_tcp_limit(limits)},
               lambda totals: {"memory.use_hierarchy": "1", "memory.limit_in_bytes": str(totals.memory_bytes),
                               "memory.memsw.limit_in_bytes": str(totals.memory_bytes), **_total_tcp()}),
    Controller(MEMORY, 2, lambda limits: {"memory.max": str(limits.memory_bytes)},
               lambda _: {"memory.swap.max": "0"},
               lambda totals: {"memory.max": str(totals.memory_bytes), "memory.swap.max": "0"}),
    Controller(PROCESSORS, 1, lambda limits: {
        "cpu.cfs_period_us": str(PERIOD_MICROSECONDS), "cpu.cfs_quota_us": str(_quota(limits))
    }),
    Controller(PROCESSORS, 2, lambda limits: {"cpu.max": f"{_quota(limits)} {PERIOD_MICROSECONDS}"}),
    Controller(PROCESSES, 1, _process_limit, total_files=_total_processes),
    Controller(PROCESSES, 2, _process_limit, total_files=_total_processes),
)  # fmt: skip
OOM_EVENT_FILES = ("memory.oom_control", "memory.events")
USAGE_FILES = ("memory.usage_in_bytes", "memory.current")
FILE_CACHE_FIELDS = ("total_active_file", "total_inactive_file", "active_file", "inactive_file")
"""Fields of memory.stat: of version 1 for a group with its children, and of version 2."""


@dataclass(frozen=True)
class CgroupParent:
    """The group of the emulator in one hierarchy, with its controllers."""

    version: int
    directory: OwnedDirectory
    controllers: tuple[Controller, ...]

    @property
    def path(self) -> Path:
        """The path of the group."""
        return self.directory.path


@dataclass(frozen=True)
class SandboxCgroups:
    """The control groups of one sandbox: one in version 2, one for each controller in version 1."""

    paths: tuple[Path, ...]

    @property
    def procs_files(self) -> list[Path]:
        """Files to which a process id is written to move the process, and all that it starts, into the groups."""
        return [path / PROCS_FILE for path in self.paths]

    def oom_kills(self) -> int:
        """Returns the number of processes that the kernel has killed because of a memory limit or a full machine."""
        for path in self.paths:
            for name in OOM_EVENT_FILES:
                with suppress(OSError):
                    for line in (path / name).read_text().splitlines():
                        if line.startswith("oom_kill "):
                            return int(line.split()[1])
        return 0

    def processes(self) -> int:
        """Returns the number of processes and threads."""
        for path in self.paths:
            with suppress(OSError):
                return int((path / "pids.current").read_text())
        return 0

    def memory_bytes(self, *, with_cache: bool) -> int:
        """Returns the memory of the sandbox with its files, in bytes.

        Args:
            with_cache: Whether to include the cache of the host's files, which the kernel frees when it needs memory.
        """
        for path in self.paths:
            for name in USAGE_FILES:
                with suppress(OSError):
                    used = int((path / name).read_text())
                    if with_cache:
                        return used
                    fields = dict(line.split() for line in (path / "memory.stat").read_text().splitlines())
                    is_version_1 = FILE_CACHE_FIELDS[0] in fields
                    cache = FILE_CACHE_FIELDS[:2] if is_version_1 else FILE_CACHE_FIELDS[2:]
                    return max(used - sum(int(fields.get(field, 0)) for field in cache), 0)
        return 0

    def processor_seconds(self) -> float | None:
        """Returns the CPU time of all processes so far in seconds, or None if the groups do not count it."""
        for path in self.paths:
            with suppress(OSError):  # version 1
                return int((path / "cpuacct.usage").read_text()) / 1e9
            with suppress(OSError):
                for line in (path / "cpu.stat").read_text().splitlines():
                    if line.startswith("usage_usec "):
                        return int(line.split()[1]) / 1e6
        return None

    def kill(self) -> None:
        """Kills the processes in the groups."""
        for path in self.paths:
            with suppress(OSError):
                if (path / KILL_FILE).exists():
                    (path / KILL_FILE).write_text("1")
                    continue
                for pid in (path / PROCS_FILE).read_text().split():
                    if pid != "0":  # in another PID namespace
                        os.kill(int(pid), signal.SIGKILL)

    async def remove(self) -> None:
        """Removes the groups. Kills processes that are left in them, and waits for their end."""
        for path in self.paths:
            for _ in range(MAX_REMOVAL_ATTEMPTS):
                with suppress(OSError):
                    path.rmdir()
                    break
                self.kill()
                await asyncio.sleep(0.01)
            else:
                log.warning("The control group %s is still in use; the next emulator removes it", path)


@dataclass(frozen=True)
class ControlGroups:
    """The groups of an emulator. Without parents, it creates none and limits nothing."""

    parents: tuple[CgroupParent, ...] = ()

    def version_of(self, name: str) -> int | None:
        """Returns the interface version that limits a resource, or None if it is not limited."""
        versions = (
            parent.version for parent in self.parents for controller in parent.controllers if controller.name == name
        )
        return next(versions, None)

    @property
    def counts_memory(self) -> bool:
        """Whether control groups limit memory."""
        return self.version_of(MEMORY) is not None

    def create(self, number: int, limits: Limits) -> SandboxCgroups:
        """Creates the groups of the `number`-th sandbox."""
        paths: list[Path] = []
        with ExitStack() as undo:
            for parent in self.parents:
                path = parent.path / f"{parent.path.name}-{number}"
                path.mkdir()
                paths.append(path)
                undo.callback(path.rmdir)
                for controller in parent.controllers:
                    for file, text in controller.files(limits).items():
                        (path / file).write_text(text)
                    _write_existing(path, controller.optional_files(limits))
            undo.pop_all()
        return SandboxCgroups(tuple(paths))

    def remove(self) -> None:
        """Removes the groups of the emulator. Those of its sandboxes have been removed."""
        for parent in self.parents:
            try:
                parent.path.rmdir()
            except OSError:
                log.warning("The control group %s is still in use; the next emulator removes it", parent.path)
            parent.directory.release()


def create_control_groups(
    name: str, limits: Limits, totals: Totals, resources: Sequence[str] = RESOURCES
) -> ControlGroups:
    """Creates the groups of an emulator, for each resource in the nearest group that allows it.

    Args:
        name: The name of the groups.
        limits: The limits of each sandbox.
        totals: The limits of all sandboxes together.
        resources: The resources to limit, if possible.
    """
    created: dict[Path, CgroupParent] = {}
    for resource in resources:
        for controller in CONTROLLERS:
            if controller.name == resource and _create_parent(controller, name, limits, totals, created):
                break
    return ControlGroups(tuple(created.values()))


def _create_parent(
    controller: Controller, name: str, limits: Limits, totals: Totals, created: dict[Path, CgroupParent]
) -> bool:
    """Creates the emulator's group for a controller in the nearest possible group, at or above that of this process.

    In version 2, a group that contains processes cannot have limited child groups, so the result may be further up.
    """
    root = ROOT / controller.name if controller.version == 1 else ROOT
    own = _own_group(controller)
    if own is None or not (root / own).is_dir():
        return False
    if controller.version == 2 and not (root / "cgroup.controllers").is_file():
        return False  # version 2 is mounted elsewhere, next to version 1: this folder is not a control group
    for ancestor in (root / own, *(root / own).parents):
        if not ancestor.is_relative_to(root):
            return False
        path = ancestor / name
        existing = created.get(path)  # in version 2, one group limits several resources
        try:
            directory = existing.directory if existing else OwnedDirectory.create(path)
        except OSError:
            continue
        if _is_usable(path, controller, limits, totals):
            others = existing.controllers if existing else ()
            created[path] = CgroupParent(controller.version, directory, (*others, controller))
            return True
        if existing is None:
            path.rmdir()
            directory.release()
    return False


def _own_group(controller: Controller) -> str | None:
    """Returns the path of this process's group, relative to the root of its hierarchy."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controller.name in controllers.split(",") if controller.version == 1 else not controllers:
            return path.lstrip("/")
    return None


def _is_usable(group: Path, controller: Controller, limits: Limits, totals: Totals) -> bool:
    """Applies the total limits to the emulator's group. Returns whether a group with limits can be created in it."""
    probe = group / f"{group.name}-probe"
    try:
        _write_existing(group, controller.total_files(totals))
        if controller.version == 2:
            (group / SUBTREE_FILE).write_text(f"+{controller.name}")
        probe.mkdir()
    except OSError:
        return False
    files = controller.files(limits)
    try:
        return all(os.access(probe / file, os.W_OK) for file in files) and _accepts(probe, files)
    finally:
        probe.rmdir()


def _write_existing(group: Path, files: dict[str, str]) -> None:
    for file, text in files.items():
        if (group / file).exists():
            (group / file).write_text(text)


def _accepts(group: Path, files: dict[str, str]) -> bool:
    """Returns whether a group accepts the limits and a process of this user. The process has ended afterwards."""
    with subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        try:
            for file, text in {**files, PROCS_FILE: str(process.pid)}.items():
                (group / file).write_text(text)
        except OSError:
            return False
    return True
