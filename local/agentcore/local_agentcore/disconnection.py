"""Closes a client's TCP connection during a call, as a network failure or a dying server would."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.responses import Response
from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    import asyncio

    from starlette.types import Receive, Scope, Send

    from .faults import Timing
    from .protocol import HttpResponse

TRANSPORT = "transport"


class ProtocolWithTransport(H11Protocol):
    """uvicorn's protocol, which puts a connection's transport into the `state` of its ASGI scope."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Starts to serve a connection."""
        self.app_state: dict[str, Any] = {**self.app_state, TRANSPORT: transport}
        super().connection_made(transport)


class InterruptedResponse(Response):
    """The part of a response that is sent before the connection closes."""

    def __init__(self, timing: Timing, response: HttpResponse | None) -> None:
        """Creates the response. `response` is None if nothing is sent."""
        super().__init__()
        self._timing, self._response = timing, response

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends the part, closes the connection, and returns when it is closed."""
        transport: asyncio.Transport = scope["state"][TRANSPORT]
        if self._response is None or self._timing in ("before", "unanswered"):
            transport.abort()
        else:
            body = self._response.body
            sent = body if self._timing == "after" else body[: len(body) // 2]
            headers = dict(self._response.headers)
            if not self._response.is_stream:
                headers["content-length"] = str(len(body))
            raw = [(name.encode(), value.encode()) for name, value in headers.items()]
            await send({"type": "http.response.start", "status": self._response.status, "headers": raw})
            await send({"type": "http.response.body", "body": sent, "more_body": True})
            transport.close()  # closes after the sent data
        while (await receive())["type"] != "http.disconnect":
            pass
