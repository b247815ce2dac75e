"""Proxy between sandboxes and S3. Forwards S3 requests unchanged to the S3 endpoint of the emulator.

Each request uses a separate upstream connection, so that no part of a request can be read as another request.
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
from .s3_requests import rejection

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ..sandbox.listeners import Handler

    Header = tuple[bytes, bytes]

XML = '<?xml version="1.0" encoding="UTF-8"?>\n'
LOOPBACK = ("127.0.0.1", "localhost")
PORT_WITHOUT_UPSTREAM = 4566
IDLE_SECONDS = 75.0
CONNECT_SECONDS = 10.0
MAX_BODY_BYTES = 5 * 1024**3
"""Maximum size of a request body, which is that of S3. Bodies are forwarded as they arrive; S3 stores them.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/upload-objects.html
"""
MAX_CONCURRENT_UPLOADS = 4
"""Maximum number of concurrent requests with a body per sandbox. Further requests wait."""
MAX_SANDBOX_BODY_BYTES = MAX_BODY_BYTES
"""Maximum total size of the bodies in transit of one sandbox. Further bodies are rejected."""
MAX_TOTAL_BODY_BYTES = 2 * MAX_SANDBOX_BODY_BYTES
"""Maximum total size of the bodies in transit of all sandboxes. One sandbox cannot use the entire limit."""
TOO_LARGE = (
    413,
    "EntityTooLarge",
    f"The body is too large; allowed: {MAX_BODY_BYTES // 2**30} GiB per request. Use a multipart upload.",
)
BUDGET_EXCEEDED = (
    503,
    "SlowDown",
    "The sandboxes of this emulator send too much data at the same time. Try again later.",
)
SOURCE_SUBNET = b"x-local-source-subnet"
"""Header with a subnet of the interpreter in VPC mode whose sandbox sends the request. An emulator of S3 can derive the
condition key `aws:SourceVpc` from it. The header is removed from what sandboxes send. With an authorizer, the value is
signed (`Authorizer.sign`)."""
HOP_BY_HOP = frozenset(
    (b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"proxy-connection", b"te",
     b"trailer", b"upgrade", b"forwarded", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-port",
     b"x-forwarded-proto", b"x-real-ip", SOURCE_SUBNET)
)  # fmt: skip
"""Headers of one connection (RFC 9110, section 7.6.1), and headers that proxies add about their clients."""


@dataclass(frozen=True)
class Upstream:
    """The S3 endpoint that sandboxes reach."""

    host: str
    port: int

    @classmethod
    def from_url(cls, url: str) -> Upstream:
        """Parses the endpoint's URL.

        Raises:
            ValueError: The URL is not an HTTP URL on loopback, which a sandbox serves under the same name and port.
        """
        parts = urlsplit(url)
        if parts.scheme != "http" or parts.hostname not in LOOPBACK or parts.path.strip("/") or parts.query:
            raise ValueError(f"{url} is not of the form http://127.0.0.1:PORT")
        return cls(parts.hostname, parts.port or 80)

    @property
    def url(self) -> str:
        """Returns the URL, also that of the proxy inside a sandbox: signatures contain the host and port."""
        return f"http://{self.host}:{self.port}"


class _BodyRejectedError(Exception):
    """A body is not forwarded, or not completely. The arguments are the response's status, code and message."""


@dataclass
class _ByteBudget:
    """The remaining bytes for bodies in transit: of one sandbox, or of all."""

    remaining: int


class _BodyCounter:
    """Counts the bytes of one body against budgets, and returns them to the budgets at the end."""

    def __init__(self, *budgets: _ByteBudget) -> None:
        self._budgets, self._bytes = budgets, 0

    def __enter__(self) -> _BodyCounter:
        return self

    def __exit__(self, *_: object) -> None:
        for budget in self._budgets:
            budget.remaining += self._bytes

    def add(self, count: int) -> None:
        """Counts received bytes.

        Raises:
            _BodyRejectedError: The bytes exceed the limit of a body or a budget.
        """
        if self._bytes + count > MAX_BODY_BYTES:
            raise _BodyRejectedError(*TOO_LARGE)
        if any(count > budget.remaining for budget in self._budgets):
            raise _BodyRejectedError(*BUDGET_EXCEEDED)
        self._bytes += count
        for budget in self._budgets:
            budget.remaining -= count


