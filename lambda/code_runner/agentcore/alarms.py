"""Calls functions at a later time. One thread waits for all of them, because a thread for each call takes CPU time.

Almost every alarm is cancelled, and the waiting thread is then not woken: it wakes at the time of the cancelled alarm
and waits for the next one.
"""

from __future__ import annotations

import heapq
import itertools
import os
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Alarm:
    """A function that is called later, in a separate thread. `Alarms.call_after` creates it."""

    def __init__(self, function: Callable[[], object], lock: threading.Condition) -> None:
        self._function: Callable[[], object] | None = function
        self._lock = lock
        self._thread: threading.Thread | None = None

    @property
    def is_over(self) -> bool:
        """Whether it was cancelled, or has started to call the function."""
        return self._function is None

    def start(self) -> None:
        """Starts to call the function. The caller holds the lock."""
        if self._function is not None:
            self._thread = threading.Thread(target=self._function, daemon=True)
            self._function = None
            self._thread.start()

    def cancel(self) -> None:
        """Prevents the call, or waits for its end if it has started."""
        with self._lock:
            self._function = None  # releases what the function refers to
        if self._thread is not None:
            self._thread.join()


class Alarms:
    """The alarms of a process.

    Example:
        >>> alarm = Alarms().call_after(60, lambda: print("A minute is over."))
        >>> alarm.cancel()
    """

    def __init__(self) -> None:
        self._reset()
        os.register_at_fork(after_in_child=self._reset)  # a fork has no thread, and the lock may be held

    def _reset(self) -> None:
        self._changed = threading.Condition()
        self._numbers = itertools.count()
        self._pending: list[tuple[float, int, Alarm]] = []
        self._wakes_at = float("inf")
        self._thread: threading.Thread | None = None

    def call_after(self, seconds: float, function: Callable[[], object]) -> Alarm:
        """Calls a function after this many seconds unless the returned alarm is cancelled before."""
        at = time.monotonic() + seconds
        alarm = Alarm(function, self._changed)
        with self._changed:
            self._remove_cancelled()
            heapq.heappush(self._pending, (at, next(self._numbers), alarm))
            if self._thread is None:
                self._thread = threading.Thread(target=self._wait, daemon=True)
                self._thread.start()
            elif at < self._wakes_at:
                self._changed.notify()
        return alarm

    def _remove_cancelled(self) -> None:
        while self._pending and self._pending[0][2].is_over:
            heapq.heappop(self._pending)

    def _wait(self) -> None:
        changed = self._changed
        with changed:
            while True:
                now = time.monotonic()
                while self._pending and (self._pending[0][0] <= now or self._pending[0][2].is_over):
                    heapq.heappop(self._pending)[2].start()
                self._wakes_at = self._pending[0][0] if self._pending else float("inf")
                seconds = min(self._wakes_at - now, threading.TIMEOUT_MAX)
                changed.wait(seconds)


ALARMS = Alarms()
"""The alarms of this process."""
