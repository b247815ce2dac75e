"""Sandboxes that are started ahead, so that a session starts without delay."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from typing import TYPE_CHECKING

from ..errors import SandboxUnavailableError
from .host import Sandbox

if TYPE_CHECKING:
    from .blueprint import Blueprint

IDLE_SECONDS = 0.05
"""Time in s without a request before a sandbox is started ahead. A start takes processor time from the caller."""

log = logging.getLogger(__name__)


class Pool:
    """Provides started sandboxes and replaces them. Owns the sandboxes that are not acquired yet."""

    def __init__(self, blueprint: Blueprint, size: int) -> None:
        self._blueprint = blueprint
        self._size = size
        self._ready: deque[Sandbox] = deque()
        self._filling: asyncio.Task[None] | None = None
        self._closed = False
        self._last_request = time.monotonic()

    def __len__(self) -> int:
        """Returns the number of started sandboxes."""
        return len(self._ready)

    async def acquire(self) -> Sandbox:
        """Returns a sandbox, which the caller must end.

        Raises:
            SandboxUnavailableError: No sandbox can be started.
        """
        self._last_request = time.monotonic()
        while self._ready:
            sandbox = self._ready.popleft()
            if sandbox.alive:
                self.fill()
                return sandbox
            await sandbox.end()
        sandbox = await self._start()
        self.fill()
        return sandbox

    def add(self, sandbox: Sandbox) -> None:
        """Adds a new sandbox that was started elsewhere."""
        self._ready.append(sandbox)

    def fill(self) -> None:
        """Starts missing sandboxes in the background."""
        if not self._closed and (self._filling is None or self._filling.done()):
            self._filling = asyncio.create_task(self._fill())

    async def close(self) -> None:
        """Ends every sandbox that was not acquired."""
        self._closed = True
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
        try:
            return await Sandbox.start(self._blueprint)
        except OSError as error:  # out of descriptors, processes or memory
            reason, fix = (
                f"another sandbox cannot be started: {error.strerror}",
                "Stop sessions, or raise `ulimit -n -u`",
            )
            raise SandboxUnavailableError(reason, fix) from error
