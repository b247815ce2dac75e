"""Who may call: programs on this machine that sign with a secret key of the account. No web page, whatever it knows.

A page of a browser names where it comes from (`Origin`, `Sec-Fetch-Site`), and one whose name was made to resolve to
loopback sends that name as `Host`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    Message = dict[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]

MEBIBYTE = 1024 * 1024
MAX_BODY_BYTES = 256 * MEBIBYTE
"""Of a request: MiniStack holds all of it in memory. S3 itself takes 5 GiB, and parts of uploads are as good here."""
MAX_UNSIGNED_BODY_BYTES = MEBIBYTE
"""Of a request that needs no signature. CloudFormation takes 4 KiB of a custom resource."""
MAX_DRAINED_BYTES = 64 * MEBIBYTE
"""Read and thrown away of what is refused: a client that still sends may miss the answer."""
HEALTH = ("GET", "/_ministack/health")
CUSTOM_RESOURCE = ("PUT", "/_ministack/cfn-response/")
"""What needs no signature: how it is, and a custom resource's answer, whose address is its secret as on AWS."""
XML = '<?xml version="1.0" encoding="UTF-8"?>\n'
BROWSER_HEADERS = (b"origin", b"sec-fetch-site")


@dataclass(frozen=True)
class Request:
    """A request as it arrived, whole. Names of headers are in lower case; a repeated one is joined by commas."""

    method: str
    raw_path: str
    query: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Answer:
    """The answer to a request that goes no further."""

    status: int
    headers: dict[str, str]
    body: bytes


class _HungUpError(Exception):
    """The caller went away before its body was whole."""


class _TooLargeError(Exception):
    """A body is larger than may be."""


class Gateway:
    """An ASGI application that passes on what is admitted.

    `early` is asked before the body is read, with a request that has none: its answer is for what is refused whatever
    the body. `answer` is asked for what it answers or refuses itself.
    """

    def __init__(
        self,
        application: Callable[[Message, Receive, Send], Awaitable[None]],
        port: int,
        early: Callable[[Request], Answer | None],
        answer: Callable[[Request], Answer | None],
    ) -> None:
        self._application = application
        self._hosts = {f"127.0.0.1:{port}".encode(), f"localhost:{port}".encode()}
        self._early, self._answer = early, answer

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serves one connection of ASGI."""
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await self._application(scope, receive, send)

    async def _http(self, scope: Message, receive: Receive, send: Send) -> None:
        answer = self._stranger(scope["headers"])
        if answer is None:
            try:
                answer, body = await self._judged(scope, receive)
            except _HungUpError:
                return
            receive = _again(body, receive)
        if answer is not None:
            await _send(answer, send, is_head=scope["method"] == "HEAD")
            return
        # Loopback counts as TLS, so that TLS-only bucket policies admit it and still deny what they should.
        headers = [*scope["headers"], (b"x-forwarded-proto", b"https")]
        await self._application({**scope, "headers": headers}, receive, send)

    async def _judged(self, scope: Message, receive: Receive) -> tuple[Answer | None, bytes]:
        """Returns the answer to a request that goes no further, and the body of one that does."""
        is_open = _is_open(scope["method"], scope["path"])
        limit = MAX_UNSIGNED_BODY_BYTES if is_open else MAX_BODY_BYTES
        head = _request(scope, b"")
        refused = None if is_open else self._early(head)
        if refused is None and int(head.headers.get("content-length", "0")) > limit:
            refused = _too_large(limit)
        try:
            body = await _whole(receive, 0 if refused else limit)
        except _TooLargeError:
            return refused or _too_large(limit), b""
        if is_open or refused:
            return refused, body
        return self._answer(_request(scope, body)), body

    def _stranger(self, headers: Sequence[tuple[bytes, bytes]]) -> Answer | None:
        names = [name for name in BROWSER_HEADERS if any(header == name for header, _ in headers)]
        if names:
            return _denied(f"The header {names[0].decode()} was sent: web pages are not served.")
        hosts = [value for header, value in headers if header == b"host"]
        if len(hosts) != 1 or hosts[0] not in self._hosts:
            allowed = " | ".join(sorted(host.decode() for host in self._hosts))
            return _denied(f"Host is {b', '.join(hosts).decode('ascii', 'replace')!r}; allowed: {allowed}")
        return None


def _denied(message: str) -> Answer:
    body = json.dumps({"__type": "AccessDeniedException", "message": message}).encode()
    return Answer(403, {"content-type": "application/json"}, body)


def _too_large(limit: int) -> Answer:
    """The error in S3's words: what is as large is meant for S3."""
    message = f"A request has at most {limit // MEBIBYTE} MiB here: upload larger objects in parts"
    body = f"{XML}<Error><Code>EntityTooLarge</Code><Message>{message}</Message></Error>"
    return Answer(413, {"content-type": "application/xml"}, body.encode())


def _is_open(method: str, path: str) -> bool:
    return (method, path) == HEALTH or (method == CUSTOM_RESOURCE[0] and path.startswith(CUSTOM_RESOURCE[1]))


async def _whole(receive: Receive, limit: int) -> bytes:
    """Returns the body. Raises _HungUpError, and _TooLargeError, of which no more than `limit` was ever in memory."""
    body, size, more = bytearray(), 0, True
    while more and size <= limit + MAX_DRAINED_BYTES:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _HungUpError
        chunk: bytes = message.get("body", b"")
        size += len(chunk)
        if size <= limit:
            body += chunk
        else:
            body.clear()
        more = message.get("more_body", False)
    if size > limit:
        raise _TooLargeError
    return bytes(body)


def _again(body: bytes, receive: Receive) -> Receive:
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return messages.pop() if messages else await receive()

    return replay


def _request(scope: Message, body: bytes) -> Request:
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("utf-8", "replace")
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    path = scope["raw_path"].decode("latin-1").partition("?")[0]
    return Request(scope["method"], path, scope["query_string"].decode("utf-8", "replace"), headers, body)


async def _send(answer: Answer, send: Send, *, is_head: bool) -> None:
    headers = {**answer.headers, "content-length": str(len(answer.body))}
    encoded = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": answer.status, "headers": encoded})
    await send({"type": "http.response.body", "body": b"" if is_head else answer.body})
