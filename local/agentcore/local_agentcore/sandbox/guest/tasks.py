"""Commands that run in the background. Their output is kept in the memory of the sandbox until it is requested.

The output of all tasks together is limited by a shared budget. The number of remembered tasks is limited as well.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from .commands import RunningCommand

if TYPE_CHECKING:
    from collections.abc import Callable

    from .kernel import Outcome
    from .output import Budget
    from .processes import ChildProcesses

MISSING, WORKING, ENDED, CANCELED = "missing", "working", "ended", "canceled"
MAX_REMEMBERED_TASKS = 1000


@dataclass
class Task:
    """One background command. `seconds` is its duration once it has an outcome."""

    command: RunningCommand
    budget: Budget
    started: float = field(default_factory=time.monotonic)
    state: str = WORKING
    outcome: Outcome | None = None
    seconds: float = 0.0
    waiting: asyncio.Task[None] | None = None

    async def wait(self, seconds: float, grace_seconds: float) -> None:
        """Waits until the command ends and stores its outcome. Times are in s."""
        outcome = await self.command.outcome(seconds, grace_seconds)
        self.seconds = time.monotonic() - self.started
        if self.state == CANCELED:  # the output of a cancelled task is not returned
            outcome = replace(outcome, stdout=b"")
            self.budget.release()
        else:
            self.state = ENDED
        self.outcome = outcome


class Tasks:
    """The tasks of a session, by the ids that the host assigned."""

    def __init__(self, processes: ChildProcesses, new_budget: Callable[[], Budget], grace_seconds: float) -> None:
        self._processes = processes
        self._new_budget = new_budget
        self._grace_seconds = grace_seconds
        self._tasks: dict[str, Task] = {}

    def start(self, identifier: str, command: bytes, seconds: float) -> None:
        """Starts a command.

        Raises:
            OSError: No process can be started.
        """
        budget = self._new_budget()
        task = Task(RunningCommand(command, budget, self._processes), budget)
        task.waiting = asyncio.create_task(task.wait(seconds, self._grace_seconds))
        self._tasks[identifier] = task
        self._discard_oldest()

    def find(self, identifier: str) -> Task | None:
        """Returns the task of an id, or None."""
        return self._tasks.get(identifier)

    async def cancel(self, identifier: str) -> None:
        """Ends a running task and returns when its command has ended. Has no effect on other tasks."""
        task = self.find(identifier)
        if task is not None and task.state == WORKING:
            task.state = CANCELED
            await task.command.cancel(self._grace_seconds)

    def _discard_oldest(self) -> None:
        """Discards the oldest ended tasks over the limit. The process limit also limits running tasks."""
        ended = [identifier for identifier, task in self._tasks.items() if task.outcome is not None]
        for identifier in ended[: max(len(self._tasks) - MAX_REMEMBERED_TASKS, 0)]:
            self._tasks.pop(identifier).budget.release()
