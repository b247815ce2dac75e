"""Child processes of the supervisor. As process 1, it also reaps every orphan of the sandbox."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from contextlib import suppress

NICENESS = 10  # gives the supervisor precedence over code
GROUP_POLL_SECONDS = 0.01
SCORE_REQUEST = b"S"
"""Asks the host for the supervisor's out-of-memory score, before the first frame."""


class OomVictims:
    """A context in which started processes become the first victims of the out-of-memory killer.

    Child processes inherit the score that the supervisor has during the fork. Setting the score of a child afterwards
    would be too late for its own children. /proc is read-only, so the host opens the file of the score.
    """

    def __init__(self, channel: socket.socket) -> None:
        """Asks the host for the file, before the supervisor's entries in /proc become inaccessible."""
        channel.send(SCORE_REQUEST)
        _, descriptors, _, _ = socket.recv_fds(channel, len(SCORE_REQUEST), 1, socket.MSG_CMSG_CLOEXEC)
        self._score = descriptors[0] if descriptors else None  # the host may be unable to open it
        self._own = b"" if self._score is None else os.pread(self._score, 8, 0)

    def __enter__(self) -> None:
        if self._score is not None:
            os.pwrite(self._score, b"1000", 0)

    def __exit__(self, *_error: object) -> None:
        if self._score is not None:
            os.pwrite(self._score, self._own, 0)


class ChildProcesses:
    """Provides a future for the exit code of each child process. It is negative for a signal."""

    def __init__(self, oom_victims: OomVictims) -> None:
        self.oom_victims = oom_victims
        self._loop = asyncio.get_running_loop()
        self._ends: dict[int, asyncio.Future[int]] = {}
        self._loop.add_signal_handler(signal.SIGCHLD, self._collect)

    def exit_of(self, process: int) -> asyncio.Future[int]:
        """Returns the future for a child process. Call it after the start, before the event loop runs again."""
        self._ends[process] = self._loop.create_future()
        return self._ends[process]

    def _collect(self) -> None:
        with suppress(ChildProcessError):
            while True:
                process, status = os.waitpid(-1, os.WNOHANG)
                if not process:
                    return
                end = self._ends.pop(process, None)
                if end is not None and not end.done():
                    end.set_result(os.waitstatus_to_exitcode(status))


def signal_group(process: int, number: signal.Signals) -> None:
    """Signals the process group of a child. A group that has ended is not an error."""
    with suppress(ProcessLookupError):
        os.killpg(process, number)


async def wait_or_terminate(
    end: asyncio.Future[int], process: int, seconds: float | None, grace_seconds: float, first: signal.Signals
) -> bool:
    """Waits for the end of a child. At the time limit, ends its process group.

    Args:
        end: Future of its exit code.
        process: Its process id.
        seconds: Time limit in s, or None.
        grace_seconds: Time in s between the first signal and SIGKILL.
        first: First signal.

    Returns:
        Whether the limit was reached. Then no process of the group remains.
    """
    if (await asyncio.wait({end}, timeout=seconds))[0]:
        return False
    signal_group(process, first)
    with suppress(TimeoutError):
        await asyncio.wait_for(_wait_for_group_exit(process), grace_seconds)
    signal_group(process, signal.SIGKILL)
    if not end.done():
        os.kill(process, signal.SIGKILL)  # code may have stopped it before it led a group
    await asyncio.wait({end})
    return True


async def _wait_for_group_exit(process: int) -> None:
    """Waits until a process group has ended. A shell may end at a signal that its children ignore."""
    with suppress(ProcessLookupError):
        while True:
            os.killpg(process, 0)
            await asyncio.sleep(GROUP_POLL_SECONDS)


def lower_priority() -> None:
    """Lowers the priority of this process, which code may have lowered further for all processes of its user."""
    os.setpriority(os.PRIO_PROCESS, 0, max(NICENESS, os.getpriority(os.PRIO_PROCESS, 0)))


def shell_exit_code(code: int) -> int:
    """Returns the exit code that a shell reports: 128 + n for signal n."""
    return 128 - code if code < 0 else code
