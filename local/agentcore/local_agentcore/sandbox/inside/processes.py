"""The ends of the supervisor's children. As process 1 it also collects every orphan of the sandbox."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress


class Processes:
    """Gives out a future for the end of each child: its exit code, negative for a signal."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._ends: dict[int, asyncio.Future[int]] = {}
        self._loop.add_signal_handler(signal.SIGCHLD, self._collect)

    def end_of(self, process: int) -> asyncio.Future[int]:
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
