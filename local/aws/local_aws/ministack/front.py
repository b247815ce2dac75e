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

OPEN = (("GET", "/_ministack/health"), ("PUT", "/_ministack/cfn-response/"))
"""What needs no signature: how it is, and a custom resource's answer, whose address is its secret as on AWS."""
OF_A_BROWSER = (b"origin", b"sec-fetch-site")


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


class Front:
    """An ASGI application that passes on what is admitted: `answer` is asked for what it answers or refuses itself."""

    def __init__(
        self,
        application: Callable[[Message, Receive, Send], Awaitable[None]],
        port: int,
        answer: Callable[[Request], Answer | None],
    ) -> None:
        self._application = application
        self._hosts = {f"127.0.0.1:{port}".encode(), f"localhost:{port}".encode()}
        self._answer = answer

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
        if answer is None and not _is_open(scope):
            body = await _whole(receive)
            if body is None:
                return
            receive = _again(body, receive)
            answer = self._answer(_request(scope, body))
        if answer is not None:
            await _send(answer, send, is_head=scope["method"] == "HEAD")
            return
        # Loopback counts as TLS, so that TLS-only bucket policies admit it and still deny what they should.
        headers = [*scope["headers"], (b"x-forwarded-proto", b"https")]
        await self._application({**scope, "headers": headers}, receive, send)

    def _stranger(self, headers: Sequence[tuple[bytes, bytes]]) -> Answer | None:
        names = [name for name in OF_A_BROWSER if any(header == name for header, _ in headers)]
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


def _is_open(scope: Message) -> bool:
    return any(scope["method"] == method and scope["path"].startswith(path) for method, path in OPEN)


async def _whole(receive: Receive) -> bytes | None:
    """The body, or None when the caller hung up."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        if not message.get("more_body", False):
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
