"""The host's end of the socket to a supervisor. Received messages are untrusted until they are checked here."""

from __future__ import annotations

import asyncio
import itertools
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ..errors import SandboxEndedError
from .guest.frames import Frame, FrameError, receive, send

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping

BUFFER_BYTES = 1024 * 1024


class Channel:
    """Sends requests and matches responses to them. Many requests may be in progress at the same time.

    All of them fail when the socket is closed or the supervisor violates the protocol.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._numbers = itertools.count(1)
        self._pending: dict[int, asyncio.Future[Frame]] = {}
        self._receiver: asyncio.Task[None] | None = None
        self.ended = asyncio.Event()

    @classmethod
    async def wrap(cls, connection: socket.socket) -> Channel:
        """Takes over a connected socket."""
        connection.setblocking(False)
        return cls(*await asyncio.open_connection(sock=connection, limit=BUFFER_BYTES))

    async def wait_ready(self) -> None:
        """Waits for the supervisor's ready message, then starts to receive responses.

        Raises:
            SandboxEndedError: The sandbox ended before it was ready.
        """
        try:
            frame = await receive(self._reader)
        except (asyncio.IncompleteReadError, ConnectionError, FrameError) as error:
            raise SandboxEndedError("the sandbox ended before it was ready") from error
        if frame.message.get("ready") is not True:
            raise SandboxEndedError("the sandbox did not report that it is ready")
        self._receiver = asyncio.create_task(self._receive())

    async def request(self, message: Mapping[str, Any], payload: bytes = b"") -> Frame:
        """Sends a request and returns its response.

        Raises:
            FrameError: The request exceeds the size of a frame. Nothing was sent.
            SandboxEndedError: The sandbox has ended or violates the protocol.
        """
        if self.ended.is_set():
            raise SandboxEndedError("the sandbox has ended")
        number = next(self._numbers)
        response = self._pending[number] = asyncio.get_running_loop().create_future()
        try:
            await send(self._writer, Frame({"id": number, **message}, payload))
            return await response
        except ConnectionError as error:
            raise SandboxEndedError("the sandbox has ended") from error
        finally:
            self._pending.pop(number, None)

    async def close(self) -> None:
        """Closes the socket, which ends the supervisor if it still runs. Unsent data is lost."""
        self._writer.transport.abort()
        if self._receiver is not None:
            self._receiver.cancel()
            with suppress(asyncio.CancelledError):
                await self._receiver
        self._end()

    async def _receive(self) -> None:
        try:
            while True:
                frame = await receive(self._reader)
                response = self._pending.get(frame.message.get("id", 0))
                if response is None:
                    raise FrameError("a response to no request")
                if not response.done():
                    response.set_result(frame)
        except (asyncio.IncompleteReadError, ConnectionError, FrameError, TypeError):
            self._writer.close()
        finally:
            self._end()

    def _end(self) -> None:
        self.ended.set()
        for response in self._pending.values():
            if not response.done():
                response.set_exception(SandboxEndedError("the sandbox has ended"))
