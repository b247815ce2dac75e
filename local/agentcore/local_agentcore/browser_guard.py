"""Programs of this machine are served, web pages are not, whatever name they made resolve to loopback.

A page of a browser names where it comes from (`Origin`, `Sec-Fetch-Site`), and a name that was made to resolve to
loopback is in `Host`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.datastructures import Headers
from starlette.responses import JSONResponse

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

OF_A_BROWSER = ("origin", "sec-fetch-site")


class BrowserGuard:
    """ASGI middleware that answers 403 to what a web page sent."""

    def __init__(self, app: ASGIApp) -> None:
        """`app` gets what is admitted."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one connection of ASGI."""
        problem = _problem(Headers(scope=scope), scope["server"][1]) if scope["type"] == "http" else None
        if problem is None:
            await self._app(scope, receive, send)
            return
        answer = JSONResponse({"message": problem}, 403, {"x-amzn-errortype": "AccessDeniedException"})
        await answer(scope, receive, send)


def _problem(headers: Headers, port: int) -> str | None:
    for name in OF_A_BROWSER:
        if name in headers:
            return f"The header {name} was sent: web pages are not served."
    hosts, allowed = headers.getlist("host"), (f"127.0.0.1:{port}", f"localhost:{port}")
    if len(hosts) != 1 or hosts[0] not in allowed:
        return f"Host is {', '.join(hosts)!r}; allowed: {' | '.join(allowed)}"
    return None
