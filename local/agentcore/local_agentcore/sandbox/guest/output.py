"""Collects the output of a program up to a limit that its streams share. Further output is read and discarded."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass

READ_BYTES = 256 * 1024
MAX_FINAL_READS = 16  # empties a pipe of 1 MiB twice; a process that prints forever must not block the call


@dataclass
class Budget:
    """The output limit of one call.

    Attributes:
        remaining: Bytes that the call may still return.
        shared: A budget that several calls share, if any.
        exceeded: Whether output was discarded.
        consumed: Bytes of the shared budget that this one uses.
    """

    remaining: int
    shared: Budget | None = None
    exceeded: bool = False
    consumed: int = 0

    def consume(self, data: bytes) -> bytes:
        """Returns the part of `data` within the budget, and counts it."""
        part = data[: self.remaining] if self.shared is None else self.shared.consume(data[: self.remaining])
        self.remaining -= len(part)
        self.consumed += len(part)
        self.exceeded = self.exceeded or len(part) < len(data)
        return part

    def release(self) -> None:
        """Returns the consumed bytes to the shared budget, after the output was removed."""
        if self.shared is not None:
            self.shared.remaining += self.consumed
            self.consumed = 0


class Collector:
    """Reads one non-blocking descriptor while a call runs."""

    def __init__(self, descriptor: int, budget: Budget) -> None:
        self._descriptor = descriptor
        self._budget = budget
        self._data = bytearray()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(descriptor, self._read)

    def _read(self) -> bool:
        """Reads once. Returns whether more data may be available."""
        try:
            data = os.read(self._descriptor, READ_BYTES)
        except BlockingIOError:
            return False
        except OSError:  # EIO from a terminal whose other end is closed
            data = b""
        self._data += self._budget.consume(data)
        if not data:
            self._loop.remove_reader(self._descriptor)
        return bool(data)

    def finish(self) -> bytes:
        """Reads the rest of the pipe, stops reading, and returns all collected output."""
        for _ in range(MAX_FINAL_READS):
            if not self._read():
                break
        self._loop.remove_reader(self._descriptor)
        return bytes(self._data)
