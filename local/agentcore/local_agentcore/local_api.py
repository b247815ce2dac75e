"""The emulator's admin API below /_local: health, clock, fault plan, live sessions and telemetry.

The health report is open. With an authorizer, all other routes require the admin token.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from .clock import parse_advance
from .faults import Plan, parse_plan
from .settings import ADMIN_TOKEN_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

    from .emulator import Emulator
    from .settings import Settings

MAX_BODY_BYTES = 1024 * 1024
"""Enough for a fault plan with thousands of rules."""


class _TooLargeError(Exception):
    """A body exceeds MAX_BODY_BYTES."""


def local_routes(emulator: Emulator) -> list[Route]:
    """Returns the routes. An invalid request gets 400 and a message that states the allowed values."""

    async def health(_request: Request) -> Response:
        return JSONResponse(await emulator.health())

    async def clock(request: Request) -> Response:
        if request.method == "POST":
            try:
                await emulator.advance(parse_advance(await _body(request)))
            except ValueError as error:
                return _bad_request(error)
        return JSONResponse({"now": emulator.now().isoformat()})

    async def faults(request: Request) -> Response:
        try:
            if request.method == "PUT":
                emulator.faults.set_plan(parse_plan(await _body(request)))
        except ValueError as error:
            return _bad_request(error)
        if request.method == "DELETE":
            emulator.faults.set_plan(Plan())
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

    async def telemetry(request: Request) -> Response:
        after = request.query_params.get("after", "0")
        if not after.isdecimal():
            return _bad_request(ValueError(f"after is {after!r}; allowed: the number of a record"))
        return JSONResponse(emulator.telemetry_after(int(after)))

    admin = [
        ("/_local/telemetry", telemetry, ["GET"]),
        ("/_local/sessions", sessions, ["GET"]),
        ("/_local/sessions/{identifier:path}", session, ["DELETE"]),
        ("/_local/clock", clock, ["GET", "POST"]),
        ("/_local/faults", faults, ["GET", "PUT", "DELETE"]),
    ]
    guarded = [Route(path, _guarded(emulator.settings, handler), methods=methods) for path, handler, methods in admin]
    return [Route("/_local/health", health), *guarded]


def _guarded(
    settings: Settings, handler: Callable[[Request], Awaitable[Response]]
) -> Callable[[Request], Awaitable[Response]]:
    """Returns the handler, preceded by the checks of the admin token and of the body's size."""

    async def guarded(request: Request) -> Response:
        if not _has_admin_token(settings, request.headers.get("authorization", "")):
            message = (
                "The admin token is missing or wrong. Send the header `authorization: Bearer TOKEN` with the token in "
                f"the environment variable {ADMIN_TOKEN_VARIABLE}"
            )
            return JSONResponse({"message": message}, 403)
        try:
            return await handler(request)
        except _TooLargeError:
            return JSONResponse({"message": f"The body is too large; allowed: {MAX_BODY_BYTES} bytes"}, 413)

    return guarded


def _has_admin_token(settings: Settings, authorization: str) -> bool:
    if settings.authorizer is None:
        return True
    expected = f"Bearer {settings.admin_token}".encode()
    return bool(settings.admin_token) and hmac.compare_digest(authorization.encode(), expected)


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise _TooLargeError
    return bytes(body)


def _bad_request(error: ValueError) -> Response:
    return JSONResponse({"message": str(error)}, 400)
