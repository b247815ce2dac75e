"""The emulator's own HTTP API, below /_local: what it can do here, its clock, faults on order, live sessions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from .clock import seconds_in
from .faults import Plan, plan_of

if TYPE_CHECKING:
    from starlette.requests import Request

    from .emulator import Emulator


def local_routes(emulator: Emulator) -> list[Route]:
    """Returns the routes. What cannot be is answered with 400 and one message that says what is allowed."""

    async def health(_request: Request) -> Response:
        return JSONResponse(emulator.health())

    async def clock(request: Request) -> Response:
        if request.method == "POST":
            try:
                await emulator.advance(seconds_in(await request.body()))
            except ValueError as error:
                return _refusal(error)
        return JSONResponse({"now": emulator.now().isoformat()})

    async def faults(request: Request) -> Response:
        try:
            if request.method == "PUT":
                emulator.faults.follow(plan_of(await request.body()))
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

    return [
        Route("/_local/health", health),
        Route("/_local/sessions", sessions),
        Route("/_local/sessions/{identifier}", session, methods=["DELETE"]),
        Route("/_local/clock", clock, methods=["GET", "POST"]),
        Route("/_local/faults", faults, methods=["GET", "PUT", "DELETE"]),
    ]


def _refusal(error: ValueError) -> Response:
    return JSONResponse({"message": str(error)}, 400)
