"""Locks on files, which the kernel releases when the last process that holds one ends, however it ends."""

from __future__ import annotations

import fcntl
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import IO


def try_lock(file: IO[str]) -> bool:
    """Takes the lock, until `file` is closed here and in every process that inherited it; False when another has it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
