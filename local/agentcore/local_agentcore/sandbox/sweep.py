"""Clears away what emulators left that were killed before they could do so themselves. Live ones are left alone.

Nothing that runs survives an emulator, since sandboxes end with its sockets; folders and empty control groups may.
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
    """Returns when a process started, in ticks since boot; None without one. With its id this names it for good."""
    try:
        text = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return None
    return text.rpartition(")")[2].split()[19]


def emulator_name() -> str:
    """Returns the name by which this emulator's leavings can be told from others': `local-agentcore-PID-START`."""
    return f"{PREFIX}{os.getpid()}-{start_time(os.getpid())}"


def cgroup_name(number: int) -> str:
    """Returns the name of the control group of this emulator's `number`-th sandbox."""
    return f"{emulator_name()}-{number}"


def is_stale(name: str) -> bool:
    """Whether a folder or group of this name belongs to an emulator that has gone."""
    parts = name.removeprefix(PREFIX).split("-")
    return name.startswith(PREFIX) and parts[0].isdigit() and len(parts) > 1 and start_time(int(parts[0])) != parts[1]


def sweep(state: Path, groups: ControlGroups) -> list[str]:
    """Removes what dead emulators left. Returns the names of what was removed."""
    removed: list[str] = []
    for path in state.glob(f"{PREFIX}*"):
        if is_stale(path.name) and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
            removed.append(path.name)
    for group in groups.with_prefix(PREFIX):
        if is_stale(group.name):
            with suppress(OSError):  # its last process is still on its way out
                group.rmdir()
                removed.append(group.name)
    return removed
