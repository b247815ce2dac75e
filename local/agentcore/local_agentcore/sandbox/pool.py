"""Sandboxes that are started ahead, so that a session starts without delay."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING

from ..errors import SandboxUnavailableError
from .host import Sandbox

if TYPE_CHECKING:
    from .blueprint import Blueprint
    from .budget import Budget

IDLE_SECONDS = 0.05
"""Time in s without a request before a sandbox is started ahead. A start takes processor time from the caller."""

log = logging.getLogger(__name__)


class Pool:
    """Provides started sandboxes and replaces them. Owns the sandboxes that are not acquired yet."""

    def __init__(self, blueprint: Blueprint, size: int, budget: Budget) -> None:
        self._blueprint, self._size, self._budget = blueprint, size, budget
        self._ready: deque[Sandbox] = deque()
        self._filling: asyncio.Task[None] | None = None
        self._starts: set[asyncio.Task[Sandbox]] = set()
        self._closed = False
        self._last_request = time.monotonic()

    def __len__(self) -> int:
        """Returns the number of started sandboxes."""
        return len(self._ready)

    async def acquire(self) -> Sandbox:
        """Returns a sandbox, which the caller must end.

        Raises:
            SandboxUnavailableError: No sandbox can be started, or the pool is closed.
        """
        self._last_request = time.monotonic()
        while self._ready:
            sandbox = self._ready.popleft()
            if sandbox.alive:
                break
            await sandbox.end()
        else:
            sandbox = await self._start()
        sandbox.assign()
        self.fill()
        return sandbox

    async def prove(self) -> None:
        """Starts a first sandbox, to find out whether code can be isolated. Keeps it if the pool has a size.

        Raises:
            SandboxUnavailableError: Code cannot be isolated on this machine.
        """
        sandbox = await self._start()
        if self._size:
            self._ready.append(sandbox)
            self.fill()
        else:
            await sandbox.end()

    def fill(self) -> None:
        """Starts missing sandboxes in the background."""
        if not self._closed and (self._filling is None or self._filling.done()):
            self._filling = asyncio.create_task(self._fill())

    async def close(self) -> None:
        """Cancels all starts, and ends every sandbox that was not acquired. Further starts fail."""
        self._closed = True
        for start in list(self._starts):
            start.cancel()
        await asyncio.gather(*self._starts, return_exceptions=True)
        if self._filling is not None:
            await self._filling
        await asyncio.gather(*(sandbox.end() for sandbox in self._ready))
        self._ready.clear()

    async def _fill(self) -> None:
        while len(self._ready) < self._size and not self._closed:
            if (wait := self._last_request + IDLE_SECONDS - time.monotonic()) > 0:
                await asyncio.sleep(wait)
                continue
            try:
                self._ready.append(await self._start())
            except SandboxUnavailableError as error:
                log.warning("A sandbox could not be started ahead: %s", error)
                return

    async def _start(self) -> Sandbox:
        if self._closed:
            raise _closed_error()
        start = asyncio.create_task(self._start_within_budget())
        self._starts.add(start)
        start.add_done_callback(self._starts.discard)
        try:
            return await asyncio.shield(start)
        except asyncio.CancelledError:
            if start.cancelled():
                raise _closed_error() from None
            start.cancel()
            with suppress(asyncio.CancelledError, SandboxUnavailableError):
                await (await start).end()  # it had started
            raise

    async def _start_within_budget(self) -> Sandbox:
        try:
            async with self._budget.starting():
                sandbox = await Sandbox.start(self._blueprint)
                self._budget.add(sandbox)
                return sandbox
        except OSError as error:  # out of descriptors, processes or memory
            reason = f"another sandbox cannot be started: {error.strerror or error}"
            raise SandboxUnavailableError(reason, "Stop sessions, or raise `ulimit -n -u`") from error


def _closed_error() -> SandboxUnavailableError:
    return SandboxUnavailableError("the emulator is ending", "Start it again")
