"""File locks. The kernel releases a lock when the last process that holds it ends, even after SIGKILL.

Unlike a file with a process ID, a lock is valid in every PID namespace, such as that of a container.
"""

from __future__ import annotations

import fcntl
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import IO


def try_lock(file: IO[str]) -> bool:
    """Acquires an exclusive lock on `file` without waiting.

    The lock lasts until `file` is closed in this process and in every child process that inherited it.

    Returns:
        False when another process holds the lock.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_locked(file: IO[str]) -> bool:
    """Returns whether another process holds the lock on `file`."""
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    fcntl.flock(file, fcntl.LOCK_UN)
    return False
