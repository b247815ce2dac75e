"""Removes directories and control groups of emulators that were killed. Those of running emulators are kept.

No process survives an emulator, because sandboxes end when its sockets are closed.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from .ownership import abandoned

if TYPE_CHECKING:
    from pathlib import Path

    from .cgroups import ControlGroups


def sweep(state: Path, groups: ControlGroups) -> list[str]:
    """Removes abandoned directories in `state` and abandoned control groups. Returns the names of those removed."""
    removed: list[str] = []
    for path in abandoned(state):
        shutil.rmtree(path, ignore_errors=True)
        removed.append(path.name)
    for parent in groups.parents:
        for group in abandoned(parent.path.parent):
            if remove_tree(group):
                removed.append(group.name)
    return removed


def remove_tree(group: Path) -> bool:
    """Removes a control group and the groups in it. Returns False if one of them still contains a process."""
    try:
        for child in group.iterdir():
            if child.is_dir():
                child.rmdir()
        group.rmdir()
    except OSError:
        return False
    return True
