"""Control groups, by which the kernel limits the memory and processors of a sandbox, if this user may create them."""

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
PROCS_FILE = "cgroup.procs"
PERIOD_MICROSECONDS = 100_000
MAX_REMOVAL_ATTEMPTS = 200

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Controller:
    """A resource that a control group can limit, in one version of the kernel's interface.

    Attributes:
        name: Name of the controller.
        version: Version of the interface, 1 or 2.
        files: Returns the limits to write, by file name.
        optional_files: Returns limits to write to files that only some kernels have.
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
    """A control group below which this process may create groups: its own group or one above it."""

    version: int
    path: Path
    controllers: tuple[Controller, ...]


@dataclass(frozen=True)
class SandboxCgroups:
    """The control groups of one sandbox: one in version 2, one for each controller in version 1."""

    paths: tuple[Path, ...]

    @property
    def procs_files(self) -> list[Path]:
        """Files to which a process id is written to move the process, and all that it starts, into the groups."""
        return [path / PROCS_FILE for path in self.paths]

    def oom_kills(self) -> int:
        """Returns the number of processes that the kernel has killed because of the memory limit."""
        for path in self.paths:
            for name in OOM_EVENT_FILES:
                with suppress(OSError):
                    for line in (path / name).read_text().splitlines():
                        if line.startswith("oom_kill "):
                            return int(line.split()[1])
        return 0

    async def remove(self) -> None:
        """Removes the groups as soon as their last process has ended."""
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
    """The groups below which this process may create groups. Without parents, it creates none and limits nothing."""

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

    def without(self, name: str) -> ControlGroups:
        """Returns a copy that does not limit a resource."""
        remaining = [
            CgroupParent(
                parent.version,
                parent.path,
                tuple(controller for controller in parent.controllers if controller.name != name),
            )
            for parent in self.parents
        ]
        return ControlGroups(tuple(parent for parent in remaining if parent.controllers))

    def create(self, name: str, limits: Limits) -> SandboxCgroups:
        """Creates the groups of one sandbox."""
        with ExitStack() as undo:
            for parent in self.parents:
                path = parent.path / name
                path.mkdir()
                undo.callback(path.rmdir)
                for controller in parent.controllers:
                    for file, text in controller.files(limits).items():
                        (path / file).write_text(text)
                    for file, text in controller.optional_files(limits).items():
                        if (path / file).exists():
                            (path / file).write_text(text)
            undo.pop_all()
        return SandboxCgroups(tuple(parent.path / name for parent in self.parents))

    def with_prefix(self, prefix: str) -> Iterator[Path]:
        """Yields existing groups below the parents whose name starts with `prefix`."""
        for parent in self.parents:
            yield from (path for path in parent.path.glob(f"{prefix}*") if path.is_dir())


def find_control_groups(probe_name: str, limits: Limits) -> ControlGroups:
    """Finds the nearest group for each controller below which this process may create groups, by creating a probe."""
    parents: list[CgroupParent] = []
    for name in (MEMORY, PROCESSORS):
        found = next(
            filter(
                None,
                (_find_parent(controller, probe_name, limits) for controller in CONTROLLERS if controller.name == name),
            ),
            None,
        )
        same = [parent for parent in parents if found and (parent.version, parent.path) == (found.version, found.path)]
        if found and same:  # in version 2, one group limits both resources
            parents[parents.index(same[0])] = CgroupParent(
                found.version, found.path, same[0].controllers + found.controllers
            )
        elif found:
            parents.append(found)
    return ControlGroups(tuple(parents))


def _find_parent(controller: Controller, probe_name: str, limits: Limits) -> CgroupParent | None:
    """Returns the nearest group, at or above this process's group, below which a group with limits can be created.

    In version 2, a group that contains processes cannot have limited child groups, so the result may be further up.
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
    """Returns the path of this process's group, relative to the root of its hierarchy."""
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
    """Returns whether a group accepts the limits and a process of this user. The process has ended afterwards."""
    with subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        try:
            for file, text in {**files, PROCS_FILE: str(process.pid)}.items():
                (group / file).write_text(text)
        except OSError:
            return False
    return True
