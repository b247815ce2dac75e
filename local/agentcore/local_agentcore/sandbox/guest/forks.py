"""Forks of the supervisor that take over none of its state.

The supervisor forks while its event loop does not run, so that the stack of a fork contains neither a running loop nor
a task of the supervisor.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import os
import signal
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from .processes import ChildProcesses

Argument = TypeVar("Argument")


@dataclass(frozen=True)
class Fork:
    """A forked process. `end` is the future of its exit code."""

    process: int
    end: asyncio.Future[int]


class ForkingLoop(Generic[Argument]):
    """An event loop whose coroutines can fork the process."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._requests: deque[tuple[Argument, ChildProcesses, asyncio.Future[Fork]]] = deque()

    async def fork(self, argument: Argument, processes: ChildProcesses) -> Fork:
        """Forks the process. In the fork, `run` returns the argument.

        Raises:
            OSError: No process can be started.
        """
        request: asyncio.Future[Fork] = self._loop.create_future()
        self._requests.append((argument, processes, request))
        self._loop.stop()
        return await request

    def run(self, main: Coroutine[object, object, None]) -> Argument:
        """Runs a coroutine that never ends. Returns only in a fork."""
        serving = self._loop.create_task(main)
        serving.add_done_callback(lambda _task: self._loop.stop())
        while True:
            self._loop.run_forever()
            if serving.done():
                serving.result()
                raise SystemExit
            while self._requests:
                argument, processes, request = self._requests.popleft()
                try:
                    with processes.oom_victims:
                        process = os.fork()
                except OSError as error:
                    request.set_exception(error)
                    continue
                if process == 0:
                    _forget(self._loop, serving, *asyncio.all_tasks(self._loop))
                    return argument
                # The exit is registered before the loop runs again and may handle SIGCHLD.
                request.set_result(Fork(process, processes.exit_of(process)))


def _forget(*roots: object) -> None:
    """Hides the loop of the supervisor and all objects that it refers to, and restores the signal handlers.

    The objects are never finalised. Otherwise, finalisers and `finally` clauses of coroutines would change descriptors
    and processes that the fork shares with the supervisor.
    """
    for root in roots:
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(root))
    for registry in ("_all_tasks", "_scheduled_tasks"):  # before Python 3.12, and since
        getattr(asyncio.tasks, registry, set[object]()).clear()
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    gc.freeze()  # objects before a freeze are not in gc.get_objects()
