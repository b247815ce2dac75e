"""Listeners on a sandbox's loopback, passed out of its network namespace and served by the emulator."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress

MAX_CONNECTIONS = 64
"""Open connections of one listener. Further connections wait in the kernel's queue, whose length the launcher sets."""
HANDOVER_SECONDS = 60.0
BUFFER_BYTES = 256 * 1024

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

log = logging.getLogger(__name__)


async def receive_descriptors(connection: socket.socket, count: int) -> list[int]:
    """Returns the descriptors that the launcher sends, or none if it ends or sends nothing within 60 s."""
    loop = asyncio.get_running_loop()
    readable: asyncio.Future[None] = loop.create_future()
    loop.add_reader(connection, lambda: readable.done() or readable.set_result(None))
    try:
        await asyncio.wait_for(readable, HANDOVER_SECONDS)
    except TimeoutError:
        return []
    finally:
        loop.remove_reader(connection)
    _, descriptors, _, _ = socket.recv_fds(connection, 1, count, socket.MSG_CMSG_CLOEXEC)
    return descriptors


class Listener:
    """Accepts a limited number of connections from one sandbox and serves each with a handler."""

    def __init__(self, listener: socket.socket) -> None:
        """Takes over a listening socket."""
        listener.setblocking(False)
        self._listener = listener
        self._slots = asyncio.Semaphore(MAX_CONNECTIONS)
        self._tasks: set[asyncio.Task[None]] = set()

    def serve(self, handler: Handler) -> None:
        """Starts to accept connections. Earlier connections wait in the queue."""
        self._start(self._accept(handler))

    async def close(self) -> None:
        """Closes the listener and all open connections."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._listener.close()

    def _start(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _accept(self, handler: Handler) -> None:
        while True:
            await self._slots.acquire()
            try:
                connection, _ = await asyncio.get_running_loop().sock_accept(self._listener)
            except OSError as error:  # this process has no descriptor left, or the client has disconnected
                self._slots.release()
                log.warning("A connection from a sandbox could not be accepted: %s", error.strerror)
                await asyncio.sleep(0.1)
                continue
            self._start(self._serve(connection, handler))

    async def _serve(self, connection: socket.socket, handler: Handler) -> None:
        try:
            reader, writer = await asyncio.open_connection(sock=connection, limit=BUFFER_BYTES)
            try:
                await handler(reader, writer)
            finally:
                writer.close()
                with suppress(OSError):
                    await writer.wait_closed()
        except (OSError, TimeoutError):
            pass  # the client disconnected or timed out
        except Exception:
            log.exception("A connection from a sandbox failed")
        finally:
            connection.close()
            self._slots.release()
