"""One end of an HTTP/1.1 connection: h11, which uvicorn brings, over asyncio's streams, with bounds.

h11 reads what a caller sent into events and writes events anew, so that nothing but one well-formed request is ever
passed on; it keeps the target and the headers as they are.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

import h11

if TYPE_CHECKING:
    from collections.abc import Mapping

HEADER_BYTES = 64 * 1024
"""Of a request's line and headers: room for a presigned URL with a session token."""
CHUNK_BYTES = 256 * 1024
STALL_SECONDS = 300.0
"""In which some byte has to move, in either direction."""
LINGER_SECONDS = 2.0
LINGER_BYTES = 16 * 1024 * 1024

Event = h11.Event | type[h11.PAUSED] | type[h11.NEED_DATA]


class Peer:
    """Who is at the other end of a connection. Each method raises TimeoutError when nothing moves for too long."""

    def __init__(
        self, role: type[h11.CLIENT] | type[h11.SERVER], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """`role` is this process's own."""
        self.state = h11.Connection(role, max_incomplete_event_size=HEADER_BYTES)
        self._reader, self._writer = reader, writer

    async def receive(self, seconds: float = STALL_SECONDS) -> Event:
        """Returns what came next: ConnectionClosed at the end, PAUSED when a next request may not begin yet.

        Raises:
            h11.RemoteProtocolError: it is no HTTP.
        """
        while True:
            event = self.state.next_event()
            if event is not h11.NEED_DATA:
                return event
            async with asyncio.timeout(seconds):
                self.state.receive_data(await self._reader.read(CHUNK_BYTES))

    async def send(self, *events: h11.Event) -> None:
        """Sends events, and waits while the other end takes no more."""
        for event in events:
            self._writer.write(self.state.send(event) or b"")
        async with asyncio.timeout(STALL_SECONDS):
            await self._writer.drain()

    async def answer(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """Sends a whole answer. To HEAD it goes without the body."""
        fields = [*headers.items(), ("content-length", str(len(body)))]
        await self.send(h11.Response(status_code=status, headers=fields), h11.Data(data=body), h11.EndOfMessage())

    def next_request(self) -> bool:
        """Makes way for the next request of a kept connection; returns whether there may be one."""
        if self.state.our_state is not h11.DONE or self.state.their_state is not h11.DONE:
            return False
        self.state.start_next_cycle()
        return True

    async def linger(self) -> None:
        """Reads on for a moment what is not wanted any more: closing at once would take the answer away with it."""
        left = LINGER_BYTES
        with suppress(OSError, TimeoutError):
            if self._writer.can_write_eof():
                self._writer.write_eof()
            async with asyncio.timeout(LINGER_SECONDS):
                while left > 0 and (chunk := await self._reader.read(CHUNK_BYTES)):
                    left -= len(chunk)

    async def close(self) -> None:
        """Closes the connection, if this has not happened yet."""
        self._writer.close()
        with suppress(OSError):
            await self._writer.wait_closed()
