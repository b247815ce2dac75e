"""The emulator's own HTTP API, below /_local: what it can do here, its clock, faults on order, live sessions.

Everybody may know how it is. Where an authorizer says who may do what, the rest takes the token for steering.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from .clock import seconds_in
from .faults import Plan, plan_of
from .settings import ADMIN_TOKEN_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

    from .emulator import Emulator
    from .settings import Settings

BODY_BYTES = 1024 * 1024
"""Of a plan of faults: thousands of rules."""


class _TooLargeError(Exception):
    """A body is larger than BODY_BYTES."""


def local_routes(emulator: Emulator) -> list[Route]:
    """Returns the routes. What cannot be is answered with 400 and one message that says what is allowed."""

    async def health(_request: Request) -> Response:
        return JSONResponse(emulator.health())

    async def clock(request: Request) -> Response:
        if request.method == "POST":
            try:
                await emulator.advance(seconds_in(await _body(request)))
            except ValueError as error:
                return _refusal(error)
        return JSONResponse({"now": emulator.now().isoformat()})

    async def faults(request: Request) -> Response:
        try:
            if request.method == "PUT":
                emulator.faults.follow(plan_of(await _body(request)))
        except ValueError as error:
            return _refusal(error)
        if request.method == "DELETE":
            emulator.faults.follow(Plan())
        return JSONResponse(emulator.faults.report())

    async def sessions(_request: Request) -> Response:
        live = [
            {"codeInterpreterIdentifier": session.interpreter.identifier, "sessionId": session.identifier}
            for session in emulator.sessions.live()
        ]
        return JSONResponse({"live": live})

    async def session(request: Request) -> Response:
        await emulator.sessions.end_by_id(request.path_params["identifier"])
        return JSONResponse({})

    steering = [
        ("/_local/sessions", sessions, ["GET"]),
        ("/_local/sessions/{identifier:path}", session, ["DELETE"]),
        ("/_local/clock", clock, ["GET", "POST"]),
        ("/_local/faults", faults, ["GET", "PUT", "DELETE"]),
    ]
    guarded = [Route(path, _guarded(emulator.settings, does), methods=methods) for path, does, methods in steering]
    return [Route("/_local/health", health), *guarded]


def _guarded(
    settings: Settings, does: Callable[[Request], Awaitable[Response]]
) -> Callable[[Request], Awaitable[Response]]:
    """Returns what does the same for those who may steer, in so far as their request is not too large."""

    async def guarded(request: Request) -> Response:
        if not _may_steer(settings, request.headers.get("authorization", "")):
            message = "Steering takes the header `authorization: Bearer TOKEN`, with the token in the environment "
            return JSONResponse({"message": f"{message}variable {ADMIN_TOKEN_VARIABLE}"}, 403)
        try:
            return await does(request)
        except _TooLargeError:
            return JSONResponse({"message": f"A body has at most {BODY_BYTES} bytes here"}, 413)

    return guarded


def _may_steer(settings: Settings, authorization: str) -> bool:
    if settings.authorizer is None:
        return True
    expected = f"Bearer {settings.admin_token}".encode()
    return bool(settings.admin_token) and hmac.compare_digest(authorization.encode(), expected)


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_BYTES:
            raise _TooLargeError
    return bytes(body)


def _refusal(error: ValueError) -> Response:
    return JSONResponse({"message": str(error)}, 400)
