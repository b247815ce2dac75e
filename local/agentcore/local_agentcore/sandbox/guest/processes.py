"""The ends of the supervisor's children. As process 1 it also collects every orphan of the sandbox."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress

NICENESS = 10  # the supervisor keeps its turn on the processor whatever the code does
GROUP_POLL_SECONDS = 0.01


class OomVictims:
    """What is started within is what the out-of-memory killer takes first: it and all below it inherit a score.

    Set from outside it would come too late for what a program starts at once. The supervisor has that score itself for
    the moment of the fork, and opens its own before it hides its entries in /proc.
    """

    def __init__(self) -> None:
        self._score = os.open("/proc/self/oom_score_adj", os.O_RDWR | os.O_CLOEXEC)
        self._own = os.pread(self._score, 8, 0)

    def __enter__(self) -> None:
        os.pwrite(self._score, b"1000", 0)

    def __exit__(self, *_error: object) -> None:
        os.pwrite(self._score, self._own, 0)


class ChildProcesses:
    """Gives out a future for the end of each child: its exit code, negative for a signal."""

    def __init__(self, oom_victims: OomVictims) -> None:
        self.oom_victims = oom_victims
        self._loop = asyncio.get_running_loop()
        self._ends: dict[int, asyncio.Future[int]] = {}
        self._loop.add_signal_handler(signal.SIGCHLD, self._collect)

    def exit_of(self, process: int) -> asyncio.Future[int]:
        """Returns the future for a child that has just been started, before the loop runs again."""
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
    """Signals a child and all that it started in its own process group. One that has ended is no error."""
    with suppress(ProcessLookupError):
        os.killpg(process, number)


async def wait_or_terminate(
    end: asyncio.Future[int], process: int, seconds: float | None, grace_seconds: float, first: signal.Signals
) -> bool:
    """Waits for a child's end. At the time limit its process group gets `first`, and SIGKILL after the grace.

    Returns whether the limit was reached; then nothing of the group is left.
    """
    if (await asyncio.wait({end}, timeout=seconds))[0]:
        return False
    signal_group(process, first)
    with suppress(TimeoutError):
        await asyncio.wait_for(_wait_for_group_exit(process), grace_seconds)
    signal_group(process, signal.SIGKILL)
    await asyncio.wait({end})
    return True


async def _wait_for_group_exit(process: int) -> None:
    """Waits for all of a process group: a shell may end at the first signal, and what it started ignore that."""
    with suppress(ProcessLookupError):
        while True:
            os.killpg(process, 0)
            await asyncio.sleep(GROUP_POLL_SECONDS)


def lower_priority(process: int) -> None:
    """Has the scheduler prefer the supervisor to a program's process group: it may have started something by now."""
    with suppress(OSError):  # it has ended already
        os.setpriority(os.PRIO_PGRP, process, NICENESS)


def shell_exit_code(code: int) -> int:
    """A shell says 128 + n for a program that signal n ended."""
    return 128 - code if code < 0 else code
