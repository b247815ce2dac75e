"""The host's end of the socket to a supervisor. What comes out of it is hostile until it has been checked here."""

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
    """Sends requests and matches answers to them; many may be on their way at once.

    The sandbox ends for all of them when the socket does, or when the supervisor breaks the protocol.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Frame]] = {}
        self._receiver: asyncio.Task[None] | None = None
        self.ended = asyncio.Event()

    @classmethod
    async def wrap(cls, connection: socket.socket) -> Channel:
        """Takes over a connected socket."""
        connection.setblocking(False)
        return cls(*await asyncio.open_connection(sock=connection, limit=BUFFER_BYTES))

    async def wait_ready(self) -> None:
        """Waits for the supervisor's first word, then goes on receiving.

        Raises:
            SandboxEndedError: it ended before it was ready.
        """
        try:
            frame = await receive(self._reader)
        except (asyncio.IncompleteReadError, ConnectionError, FrameError) as error:
            raise SandboxEndedError("the sandbox ended before it was ready") from error
        if frame.message.get("ready") is not True:
            raise SandboxEndedError("the sandbox did not say that it is ready")
        self._receiver = asyncio.create_task(self._receive())

    async def request(self, message: Mapping[str, Any], payload: bytes = b"") -> Frame:
        """Sends a request and returns its answer.

        Raises:
            FrameError: the request is larger than a frame. Nothing of it was sent.
            SandboxEndedError: there is no sandbox any more, or it does not keep to the protocol.
        """
        if self.ended.is_set():
            raise SandboxEndedError("the sandbox has ended")
        number = next(self._numbers)
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            await send(self._writer, Frame({"id": number, **message}, payload))
            return await answer
        except ConnectionError as error:
            raise SandboxEndedError("the sandbox has ended") from error
        finally:
            self._waiting.pop(number, None)

    async def close(self) -> None:
        """Closes the socket, which ends the supervisor if it is still there. What is not sent yet is lost."""
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
                answer = self._waiting.get(frame.message.get("id", 0))
                if answer is None:
                    raise FrameError("an answer that nobody asked for")
                if not answer.done():
                    answer.set_result(frame)
        except (asyncio.IncompleteReadError, ConnectionError, FrameError, TypeError):
            self._writer.close()
        finally:
            self._end()

    def _end(self) -> None:
        self.ended.set()
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(SandboxEndedError("the sandbox has ended"))
