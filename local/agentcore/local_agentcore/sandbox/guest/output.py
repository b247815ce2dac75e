"""Collects what a program prints, up to a limit that its streams share. The rest is read and thrown away."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass

READ_BYTES = 256 * 1024
LAST_READS = 16  # enough to empty a pipe of 1 MiB twice; a program that goes on printing must not hold the call open


@dataclass
class Budget:
    """How many bytes one call may still return. `exceeded` says that some were thrown away.

    `shared` is a budget that others take from as well.
    """

    remaining: int
    shared: Budget | None = None
    exceeded: bool = False
    consumed: int = 0

    def consume(self, data: bytes) -> bytes:
        """Returns as much of `data` as may be kept."""
        kept = data[: self.remaining] if self.shared is None else self.shared.consume(data[: self.remaining])
        self.remaining -= len(kept)
        self.consumed += len(kept)
        self.exceeded = self.exceeded or len(kept) < len(data)
        return kept

    def release(self) -> None:
        """Returns to the shared budget what was taken from it: it is kept no longer."""
        if self.shared is not None:
            self.shared.remaining += self.consumed
            self.consumed = 0


class Collector:
    """Follows one non-blocking descriptor while a call runs."""

    def __init__(self, descriptor: int, budget: Budget) -> None:
        self._descriptor = descriptor
        self._budget = budget
        self._data = bytearray()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(descriptor, self._read)

    def _read(self) -> bool:
        """Reads once. Returns whether there may be more."""
        try:
            data = os.read(self._descriptor, READ_BYTES)
        except BlockingIOError:
            return False
        except OSError:  # a terminal whose other end is closed answers EIO where a pipe answers with nothing
            data = b""
        self._data += self._budget.consume(data)
        if not data:
            self._loop.remove_reader(self._descriptor)
        return bool(data)

    def finish(self) -> bytes:
        """Takes what is still in the pipe, stops following, and returns everything collected."""
        for _ in range(LAST_READS):
            if not self._read():
                break
        self._loop.remove_reader(self._descriptor)
        return bytes(self._data)
