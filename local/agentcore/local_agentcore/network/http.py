"""One end of an HTTP/1.1 connection: h11, a dependency of uvicorn, over asyncio streams, with limits.

h11 parses the received bytes into events and serializes events again, so that only well-formed requests are forwarded.
It does not change the target or the headers.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

import h11

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_HEADER_BYTES = 64 * 1024
"""Maximum size of a request's line and headers: enough for a presigned URL with a session token."""
CHUNK_BYTES = 256 * 1024
STALL_SECONDS = 300.0
"""Maximum time without a sent or received byte."""
LINGER_SECONDS = 2.0
MAX_LINGER_BYTES = 16 * 1024 * 1024

Event = h11.Event | type[h11.PAUSED] | type[h11.NEED_DATA]


class Peer:
    """The other end of a connection. Methods raise TimeoutError after STALL_SECONDS without progress."""

    def __init__(
        self, role: type[h11.CLIENT] | type[h11.SERVER], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Wraps a connection. `role` is the role of this process."""
        self.state = h11.Connection(role, max_incomplete_event_size=MAX_HEADER_BYTES)
        self._reader, self._writer, self._method = reader, writer, b""

    async def receive(self, seconds: float = STALL_SECONDS) -> Event:
        """Returns the next event: ConnectionClosed at the end, PAUSED while a new request cannot start.

        Raises:
            h11.RemoteProtocolError: The received bytes are not valid HTTP.
        """
        while True:
            event = self.state.next_event()
            if event is not h11.NEED_DATA:
                self._method = event.method if isinstance(event, h11.Request) else self._method
                return event
            async with asyncio.timeout(seconds):
                self.state.receive_data(await self._reader.read(CHUNK_BYTES))

    async def send(self, *events: h11.Event) -> None:
        """Sends events, and waits while the other end does not read."""
        for event in events:
            self._writer.write(self.state.send(event) or b"")
        async with asyncio.timeout(STALL_SECONDS):
            await self._writer.drain()

    async def respond(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """Sends a complete response, to HEAD without its body."""
        fields = [*headers.items(), ("content-length", str(len(body)))]
        content = h11.Data(data=b"" if self._method == b"HEAD" else body)
        await self.send(h11.Response(status_code=status, headers=fields), content, h11.EndOfMessage())

    def next_request(self) -> bool:
        """Prepares a persistent connection for its next request. Returns whether there can be one."""
        if self.state.our_state is not h11.DONE or self.state.their_state is not h11.DONE:
            return False
        self.state.start_next_cycle()
        return True

    async def linger(self) -> None:
        """Reads and discards data for up to LINGER_SECONDS: an immediate close could lose the sent response."""
        remaining = MAX_LINGER_BYTES
        with suppress(OSError, TimeoutError):
            if self._writer.can_write_eof():
                self._writer.write_eof()
            async with asyncio.timeout(LINGER_SECONDS):
                while remaining > 0 and (chunk := await self._reader.read(CHUNK_BYTES)):
                    remaining -= len(chunk)

    async def close(self) -> None:
        """Closes the connection. Can be called more than once."""
        self._writer.close()
        with suppress(OSError):
            await self._writer.wait_closed()
