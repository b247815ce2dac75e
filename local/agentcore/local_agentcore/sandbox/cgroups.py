"""Control groups: how the kernel bounds memory and processors of a whole sandbox, where this user may make them."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .limits import Limits

ROOT = Path("/sys/fs/cgroup")
PROCESSES_FILE = "cgroup.procs"
PERIOD_MICROSECONDS = 100_000
MAX_REMOVAL_ATTEMPTS = 200

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Controller:
    """What a group can bound, in one version of the kernel's interface: the files to write, and what to write.

    `optional_files` are files that only some kernels have.
    """

    name: str
    version: int
    files: Callable[[Limits], dict[str, str]]
    optional_files: Callable[[Limits], dict[str, str]] = lambda _: {}


def _quota(limits: Limits) -> int:
    return round(limits.processors * PERIOD_MICROSECONDS)


MEMORY, PROCESSORS = "memory", "cpu"
CONTROLLERS = (
    Controller(MEMORY, 1, lambda limits: {"memory.limit_in_bytes": str(limits.memory_bytes)},
               lambda limits: {"memory.memsw.limit_in_bytes": str(limits.memory_bytes)}),  # memory and swap together
    Controller(MEMORY, 2, lambda limits: {"memory.max": str(limits.memory_bytes)},
               lambda _: {"memory.swap.max": "0"}),
    Controller(PROCESSORS, 1, lambda limits: {
        "cpu.cfs_period_us": str(PERIOD_MICROSECONDS), "cpu.cfs_quota_us": str(_quota(limits))
    }),
    Controller(PROCESSORS, 2, lambda limits: {"cpu.max": f"{_quota(limits)} {PERIOD_MICROSECONDS}"}),
)  # fmt: skip
OOM_EVENT_FILES = ("memory.oom_control", "memory.events")


@dataclass(frozen=True)
class CgroupParent:
    """A group of this process, or above it, below which this process may make others."""

    version: int
    parent: Path
    controllers: tuple[Controller, ...]


@dataclass(frozen=True)
class SandboxCgroups:
    """The groups of one sandbox: one for all that bounds it, or in version 1 one for each."""

    paths: tuple[Path, ...]

    @property
    def processes_files(self) -> list[Path]:
        """Writing a process's id to these files puts it, and all that it starts, into the groups."""
        return [path / PROCESSES_FILE for path in self.paths]

    def oom_kills(self) -> int:
        """Returns how many processes the kernel has ended for want of memory."""
        for path in self.paths:
            for name in OOM_EVENT_FILES:
                with suppress(OSError):
                    for line in (path / name).read_text().splitlines():
                        if line.startswith("oom_kill "):
                            return int(line.split()[1])
        return 0

    async def remove(self) -> None:
        """Removes the groups as soon as their last process has gone."""
        for path in self.paths:
            for _ in range(MAX_REMOVAL_ATTEMPTS):
                with suppress(OSError):
                    path.rmdir()
                    break
                await asyncio.sleep(0.01)
            else:
                log.warning("The control group %s is still in use; the next emulator removes it", path)


@dataclass(frozen=True)
class ControlGroups:
    """Where this process may make groups. Without a place it may make none, and they bound nothing."""

    parents: tuple[CgroupParent, ...] = ()

    def version_of(self, name: str) -> int | None:
        """Returns the version of the interface by which something is bounded; None where it is not."""
        found = [place.version for place in self.parents for controller in place.controllers if controller.name == name]
        return found[0] if found else None

    @property
    def counts_memory(self) -> bool:
        """Whether they bound memory."""
        return self.version_of(MEMORY) is not None

    def without(self, name: str) -> ControlGroups:
        """Returns the same, but that they do not bound this."""
        left = [
            CgroupParent(place.version, place.parent, tuple(one for one in place.controllers if one.name != name))
            for place in self.parents
        ]
        return ControlGroups(tuple(place for place in left if place.controllers))

    def create(self, name: str, limits: Limits) -> SandboxCgroups:
        """Makes the groups of one sandbox."""
        with ExitStack() as undo:
            for place in self.parents:
                path = place.parent / name
                path.mkdir()
                undo.callback(path.rmdir)
                for controller in place.controllers:
                    for file, text in controller.files(limits).items():
                        (path / file).write_text(text)
                    for file, text in controller.optional_files(limits).items():
                        if (path / file).exists():
                            (path / file).write_text(text)
            undo.pop_all()
        return SandboxCgroups(tuple(place.parent / name for place in self.parents))

    def with_prefix(self, prefix: str) -> Iterator[Path]:
        """Returns the groups in these places whose name begins with `prefix`."""
        for place in self.parents:
            yield from (path for path in place.parent.glob(f"{prefix}*") if path.is_dir())


def find_control_groups(probe_name: str, limits: Limits) -> ControlGroups:
    """Returns where this process may make groups: for each controller the nearest place, found by trying."""
    places: list[CgroupParent] = []
    for name in (MEMORY, PROCESSORS):
        found = next(
            filter(None, (_find_parent(one, probe_name, limits) for one in CONTROLLERS if one.name == name)), None
        )
        same = [place for place in places if found and (place.version, place.parent) == (found.version, found.parent)]
        if found and same:  # version 2: one group for both
            places[places.index(same[0])] = CgroupParent(
                found.version, found.parent, same[0].controllers + found.controllers
            )
        elif found:
            places.append(found)
    return ControlGroups(tuple(places))


def _find_parent(controller: Controller, probe_name: str, limits: Limits) -> CgroupParent | None:
    """Returns the nearest place at or above this process's own group.

    In version 2 a group that holds processes cannot divide anything among children, so it may be a parent of it.
    """
    root = ROOT / controller.name if controller.version == 1 else ROOT
    own = _own_group(controller)
    if own is None or not (root / own).is_dir():
        return None
    for parent in (root / own, *(root / own).parents):
        if not parent.is_relative_to(root):
            return None
        if _is_usable(parent / probe_name, controller.files(limits)):
            return CgroupParent(controller.version, parent, (controller,))
    return None


def _own_group(controller: Controller) -> str | None:
    """Returns the path of the group that this process is in, below its hierarchy's root."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controller.name in controllers.split(",") if controller.version == 1 else not controllers:
            return path.lstrip("/")
    return None


def _is_usable(probe: Path, files: dict[str, str]) -> bool:
    try:
        probe.mkdir()
    except OSError:
        return False
    try:
        return all(os.access(probe / file, os.W_OK) for file in files) and _accepts(probe, files)
    finally:
        probe.rmdir()


def _accepts(group: Path, files: dict[str, str]) -> bool:
    """Whether limits, and a process of this user, are taken by a group. The process is gone afterwards."""
    with subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        try:
            for file, text in {**files, PROCESSES_FILE: str(process.pid)}.items():
                (group / file).write_text(text)
        except OSError:
            return False
    return True
