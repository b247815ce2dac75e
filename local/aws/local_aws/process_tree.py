"""The processes below a process: adopting, finding and ending them, so that none outlives the embedded AWS."""

from __future__ import annotations

import ctypes
import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PR_SET_CHILD_SUBREAPER = 36
POLL_SECONDS = 0.02


def adopt_orphans() -> None:
    """Makes this process the parent of all its descendants whose parent ends, whatever session they are in."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def reap_orphans(started: Iterator[int]) -> None:
    """Reaps adopted processes that have ended. Leaves the processes that this process started to their owners."""
    own = set(started)
    for child in _children(os.getpid()):
        if child not in own:
            with suppress(ChildProcessError):
                os.waitpid(child, os.WNOHANG)


def start_time(pid: int) -> int | None:
    """Returns the start time of a process in clock ticks since boot (proc(5), stat).

    Returns:
        None when there is no such process or it has ended.
    """
    with suppress(OSError, IndexError, ValueError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return None if fields[0] == "Z" else int(fields[19])
    return None


def descendants(pid: int) -> dict[int, int]:
    """Returns the start times of the processes below a process, by process ID."""
    found: dict[int, int] = {}
    for child in _children(pid):
        started = start_time(child)
        if started is not None:
            found[child] = started
        found |= descendants(child)
    return found


def end_descendants(seconds: float) -> dict[int, int]:
    """Kills and reaps all processes below this one. With `adopt_orphans`, none can escape.

    Args:
        seconds: How long to wait for their end.

    Returns:
        The processes that have not ended.
    """
    deadline = time.monotonic() + seconds
    while True:
        remaining = descendants(os.getpid())
        for pid in remaining:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        if not remaining or time.monotonic() > deadline:
            return remaining
        time.sleep(POLL_SECONDS)


def kill_remaining(processes: Mapping[int, int], seconds: float) -> dict[int, int]:
    """Kills those of the given processes that still run, which need not be children of this process.

    Args:
        processes: Start times by process ID. A process ID alone may be reused.
        seconds: How long to wait for their end.

    Returns:
        The processes that have not ended.
    """
    deadline = time.monotonic() + seconds
    while True:
        remaining = {pid: started for pid, started in processes.items() if start_time(pid) == started}
        for pid in remaining:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        if not remaining or time.monotonic() > deadline:
            return remaining
        time.sleep(POLL_SECONDS)


def describe(processes: Mapping[int, int]) -> str:
    """Returns process IDs with their programs, for a message."""
    return ", ".join(f"{pid} ({_program(pid)})" for pid in processes)


def _program(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text().strip()
    return "ended"


def _children(pid: int) -> Iterator[int]:
    with suppress(OSError):  # the process has ended
        for thread in Path(f"/proc/{pid}/task").iterdir():
            with suppress(OSError):  # the thread has ended
                yield from map(int, (thread / "children").read_text().split())
