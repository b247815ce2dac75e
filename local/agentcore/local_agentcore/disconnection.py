"""Ends a client's TCP connection in the middle of a call, as a network or a dying server does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.responses import Response
from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    import asyncio

    from starlette.types import Receive, Scope, Send

    from .faults import Moment
    from .protocol import HttpResponse

TRANSPORT = "transport"


class ProtocolWithTransport(H11Protocol):
    """uvicorn's protocol; the application finds a connection's transport in the `state` of its scope."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begins to serve a connection."""
        self.app_state: dict[str, Any] = {**self.app_state, TRANSPORT: transport}
        super().connection_made(transport)


class Interrupted(Response):
    """As much of an answer as a disconnect leaves."""

    def __init__(self, moment: Moment, answer: HttpResponse | None) -> None:
        """`answer` is None where nothing is to be sent."""
        super().__init__()
        self._moment, self._answer = moment, answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends that, ends the connection, and returns when it is gone."""
        transport: asyncio.Transport = scope["state"][TRANSPORT]
        if self._answer is None or self._moment in ("before", "unanswered"):
            transport.abort()
        else:
            body = self._answer.body
            sent = body if self._moment == "after" else body[: len(body) // 2]
            headers = dict(self._answer.headers)
            if not self._answer.is_stream:
                headers["content-length"] = str(len(body))
            raw = [(name.encode(), value.encode()) for name, value in headers.items()]
            await send({"type": "http.response.start", "status": self._answer.status, "headers": raw})
            await send({"type": "http.response.body", "body": sent, "more_body": True})
            transport.close()  # when what was sent is on its way
        while (await receive())["type"] != "http.disconnect":
            pass
