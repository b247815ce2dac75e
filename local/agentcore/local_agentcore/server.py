"""HTTP on loopback: the service's operations, and the health report."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
from typing import TYPE_CHECKING, TypeVar

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from . import protocol
from .errors import InternalServerError, ServiceError, ValidationError
from .front import NoWebPages
from .identifiers import request_id

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from starlette.requests import Request

    from .emulator import Emulator

log = logging.getLogger(__name__)
Outcome = TypeVar("Outcome")
LOOPBACK = "127.0.0.1"
HEALTH_PATH = "/_local/health"
MAXIMUM_BODY_BYTES = 140_000_000
"""The service's 100 MB of payload (AgentCore quotas), in base64."""
IN_THREAD_BYTES = 64 * 1024
"""Bodies from this size on are read and written in a thread, so that other calls do not wait for them."""
SECONDS_TO_FINISH = 2


def create_application(emulator: Emulator) -> Starlette:
    """Returns the ASGI application of an emulator that is open."""
    operations = frozenset(emulator.operations)

    async def report(_request: Request) -> Response:
        return JSONResponse(emulator.health())

    async def operation(request: Request) -> Response:
        number = request_id()
        try:
            body = await _body(request)
            incoming = protocol.HttpRequest(
                request.method,
                _raw_path(request),
                request.query_params.multi_items(),
                dict(request.headers),
                body,
                request.url.query,
            )
            call = await _off_loop(len(body), lambda: protocol.parse(incoming, operations))
            await emulator.permissions.require(incoming, call.operation.name, call.parameters)
            result = await emulator.call(call.operation.name, call.parameters)
            answer = await asyncio.to_thread(protocol.serialise, call, result, number)
        except ServiceError as error:
            answer = protocol.serialise_error(error, number)
        except Exception as error:
            log.exception("Request %s failed", number)
            answer = protocol.serialise_error(InternalServerError(f"The emulator failed: {error!r}"), number)
        if answer.headers.get("content-type") == "application/vnd.amazon.eventstream":
            return StreamingResponse(iter([answer.body]), answer.status, answer.headers)
        return Response(answer.body, answer.status, answer.headers)

    methods = ["GET", "PUT", "POST", "DELETE"]
    return Starlette(
        routes=[Route(HEALTH_PATH, report), Route("/{path:path}", operation, methods=methods)],
        middleware=[Middleware(NoWebPages)],
    )


def _raw_path(request: Request) -> str:
    """Returns the path as it was sent: an ARN in it has its slash encoded, which is no separator."""
    return bytes(request.scope["raw_path"]).decode("ascii", "replace").partition("?")[0]


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAXIMUM_BODY_BYTES:
            raise ValidationError("The request is larger than the 100 MB that the service takes")
    return bytes(body)


async def _off_loop(size: int, work: Callable[[], Outcome]) -> Outcome:
    return await asyncio.to_thread(work) if size >= IN_THREAD_BYTES else work()


class _Server(uvicorn.Server):
    """uvicorn, with the signals left to the emulator: sandboxes end before connections do."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Captures none."""
        yield


def listen(port: int) -> socket.socket:
    """Returns a socket that listens on loopback.

    Raises:
        OSError: the port is in use, or not this user's to take.
    """
    # With the protocol named, asyncio turns Nagle's algorithm off; with it on, each answer waits 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((LOOPBACK, port))
        listener.listen(1024)
    except OSError:
        listener.close()
        raise
    return listener


async def serve(emulator: Emulator, listener: socket.socket, on_ready: Callable[[], None]) -> None:
    """Serves until SIGTERM or SIGINT, then ends every sandbox and returns."""
    configuration = uvicorn.Config(
        create_application(emulator),
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=SECONDS_TO_FINISH,
        timeout_keep_alive=75,
    )
    server, ending = _Server(configuration), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ending.set)
    try:
        await emulator.open()
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        on_ready()
        ended = asyncio.create_task(ending.wait())
        await asyncio.wait({serving, ended}, return_when=asyncio.FIRST_COMPLETED)
        ended.cancel()
        await emulator.close()  # first: calls in flight are answered, since their sandboxes are gone
        server.should_exit = True
        await serving
    finally:
        await emulator.close()
