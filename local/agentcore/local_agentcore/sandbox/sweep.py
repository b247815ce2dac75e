"""Removes directories and control groups of emulators that were killed. Those of running emulators are kept.

No process survives an emulator, because sandboxes end when its sockets are closed.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .cgroups import ControlGroups

PREFIX = "local-agentcore-"


def start_time(process: int) -> str | None:
    """Returns the start time of a process in ticks since boot, or None. With the process id it is a unique name."""
    try:
        text = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return None
    return text.rpartition(")")[2].split()[19]


def emulator_name() -> str:
    """Returns the unique name of this emulator's directory and group prefix, `local-agentcore-PID-START`."""
    return f"{PREFIX}{os.getpid()}-{start_time(os.getpid())}"


def cgroup_name(number: int) -> str:
    """Returns the name of the control group of this emulator's `number`-th sandbox."""
    return f"{emulator_name()}-{number}"


def is_stale(name: str) -> bool:
    """Returns whether a directory or group of this name belongs to an emulator that has ended."""
    parts = name.removeprefix(PREFIX).split("-")
    return name.startswith(PREFIX) and parts[0].isdigit() and len(parts) > 1 and start_time(int(parts[0])) != parts[1]


def sweep(state: Path, groups: ControlGroups) -> list[str]:
    """Removes stale directories in `state` and stale control groups. Returns the names of those removed."""
    removed: list[str] = []
    for path in state.glob(f"{PREFIX}*"):
        if is_stale(path.name) and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
            removed.append(path.name)
    for group in groups.with_prefix(PREFIX):
        if is_stale(group.name):
            with suppress(OSError):  # its last process has not ended yet
                group.rmdir()
                removed.append(group.name)
    return removed
