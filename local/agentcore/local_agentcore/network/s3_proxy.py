"""The sandbox's way to S3: passes on what is S3's, as it is, to the one S3 that the emulator was given.

Each request has a connection of its own to it, so that nothing of one can be taken for a part of another.
"""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from xml.sax.saxutils import escape

import h11

from .http import Peer
from .s3_requests import refusal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..sandbox.listeners import Handler

XML = '<?xml version="1.0" encoding="UTF-8"?>\n'
LOOPBACK = ("127.0.0.1", "localhost")
PORT_WITHOUT_UPSTREAM = 4566
IDLE_SECONDS = 75.0
CONNECT_SECONDS = 10.0
BODY_BYTES = 256 * 1024 * 1024
"""Of a request. An S3 in memory holds it all, and S3's own limit (5 GiB) is more than many machines have."""
MAX_CONCURRENT_UPLOADS = 4
"""Of one sandbox: so many bodies are on their way to S3, further ones wait."""
BODIES_BYTES = 2 * MAX_CONCURRENT_UPLOADS * BODY_BYTES
"""Of all sandboxes: so much of bodies is on its way to S3, further ones are refused. None of them takes it all."""
TOO_LARGE = (
    413,
    "EntityTooLarge",
    f"A sandbox sends at most {BODY_BYTES // 2**20} MiB in a request: upload larger objects in parts.",
)
TOO_MUCH = (503, "SlowDown", "The sandboxes of this emulator send too much at once: try again later.")
HOP_BY_HOP = frozenset(
    (b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"proxy-connection", b"te",
     b"trailer", b"upgrade", b"forwarded", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-port",
     b"x-forwarded-proto", b"x-real-ip")
)  # fmt: skip
"""What concerns one connection only (RFC 9110, 7.6.1), and what a proxy says of who is behind it."""


@dataclass(frozen=True)
class Upstream:
    """The S3 that sandboxes reach."""

    host: str
    port: int

    @classmethod
    def from_url(cls, url: str) -> Upstream:
        """Reads its URL.

        Raises:
            ValueError: it is not one that a sandbox can have on its own loopback, under the same name and port.
        """
        parts = urlsplit(url)
        if parts.scheme != "http" or parts.hostname not in LOOPBACK or parts.path.strip("/") or parts.query:
            raise ValueError(f"{url} is not of the form http://127.0.0.1:PORT")
        return cls(parts.hostname, parts.port or 80)

    @property
    def url(self) -> str:
        """Its address, which is also the one of the gate inside a sandbox: signatures hold the name and the port."""
        return f"http://{self.host}:{self.port}"


class _RefusedError(Exception):
    """A body is not passed on, or no further; its arguments are the answer's status, code and message."""


@dataclass
class _Room:
    """What is left of the bytes that bodies may have together, of all sandboxes."""

    left: int


class _Body:
    """How much of one body has come; what it takes of the room is given back at its end."""

    def __init__(self, room: _Room) -> None:
        self._room, self._bytes = room, 0

    def __enter__(self) -> _Body:
        return self

    def __exit__(self, *_: object) -> None:
        self._room.left += self._bytes

    def take(self, count: int) -> None:
        """Counts bytes that have come.

        Raises:
            _RefusedError: they are too many.
        """
        if self._bytes + count > BODY_BYTES:
            raise _RefusedError(*TOO_LARGE)
        if count > self._room.left:
            raise _RefusedError(*TOO_MUCH)
        self._bytes += count
        self._room.left -= count


class S3Proxy:
    """Serves connections of sandboxes; without an upstream with an error that says so."""

    def __init__(self, upstream: Upstream | None) -> None:
        self._upstream = upstream
        self._room = _Room(BODIES_BYTES)
        port = upstream.port if upstream else PORT_WITHOUT_UPSTREAM
        suffix = "" if port == 80 else f":{port}"
        self._hosts = frozenset(f"{host}{suffix}".encode() for host in LOOPBACK)
        self.address = ("127.0.0.1", port)
        self.url = upstream.url if upstream else f"http://127.0.0.1:{port}"

    def for_a_sandbox(self) -> Handler:
        """Returns who serves the connections of one sandbox."""
        uploads = asyncio.Semaphore(MAX_CONCURRENT_UPLOADS)

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await self._serve(Peer(h11.SERVER, reader, writer), uploads)

        return serve

    async def _serve(self, client: Peer, uploads: asyncio.Semaphore) -> None:
        try:
            while isinstance(request := await client.receive(IDLE_SECONDS), h11.Request):
                async with uploads if _has_body(request) else nullcontext():
                    goes_on = await self._handle(client, request)
                if not goes_on:
                    await client.linger()
                    return
        except h11.RemoteProtocolError as error:
            if client.state.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
                await _refuse(client, error.error_status_hint, "BadRequest", str(error))
                await client.linger()

    async def _handle(self, client: Peer, request: h11.Request) -> bool:
        """Serves one request; returns whether the connection takes another."""
        if self._upstream is None:
            await _refuse(client, 503, "ServiceUnavailable", "This emulator was started without S3: it needs --s3 URL.")
            return False
        reason = refusal(request, self._hosts)
        if reason is not None:
            await _refuse(client, 403, "AccessDenied", f"A sandbox reaches S3 alone. {reason}.")
            return False
        if _length(request) > BODY_BYTES:
            await _refuse(client, *TOO_LARGE)
            return False
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                streams = await asyncio.open_connection(self._upstream.host, self._upstream.port)
        except (OSError, TimeoutError):
            message = f"The S3 of this emulator, {self._upstream.url}, does not answer."
            await _refuse(client, 503, "ServiceUnavailable", message)
            return False
        upstream = Peer(h11.CLIENT, *streams)
        try:
            with _Body(self._room) as body:
                return await _exchange(client, upstream, request, body)
        except _RefusedError as refused:
            if client.state.our_state is h11.SEND_RESPONSE:  # nothing of an answer has been passed on yet
                await _refuse(client, *refused.args)
            return False
        finally:
            await upstream.close()