class S3Proxy:
    """Serves S3 connections of sandboxes. Without an upstream, every request gets an error."""

    def __init__(self, upstream: Upstream | None) -> None:
        self._upstream = upstream
        self._budget = _ByteBudget(MAX_TOTAL_BODY_BYTES)
        port = upstream.port if upstream else PORT_WITHOUT_UPSTREAM
        suffix = "" if port == 80 else f":{port}"
        self._hosts = frozenset(f"{host}{suffix}".encode() for host in LOOPBACK)
        self.address = ("127.0.0.1", port)
        self.url = upstream.url if upstream else f"http://127.0.0.1:{port}"

    def handler(self, source: str | None = None) -> Handler:
        """Returns the connection handler of one sandbox.

        Args:
            source: The value of SOURCE_SUBNET. Default: the interpreter is in another mode.
        """
        added = [] if source is None else [(SOURCE_SUBNET, source.encode())]
        uploads, budget = asyncio.Semaphore(MAX_CONCURRENT_UPLOADS), _ByteBudget(MAX_SANDBOX_BODY_BYTES)

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await self._serve(Peer(h11.SERVER, reader, writer), added, uploads, budget)

        return serve

    async def _serve(
        self, client: Peer, added: Sequence[Header], uploads: asyncio.Semaphore, budget: _ByteBudget
    ) -> None:
        try:
            while isinstance(request := await client.receive(IDLE_SECONDS), h11.Request):
                async with uploads if _has_body(request) else nullcontext():
                    keep_alive = await self._handle(client, request, added, budget)
                if not keep_alive:
                    await client.linger()
                    return
        except h11.RemoteProtocolError as error:
            if client.state.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
                await _reject(client, error.error_status_hint, "BadRequest", str(error))
                await client.linger()

    async def _handle(self, client: Peer, request: h11.Request, added: Sequence[Header], budget: _ByteBudget) -> bool:
        """Serves one request. Returns whether the connection stays open."""
        if self._upstream is None:
            await _reject(client, 503, "ServiceUnavailable", "The emulator has no S3. Start it with --s3 URL.")
            return False
        reason = rejection(request, self._hosts)
        if reason is not None:
            await _reject(client, 403, "AccessDenied", f"Sandboxes can send only S3 requests here. {reason}.")
            return False
        if _length(request) > MAX_BODY_BYTES:
            await _reject(client, *TOO_LARGE)
            return False
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                streams = await asyncio.open_connection(self._upstream.host, self._upstream.port)
        except (OSError, TimeoutError):
            message = f"The S3 endpoint of this emulator, {self._upstream.url}, does not respond."
            await _reject(client, 503, "ServiceUnavailable", message)
            return False
        upstream = Peer(h11.CLIENT, *streams)
        try:
            with _BodyCounter(budget, self._budget) as body:
                return await _exchange(client, upstream, request, added, body)
        except _BodyRejectedError as rejected:
            if client.state.our_state is h11.SEND_RESPONSE:  # no part of a response has been forwarded yet
                await _reject(client, *rejected.args)
            return False
        finally:
            await upstream.close()


def _length(request: h11.Request) -> int:
    """Returns the Content-Length. h11 has verified that it is a number and occurs once."""
    return int(dict(request.headers).get(b"content-length", b"0"))


def _has_body(request: h11.Request) -> bool:
    return _length(request) > 0 or b"transfer-encoding" in dict(request.headers)


async def _exchange(
    client: Peer, upstream: Peer, request: h11.Request, added: Sequence[Header], body: _BodyCounter
) -> bool:
    """Forwards a request and its response concurrently: S3 can respond before it has read the whole body.

    Args:
        client: The sandbox.
        upstream: The S3 endpoint.
        request: The request of the sandbox.
        added: Headers that are added to the request.
        body: The counter of the body.

    Raises:
        _BodyRejectedError: The body exceeds a limit.
    """
    await upstream.send(
        h11.Request(
            method=request.method,
            target=request.target,
            headers=[*_end_to_end(request.headers.raw_items()), *added, (b"Connection", b"close")],
        )
    )
    sending = asyncio.create_task(_forward_body(client, upstream, body))
    receiving = asyncio.create_task(_forward_response(upstream, client))
    try:
        await asyncio.wait({sending, receiving}, return_when=asyncio.FIRST_COMPLETED)
        if sending.done() and (error := sending.exception()) is not None:
            if isinstance(error, _BodyRejectedError):
                raise error
            return False  # the client closed the connection
        try:
            await receiving
        except (h11.ProtocolError, OSError, TimeoutError):
            if client.state.our_state is h11.SEND_RESPONSE:  # no part of a response has been forwarded yet
                await _reject(client, 502, "BadGateway", "The S3 endpoint of this emulator closed the connection.")
            return False
        if not sending.done() and not client.state.they_are_waiting_for_100_continue:
            await asyncio.wait({sending}, timeout=1)
        return client.next_request()
    finally:
        sending.cancel()
        receiving.cancel()
        await asyncio.gather(sending, receiving, return_exceptions=True)


async def _forward_body(client: Peer, upstream: Peer, body: _BodyCounter) -> None:
    """Forwards a request's body. Returns early if S3 stops reading, since it has responded or will soon.

    Raises:
        h11.RemoteProtocolError, OSError, TimeoutError: The client did not send the whole body.
        _BodyRejectedError: The body exceeds a limit.
    """
    while True:
        event = await client.receive()
        if isinstance(event, h11.ConnectionClosed):
            raise ConnectionResetError("the client closed the connection")
        last = isinstance(event, h11.EndOfMessage)
        if not last and not isinstance(event, h11.Data):
            return
        if isinstance(event, h11.Data):
            body.add(len(event.data))
        try:  # without trailers, which have not been checked
            await upstream.send(h11.EndOfMessage() if last else h11.Data(data=bytes(event.data)))
        except (h11.LocalProtocolError, OSError):
            return
        if last:
            return


async def _forward_response(upstream: Peer, client: Peer) -> None:
    """Forwards the response, and `100 Continue` if the client waits for it."""
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


async def _reject(client: Peer, status: int, code: str, message: str) -> None:
    """Responds with an error in S3's format."""
    text = f"{XML}<Error><Code>{code}</Code><Message>{escape(message)}</Message></Error>"
    await client.respond(status, {"content-type": "application/xml", "connection": "close"}, text.encode())
