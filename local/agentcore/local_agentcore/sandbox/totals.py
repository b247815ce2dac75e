"""Limits of all sandboxes of an emulator together, so that sessions leave the host the resources that it needs."""

from __future__ import annotations

import resource
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from .limits import GIBIBYTE

SYSTEM = Path("/")
KIBIBYTE = 1024
MEMORY_PER_FILE = 10 * KIBIBYTE
"""Memory for each open file that a host allows by default (kernel: `files_maxfiles_init`, 10% of the memory in KiB)."""
CGROUP_LIMITS = {"memory": ("memory.limit_in_bytes", "memory.max"), "pids": ("pids.max",)}
"""Files with the limit of a control group, by controller, in versions 1 and 2."""


@dataclass(frozen=True)
class Totals:
    """Limits of all sandboxes together. `Totals.of_host` returns the defaults for this machine.

    Attributes:
        memory_bytes: Memory of all sandboxes, with their files, which are in memory.
        disk_bytes: Files of all sandboxes.
        processes: Processes and threads of all sandboxes.
        open_files: Open files of all sandboxes.
        terminals: Pseudo-terminals of all sandboxes. The kernel keeps `kernel.pty.reserve` more for the host.
    """

    memory_bytes: int
    disk_bytes: int
    processes: int
    open_files: int
    terminals: int

    @classmethod
    def of_host(cls, system: Path = SYSTEM) -> Totals:
        """Returns the resources of the host, or of the control group of this process, minus a reserve for the host.

        Args:
            system: Root directory of the machine.
        """
        memory = _memory_bytes(system)
        memory_bytes = memory - min(max(GIBIBYTE, memory // 8), memory // 2)
        processes = min(
            _number(system / "proc/sys/kernel/threads-max"),
            _number(system / "proc/sys/kernel/pid_max"),
            *_cgroup_limits(system, "pids"),
            *_soft_limit(resource.RLIMIT_NPROC),
        )
        files = min(_number(system / "proc/sys/fs/file-max"), memory // MEMORY_PER_FILE)
        terminals = max(
            _number(system / "proc/sys/kernel/pty/max") - _number(system / "proc/sys/kernel/pty/reserve"), 0
        )
        return cls(memory_bytes, memory_bytes, processes - processes // 4, files - files // 4, terminals)


def _memory_bytes(system: Path) -> int:
    """Returns the memory of the host, or the smallest limit of the control groups of this process."""
    fields = dict(line.split(":") for line in (system / "proc/meminfo").read_text().splitlines())
    total = int(fields["MemTotal"].split()[0]) * KIBIBYTE
    return min([total, *_cgroup_limits(system, "memory")])


def _cgroup_limits(system: Path, controller: str) -> list[int]:
    """Returns the limits of this process's control group of a controller and of all groups above it."""
    limits: list[int] = []
    for line in (system / "proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        root = system / "sys/fs/cgroup" / (controller if controllers else "")
        group = root / path.lstrip("/")
        for ancestor in (group, *group.parents):
            if ancestor.is_relative_to(root):
                limits += [limit for file in CGROUP_LIMITS[controller] for limit in _limit(ancestor / file)]
    return limits


def _limit(file: Path) -> list[int]:
    with suppress(OSError, ValueError):  # no such file, or "max"
        return [int(file.read_text())]
    return []


def _soft_limit(kind: int) -> list[int]:
    soft, _ = resource.getrlimit(kind)
    return [] if soft == resource.RLIM_INFINITY else [soft]


def _number(file: Path) -> int:
    """Returns the number in a kernel setting, or 2^63 - 1 in a container without it."""
    with suppress(OSError):
        return int(file.read_text())
    return sys.maxsize
