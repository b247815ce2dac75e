"""The HTTP gateway in front of MiniStack. It admits local programs that sign their requests, and rejects web pages.

A browser names the origin of a request (`Origin`, `Sec-Fetch-Site`). A page whose domain was made to resolve to
loopback (DNS rebinding) sends that domain as `Host`.
"""

from __future__ import annotations

import contextvars
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from local_aws.ministack.request_body import (
    MIN_AVAILABLE_BYTES,
    Body,
    BodyWriter,
    DiskFullError,
    MemoryFullError,
    require_memory,
)
from local_aws.settings import MIN_FREE_BYTES

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    Message = dict[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]

MEBIBYTE = 1024 * 1024
MAX_OBJECT_BYTES = 5 * 1024 * MEBIBYTE
"""Limit of an object or part that is uploaded to S3, which is held in a file. It is that of S3.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/upload-objects.html
"""
MAX_BODY_BYTES = 256 * MEBIBYTE
"""Limit of other request bodies, which are held in memory."""
MAX_UNSIGNED_BODY_BYTES = MEBIBYTE
"""Limit of a request body without a signature. CloudFormation accepts 4 KiB from a custom resource."""
MAX_DRAINED_BYTES = 64 * MEBIBYTE
"""Bytes of a rejected body that are read and discarded: a client that is still sending may miss the response."""
MEMORY_FULL = (
    f"The machine of the embedded AWS has less than {MIN_AVAILABLE_BYTES // MEBIBYTE} MiB of memory available besides "
    "this object: delete objects, or end other programs"
)
HEALTH = ("GET", "/_ministack/health")
CUSTOM_RESOURCE = ("PUT", "/_ministack/cfn-response/")
"""The response of a custom resource. Like `HEALTH`, it needs no signature: its URL is secret, as on AWS."""
XML = '<?xml version="1.0" encoding="UTF-8"?>\n'
BROWSER_HEADERS = (b"origin", b"sec-fetch-site")


@dataclass(frozen=True)
class Request:
    """A complete request. Header names are in lower case; values of repeated headers are joined by commas."""

    method: str
    raw_path: str
    query: str
    headers: dict[str, str]
    body: Body


current_request: contextvars.ContextVar[Request | None] = contextvars.ContextVar("current_request", default=None)
"""The HTTP request that MiniStack handles."""


@dataclass(frozen=True)
class Response:
    """A response of the gateway itself."""

    status: int
    headers: dict[str, str]
    body: bytes


class _DisconnectedError(Exception):
    """The client closed the connection before it sent the whole body."""


class _TooLargeError(Exception):
    """The body exceeds the limit."""


