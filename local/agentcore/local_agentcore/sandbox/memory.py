"""How the memory of a whole sandbox is bounded: by a control group where this user may make one, else by a watchdog."""

from __future__ import annotations

import asyncio
import os
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

CONTROL_GROUPS = Path("/sys/fs/cgroup")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
PROCESSES_FILE = "cgroup.procs"
SCAN_SECONDS = 0.05
SCANS_AFTER_KILL = 10


@dataclass(frozen=True)
class Hierarchy:
    """One version of the kernel's memory control groups."""

    version: int
    root: Path
    limit: str
    events: str

    def own_group(self) -> Path | None:
        """Returns the group that this process is in."""
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers == ("memory" if self.version == 1 else ""):
                return self.root / path.lstrip("/")
        return None


HIERARCHIES = (
    Hierarchy(1, CONTROL_GROUPS / "memory", "memory.limit_in_bytes", "memory.oom_control"),
    Hierarchy(2, CONTROL_GROUPS, "memory.max", "memory.events"),
)


@dataclass(frozen=True)
class Delegation:
    """A place where this process may make memory groups."""

    hierarchy: Hierarchy
    parent: Path

    def create(self, name: str, memory_bytes: int) -> MemoryGroup:
        """Makes a group bounded to `memory_bytes`."""
        path = self.parent / name
        path.mkdir()
        try:
            (path / self.hierarchy.limit).write_text(str(memory_bytes))
        except OSError:
            path.rmdir()
            raise
        return MemoryGroup(path, self.hierarchy)

    def groups(self, prefix: str) -> Iterator[Path]:
        """Returns the groups here whose name begins with `prefix`."""
        yield from (path for path in self.parent.glob(f"{prefix}*") if path.is_dir())


@dataclass(frozen=True)
class MemoryGroup:
    """The control group of one sandbox."""

    path: Path
    hierarchy: Hierarchy

    @property
    def processes_file(self) -> Path:
        """Writing a process's id to this file puts it, and all that it starts, into the group."""
        return self.path / PROCESSES_FILE

    def kills(self) -> int:
        """Returns how many processes the out-of-memory killer has ended here."""
        for line in (self.path / self.hierarchy.events).read_text().splitlines():
            if line.startswith("oom_kill "):
                return int(line.split()[1])
        return 0

    async def remove(self) -> None:
        """Removes the group as soon as its last process has gone."""
        for _ in range(200):
            with suppress(OSError):
                self.path.rmdir()
                return
            await asyncio.sleep(0.01)


def find_delegation(probe_name: str) -> Delegation | None:
    """Returns the nearest place for memory groups at or above this process's own group, found by trying.

    In version 2 a group that holds processes cannot divide memory among children, so the place may be a parent of it.
    """
    for hierarchy in HIERARCHIES:
        own = hierarchy.own_group()
        if own is None or not own.is_dir():
            continue
        for parent in (own, *own.parents):
            if not parent.is_relative_to(hierarchy.root):
                break
            probe = parent / probe_name
            try:
                probe.mkdir()
            except OSError:
                continue
            try:
                if os.access(probe / hierarchy.limit, os.W_OK) and _takes_processes(probe):
                    return Delegation(hierarchy, parent)
            finally:
                probe.rmdir()
    return None


def _takes_processes(group: Path) -> bool:
    """Whether a process of this user may be put into a group, found by putting one there. It is gone afterwards."""
    with subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        try:
            (group / PROCESSES_FILE).write_text(str(process.pid))
        except OSError:
            return False
    return True


def descendants(process: int) -> Iterator[int]:
    """Returns a process and all below it. Those that end meanwhile are left out."""
    yield process
    for children in Path(f"/proc/{process}/task").glob("*/children"):
        with suppress(OSError):
            for child in children.read_text().split():
                yield from descendants(int(child))


def at_most_anonymous_bytes(process: int) -> int:
    """Returns the memory of a process and all below it that no file backs; pages that forks share count for each."""
    pages = 0
    for one in descendants(process):
        with suppress(OSError, ValueError):
            fields = Path(f"/proc/{one}/statm").read_text().split()
            pages += int(fields[1]) - int(fields[2])
    return pages * PAGE_BYTES


def anonymous_bytes(process: int) -> int:
    """Returns the same with each page counted once, which takes the kernel a hundred times as long to say."""
    kibibytes = 0
    for one in descendants(process):
        with suppress(OSError, ValueError):
            for line in Path(f"/proc/{one}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss_Anon:"):
                    kibibytes += int(line.split()[1])
    return kibibytes * 1024


async def watch(
    process: int, memory_bytes: int, kill_code: Callable[[], Awaitable[None]], end_sandbox: Callable[[], None]
) -> None:
    """Has the code of a sandbox killed when all its processes together exceed `memory_bytes`.

    If that brings no relief within half a second, the sandbox is ended: what runs inside is not relied on.
    """
    excessive_scans = 0
    while True:
        await asyncio.sleep(SCAN_SECONDS)
        if at_most_anonymous_bytes(process) <= memory_bytes or anonymous_bytes(process) <= memory_bytes:
            excessive_scans = 0
            continue
        if excessive_scans == 0:
            await kill_code()
        excessive_scans += 1
        if excessive_scans > SCANS_AFTER_KILL:
            end_sandbox()
            return
