"""Rejects requests of web pages, including pages whose host name resolves to loopback (DNS rebinding).

A browser names the page's origin in `Origin` or `Sec-Fetch-Site`, and a rebound name in `Host`. The decision for this
check over Starlette's TrustedHostMiddleware is recorded in docs/decisions/0005-host-and-origin-check.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.datastructures import Headers
from starlette.responses import JSONResponse

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

BROWSER_HEADERS = ("origin", "sec-fetch-site")


class BrowserGuard:
    """ASGI middleware that responds with 403 to requests of web pages."""

    def __init__(self, app: ASGIApp) -> None:
        """Wraps `app`, which gets the admitted requests."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one ASGI connection."""
        problem = _problem(Headers(scope=scope), scope["server"][1]) if scope["type"] == "http" else None
        if problem is None:
            await self._app(scope, receive, send)
            return
        response = JSONResponse({"message": problem}, 403, {"x-amzn-errortype": "AccessDeniedException"})
        await response(scope, receive, send)


def _problem(headers: Headers, port: int) -> str | None:
    for name in BROWSER_HEADERS:
        if name in headers:
            return f"The header {name} is present; requests of web pages are rejected."
    hosts, allowed = headers.getlist("host"), (f"127.0.0.1:{port}", f"localhost:{port}")
    if len(hosts) != 1 or hosts[0] not in allowed:
        return f"Host is {', '.join(hosts)!r}; allowed: {' | '.join(allowed)}"
    return None