class Gateway:
    """An ASGI application that forwards admitted requests to another one.

    Args:
        application: The application behind the gateway.
        port: The port of the gateway, for the check of `Host`.
        before_body: Called before the body is read, with a request whose body is empty. Its response rejects the
            request, whatever the body.
        with_body: Called with the complete request. Its response is sent instead of forwarding the request.
        is_upload: Returns whether a request uploads an object to S3. The request has no body yet. Large bodies of these
            requests are held in a file.
    """

    def __init__(
        self,
        application: Callable[[Message, Receive, Send], Awaitable[None]],
        port: int,
        before_body: Callable[[Request], Response | None],
        with_body: Callable[[Request], Response | None],
        is_upload: Callable[[Request], bool],
    ) -> None:
        self._application = application
        self._hosts = {f"127.0.0.1:{port}".encode(), f"localhost:{port}".encode()}
        self._before_body, self._with_body, self._is_upload = before_body, with_body, is_upload

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serves one ASGI connection."""
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await self._application(scope, receive, send)

    async def _http(self, scope: Message, receive: Receive, send: Send) -> None:
        response = self._reject_browser(scope["headers"])
        if response is None:
            try:
                response, body = await self._check(scope, receive)
            except _DisconnectedError:
                return
            receive = _replay(body, receive)
        if response is not None:
            await _send(response, send, is_head=scope["method"] == "HEAD")
            return
        # Loopback counts as TLS: bucket policies that require TLS admit these requests.
        headers = [*scope["headers"], (b"x-forwarded-proto", b"https")]
        await self._application({**scope, "headers": headers}, receive, send)

    async def _check(self, scope: Message, receive: Receive) -> tuple[Response | None, Body]:
        """Returns the response to a request that is not forwarded, and the body of one that is."""
        is_unsigned = _needs_no_signature(scope["method"], scope["path"])
        head = _request(scope, b"")
        rejection = None if is_unsigned else self._before_body(head)
        is_upload = rejection is None and not is_unsigned and self._is_upload(head)
        limit = MAX_UNSIGNED_BODY_BYTES if is_unsigned else MAX_OBJECT_BYTES if is_upload else MAX_BODY_BYTES
        if rejection is None and int(head.headers.get("content-length", "0")) > limit:
            rejection = _too_large(limit)
        try:
            body = await _read_body(receive, BodyWriter(in_file=is_upload), 0 if rejection else limit)
            stays_in_memory = isinstance(body, bytes) and (head.method == "PUT" or len(body) > MEBIBYTE)
            if stays_in_memory and not (is_unsigned or rejection):
                require_memory()
        except _TooLargeError:
            return rejection or _too_large(limit), b""
        except DiskFullError:
            return _disk_full(), b""
        except MemoryFullError:
            return _entity_too_large(MEMORY_FULL), b""
        if is_unsigned or rejection:
            return rejection, body
        return self._with_body(_request(scope, body)), body

    def _reject_browser(self, headers: Sequence[tuple[bytes, bytes]]) -> Response | None:
        names = [name for name in BROWSER_HEADERS if any(header == name for header, _ in headers)]
        if names:
            return _access_denied(f"The request has the header {names[0].decode()}: web pages are rejected.")
        hosts = [value for header, value in headers if header == b"host"]
        if len(hosts) != 1 or hosts[0] not in self._hosts:
            allowed = " | ".join(sorted(host.decode() for host in self._hosts))
            return _access_denied(f"Host is {b', '.join(hosts).decode('ascii', 'replace')!r}; allowed: {allowed}")
        return None


def _access_denied(message: str) -> Response:
    body = json.dumps({"__type": "AccessDeniedException", "message": message}).encode()
    return Response(403, {"content-type": "application/json"}, body)


def _too_large(limit: int) -> Response:
    """Returns S3's error, because only requests to S3 have bodies of this size."""
    return _entity_too_large(
        f"The request body exceeds {limit // MEBIBYTE} MiB: use a multipart upload for larger objects"
    )


def _disk_full() -> Response:
    """Returns S3's error for a body that is too large, which clients do not retry."""
    return _entity_too_large(
        f"The disk of the embedded AWS has less than {MIN_FREE_BYTES // MEBIBYTE} MiB free besides this object: free "
        "some space, or start the embedded AWS with another --state"
    )


def _entity_too_large(message: str) -> Response:
    body = f"{XML}<Error><Code>EntityTooLarge</Code><Message>{message}</Message></Error>"
    return Response(413, {"content-type": "application/xml"}, body.encode())


def _needs_no_signature(method: str, path: str) -> bool:
    return (method, path) == HEALTH or (method == CUSTOM_RESOURCE[0] and path.startswith(CUSTOM_RESOURCE[1]))


async def _read_body(receive: Receive, writer: BodyWriter, limit: int) -> Body:
    """Returns the body, which `writer` collects. Holds at most `limit` bytes.

    Raises:
        _DisconnectedError: The client closed the connection.
        _TooLargeError: The body exceeds `limit`.
        DiskFullError: The disk has too little free space.
    """
    size, more = 0, True
    while more and size <= limit + MAX_DRAINED_BYTES:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _DisconnectedError
        chunk: bytes = message.get("body", b"")
        size += len(chunk)
        if size <= limit:
            writer.write(chunk)
        else:
            writer = BodyWriter(in_file=False)  # releases what has been collected
        more = message.get("more_body", False)
    if size > limit:
        raise _TooLargeError
    return writer.body()


def _replay(body: Body, receive: Receive) -> Receive:
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return messages.pop() if messages else await receive()

    return replay


def _request(scope: Message, body: Body) -> Request:
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("utf-8", "replace")
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    path = scope["raw_path"].decode("latin-1").partition("?")[0]
    return Request(scope["method"], path, scope["query_string"].decode("utf-8", "replace"), headers, body)


async def _send(response: Response, send: Send, *, is_head: bool) -> None:
    headers = {**response.headers, "content-length": str(len(response.body))}
    encoded = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": response.status, "headers": encoded})
    await send({"type": "http.response.body", "body": b"" if is_head else response.body})
