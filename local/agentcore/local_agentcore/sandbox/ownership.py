"""Directories that one emulator owns, and the removal of those that killed emulators left behind.

An emulator locks each of its directories (flock): the one in the state folder and its control groups. The kernel
releases a lock when the process ends, even if it is killed, and a lock is valid in every PID namespace. A process id is
not: in two namespaces, the same id belongs to two processes.
"""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

PREFIX = "local-agentcore-"
MAX_ATTEMPTS = 100
RETRY_SECONDS = 0.01


def emulator_name() -> str:
    """Returns the name of the directories of this emulator, `local-agentcore-PID-START`."""
    return f"{PREFIX}{os.getpid()}-{_start_time(os.getpid())}"


class OwnedDirectory:
    """A directory that this process has created and locked."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path, self._descriptor = path, descriptor

    @classmethod
    def create(cls, path: Path) -> OwnedDirectory:
        """Creates and locks a directory.

        Raises:
            OSError: It cannot be created, or its file system does not support locks.
        """
        path.mkdir()
        for _ in range(MAX_ATTEMPTS):
            descriptor = _lock(path)
            if descriptor is not None:
                return cls(path, descriptor)
            time.sleep(RETRY_SECONDS)  # another emulator found it before it was locked, and is removing it
            with suppress(FileExistsError):
                path.mkdir()
        raise BlockingIOError(f"{path} cannot be locked")

    def release(self) -> None:
        """Releases the lock. Call it after the directory has been removed. Further calls have no effect."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def abandoned(parent: Path) -> Iterator[Path]:
    """Yields directories in `parent` whose emulator has ended. Each is locked until the next one is requested."""
    for path in parent.glob(f"{PREFIX}*"):
        if _belongs_to_running_process(path.name):
            continue
        descriptor = None
        with suppress(OSError):  # not a directory, removed meanwhile, or on a file system without locks
            descriptor = _lock(path)
        if descriptor is not None:
            try:
                yield path
            finally:
                os.close(descriptor)


def _belongs_to_running_process(name: str) -> bool:
    """Returns whether the process in a name runs: an emulator of a release without locks, in this PID namespace."""
    pid, start = [*name.removeprefix(PREFIX).split("-"), ""][:2]
    return pid.isdigit() and start == _start_time(int(pid))


def _start_time(process: int) -> str | None:
    """Returns the start time of a process in ticks since boot, or None. With the process id it is a unique name."""
    try:
        text = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return None
    return text.rpartition(")")[2].split()[19]


def _lock(path: Path) -> int | None:
    """Returns a descriptor that holds the lock of a directory, or None if another process holds it or removed it."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if path.stat().st_ino == os.fstat(descriptor).st_ino:
            return descriptor
    except (BlockingIOError, FileNotFoundError):
        pass
    except OSError:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None