def _length(request: h11.Request) -> int:
    """The length that a request names; h11 has seen to it that it is a number, and that there is one."""
    return int(dict(request.headers).get(b"content-length", b"0"))


def _has_body(request: h11.Request) -> bool:
    return _length(request) > 0 or b"transfer-encoding" in dict(request.headers)


async def _exchange(client: Peer, upstream: Peer, request: h11.Request, body: _Body) -> bool:
    """Passes on a request and its answer, both at once: S3 may answer before it has read everything.

    Raises:
        _RefusedError: it has, or all bodies have, too many bytes.
    """
    await upstream.send(
        h11.Request(
            method=request.method,
            target=request.target,
            headers=[*_end_to_end(request.headers.raw_items()), (b"Connection", b"close")],
        )
    )
    sending = asyncio.create_task(_forward_body(client, upstream, body))
    answering = asyncio.create_task(_forward_response(upstream, client))
    try:
        await asyncio.wait({sending, answering}, return_when=asyncio.FIRST_COMPLETED)
        if sending.done() and (error := sending.exception()) is not None:
            if isinstance(error, _RefusedError):
                raise error
            return False  # the caller went away
        try:
            await answering
        except (h11.ProtocolError, OSError, TimeoutError):
            if client.state.our_state is h11.SEND_RESPONSE:  # nothing of an answer has been passed on yet
                await _refuse(client, 502, "BadGateway", "The S3 of this emulator broke off.")
            return False
        if not sending.done() and not client.state.they_are_waiting_for_100_continue:
            await asyncio.wait({sending}, timeout=1)
        return client.next_request()
    finally:
        sending.cancel()
        answering.cancel()
        await asyncio.gather(sending, answering, return_exceptions=True)


async def _forward_body(client: Peer, upstream: Peer, body: _Body) -> None:
    """Passes on a request's body. Ends early when S3 takes no more of it: it has answered, or soon will.

    Raises:
        h11.RemoteProtocolError, OSError, TimeoutError: the caller did not send all of it.
        _RefusedError: it is too large, or there is no room for it.
    """
    while True:
        event = await client.receive()
        if isinstance(event, h11.ConnectionClosed):
            raise ConnectionResetError("the caller closed the connection")
        last = isinstance(event, h11.EndOfMessage)
        if not last and not isinstance(event, h11.Data):
            return
        if isinstance(event, h11.Data):
            body.take(len(event.data))
        try:  # without trailers: what they say has not been judged
            await upstream.send(h11.EndOfMessage() if last else h11.Data(data=bytes(event.data)))
        except (h11.LocalProtocolError, OSError):
            return
        if last:
            return


async def _forward_response(upstream: Peer, client: Peer) -> None:
    """Passes on `100 Continue`, where it is awaited, and the answer."""
    while True:
        event = await upstream.receive()
        if isinstance(event, h11.InformationalResponse):
            if event.status_code == 100 and client.state.they_are_waiting_for_100_continue:
                await client.send(h11.InformationalResponse(status_code=100, headers=[]))
        elif isinstance(event, h11.Response):
            headers = list(_end_to_end(event.headers.raw_items()))
            await client.send(h11.Response(status_code=event.status_code, reason=event.reason, headers=headers))
        elif isinstance(event, h11.Data):
            await client.send(h11.Data(data=bytes(event.data)))
        elif isinstance(event, h11.EndOfMessage):
            await client.send(h11.EndOfMessage())
            return
        else:
            raise h11.RemoteProtocolError("the upstream closed the connection")


def _end_to_end(headers: Iterable[tuple[bytes, bytes]]) -> Iterable[tuple[bytes, bytes]]:
    return ((name, value) for name, value in headers if name.lower() not in HOP_BY_HOP)


async def _refuse(client: Peer, status: int, code: str, message: str) -> None:
    """Answers with an error as S3 writes it."""
    text = f"{XML}<Error><Code>{code}</Code><Message>{escape(message)}</Message></Error>"
    await client.answer(status, {"content-type": "application/xml", "connection": "close"}, text.encode())
