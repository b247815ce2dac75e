"""Commands that run on without a caller. Their output is kept here, in the sandbox's own memory, until it is asked for.

Both are bounded: what all tasks together have printed, by a budget that they share, and how many are remembered.
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
    """One command. `seconds` is how long it ran, once it has an outcome."""

    command: RunningCommand
    budget: Budget
    started: float = field(default_factory=time.monotonic)
    state: str = WORKING
    outcome: Outcome | None = None
    seconds: float = 0.0
    waiting: asyncio.Task[None] | None = None

    async def wait(self, seconds: float, grace_seconds: float) -> None:
        """Follows the command to its end."""
        outcome = await self.command.outcome(seconds, grace_seconds)
        self.seconds = time.monotonic() - self.started
        if self.state == CANCELED:  # what it has printed is told to nobody: its room is for others
            outcome = replace(outcome, stdout=b"")
            self.budget.release()
        else:
            self.state = ENDED
        self.outcome = outcome


class Tasks:
    """All tasks of a session, by the id that the host gave each."""

    def __init__(self, processes: ChildProcesses, new_budget: Callable[[], Budget], grace_seconds: float) -> None:
        self._processes = processes
        self._new_budget = new_budget
        self._grace_seconds = grace_seconds
        self._tasks: dict[str, Task] = {}

    def start(self, identifier: str, command: bytes, seconds: float) -> None:
        """Starts a command. OSError if no process can be started."""
        budget = self._new_budget()
        task = Task(RunningCommand(command, budget, self._processes), budget)
        task.waiting = asyncio.create_task(task.wait(seconds, self._grace_seconds))
        self._tasks[identifier] = task
        self._discard_oldest()

    def find(self, identifier: str) -> Task | None:
        """Returns a task, or None where there is none of that id."""
        return self._tasks.get(identifier)

    async def cancel(self, identifier: str) -> None:
        """Ends a task that works, and returns when its command has gone. One that does not work stays what it is."""
        task = self.find(identifier)
        if task is not None and task.state == WORKING:
            task.state = CANCELED
            await task.command.cancel(self._grace_seconds)

    def _discard_oldest(self) -> None:
        """Forgets the oldest that have ended, beyond so many. Those that run are bounded by the number of processes."""
        ended = [identifier for identifier, task in self._tasks.items() if task.outcome is not None]
        for identifier in ended[: max(len(self._tasks) - MAX_REMEMBERED_TASKS, 0)]:
            self._tasks.pop(identifier).budget.release()
