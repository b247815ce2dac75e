"""The meter of a session's CPU time and memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from .records import Usage

if TYPE_CHECKING:
    from datetime import datetime


class Metered(Protocol):
    """What is measured: a sandbox."""

    def processor_seconds(self) -> float:
        """Returns the CPU time so far, in seconds."""
        ...

    def metered_bytes(self) -> int:
        """Returns the memory, in bytes."""
        ...


class Meter:
    """Measures the usage of a session. Sandboxes are started ahead, so that the CPU time before does not count."""

    def __init__(self, sandbox: Metered, now: datetime) -> None:
        self._sandbox, self._since = sandbox, now
        self._processor_seconds = sandbox.processor_seconds()
        self._memory_bytes = 0

    def read(self, now: datetime) -> Usage:
        """Returns the usage since the last reading. A sandbox that has ended has the memory of the last reading."""
        processor_seconds = max(self._sandbox.processor_seconds(), self._processor_seconds)
        self._memory_bytes = self._sandbox.metered_bytes() or self._memory_bytes
        seconds = (now - self._since).total_seconds()
        usage = Usage(seconds, processor_seconds - self._processor_seconds, self._memory_bytes * seconds)
        self._since, self._processor_seconds = now, processor_seconds
        return usage
