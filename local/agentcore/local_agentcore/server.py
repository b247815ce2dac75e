"""The HTTP server on loopback: the service's operations and the emulator's admin API."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import time
from typing import TYPE_CHECKING, Any, TypeVar

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from . import protocol
from .browser_guard import BrowserGuard
from .disconnection import InterruptedResponse, ProtocolWithTransport
from .errors import InjectedFault, InternalServerError, ServiceError, ValidationError
from .faults import CALL_FAULTS, total_seconds
from .identifiers import new_request_id
from .local_api import local_routes
from .operations import INVOKE
from .sandbox.limits import MEBIBYTE

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from starlette.requests import Request

    from .emulator import Emulator
    from .faults import Rule
    from .settings import Settings

log = logging.getLogger(__name__)
Outcome = TypeVar("Outcome")
LOOPBACK = "127.0.0.1"
METHODS = ["GET", "HEAD", "PUT", "POST", "DELETE", "PATCH", "OPTIONS"]
"""All methods, so that unknown operations get the service's error."""
SLACK_BYTES = 1_000_000
"""Bytes of a body besides its base64 payload: names, quotes, JSON escapes."""
MAX_DRAIN_FACTOR = 10
"""Multiples of the limit that are read from a request that is too large. A client that is still sending may miss the
response."""
MIN_THREAD_BYTES = 64 * 1024
"""Bodies of at least this size are parsed in a thread, so that they do not block other calls."""
SHUTDOWN_SECONDS = 2


def create_application(emulator: Emulator) -> Starlette:
    """Returns the ASGI application of an open emulator."""

    async def operation(request: Request) -> Response:
        request_id = new_request_id()
        try:
            body = await _body(request, emulator.settings)
            incoming = protocol.HttpRequest(
                request.method,
                _raw_path(request),
                request.query_params.multi_items(),
                dict(request.headers),
                body,
                request.url.query,
            )
            call = await _off_loop(len(body), lambda: protocol.parse(incoming))
            await emulator.permissions.authorize(incoming, call.operation.name, call.parameters)
            return await _call_with_faults(emulator, call, request_id)
        except ClientDisconnect:
            return Response()  # not sent: the client is gone
        except ServiceError as error:
            return _response(protocol.serialize_error(error, request_id))
        except Exception as error:
            log.exception("Request %s failed", request_id)
            failure = InternalServerError(f"The emulator failed: {error!r}")
            return _response(protocol.serialize_error(failure, request_id))

    return Starlette(
        routes=[*local_routes(emulator), Route("/{path:path}", operation, methods=METHODS)],
        middleware=[Middleware(BrowserGuard)],
    )


async def _call_with_faults(emulator: Emulator, call: protocol.Call, request_id: str) -> Response:
    """Executes an authorized call with the faults of the active plan."""
    tool = call.parameters["name"] if call.operation.name == INVOKE else None
    faults = emulator.faults.select(CALL_FAULTS, call.operation.name, tool)
    await asyncio.sleep(total_seconds(faults))
    disconnects = [rule for rule in faults if rule.kind == "disconnect"]
    for rule in disconnects:
        if rule.timing == "before":
            return InterruptedResponse("before", None)
    response = await _recorded(emulator, call, request_id, faults)
    return InterruptedResponse(disconnects[0].timing, response) if disconnects else _response(response)


async def _recorded(
    emulator: Emulator, call: protocol.Call, request_id: str, faults: list[Rule]
) -> protocol.HttpResponse:
    """Executes a call, and records its metrics and its span."""
    started, clock = emulator.now(), time.monotonic()
    result: dict[str, Any] = {}
    failure: ServiceError | None = None
    try:
        response = await _execute(emulator, call, request_id, faults, result)
    except ServiceError as error:
        failure, response = error, protocol.serialize_error(error, request_id)
    latency_ms = (time.monotonic() - clock) * 1000
    emulator.telemetry.call_ended(
        call.operation.name, call.parameters, result or None, failure, started, latency_ms, request_id
    )
    return response


async def _execute(
    emulator: Emulator, call: protocol.Call, request_id: str, faults: list[Rule], output: dict[str, Any]
) -> protocol.HttpResponse:
    """Executes a call. Its output is added to `output`, also if a fault replaces the response."""
    for rule in faults:
        if rule.kind in ("throttling", "error") and rule.timing == "before":
            raise InjectedFault(rule.error_code)
    result = await emulator.call(call.operation.name, call.parameters)
    output.update(result)
    response = _limited(await asyncio.to_thread(protocol.serialize, call, result, request_id), emulator.settings)
    for rule in faults:
        if rule.kind == "error":
            raise InjectedFault(rule.error_code)
        if rule.kind == "stream_error" and response.is_stream:
            return protocol.with_stream_error(response, InjectedFault(rule.error_code))
    return response


def _response(response: protocol.HttpResponse) -> Response:
    if response.is_stream:
        return StreamingResponse(iter([response.body]), response.status, response.headers)
    return Response(response.body, response.status, response.headers)


def _raw_path(request: Request) -> str:
    """Returns the percent-encoded path. The encoded slash of an ARN in it is not a separator."""
    return bytes(request.scope["raw_path"]).decode("ascii", "replace").partition("?")[0]


async def _body(request: Request, settings: Settings) -> bytearray:
    limit = settings.quotas.request_bytes
    maximum = limit if settings.assumptions.request_limit_counts_base64 else limit * 4 // 3 + SLACK_BYTES
    body, size = bytearray(), 0
    async for chunk in request.stream():
        size += len(chunk)
        if size <= maximum:
            body += chunk
        elif size > maximum * MAX_DRAIN_FACTOR:
            break
    if size > maximum:
        raise ValidationError(settings.assumptions.request_too_large.format(megabytes=f"{limit / 1e6:g}"))
    return body


def _limited(response: protocol.HttpResponse, settings: Settings) -> protocol.HttpResponse:
    """Returns the response to send; the assumption `event_over_limit` decides about an event that is too large."""
    limit = settings.quotas.event_bytes
    if not response.is_stream or len(response.body) <= limit or settings.assumptions.event_over_limit == "sent":
        return response
    message = settings.assumptions.event_too_large.format(mebibytes=f"{limit / MEBIBYTE:.3g}")
    return protocol.with_stream_error(response, ValidationError(message))


async def _off_loop(size: int, work: Callable[[], Outcome]) -> Outcome:
    return await asyncio.to_thread(work) if size >= MIN_THREAD_BYTES else work()


class _Server(uvicorn.Server):
    """uvicorn without signal handlers: the emulator handles signals, so that sandboxes end before connections do."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Captures no signals."""
        yield


def listen(port: int) -> socket.socket:
    """Returns a socket that listens on loopback.

    Raises:
        OSError: The port is in use, or this user may not use it.
    """
    # asyncio turns Nagle's algorithm off only if the protocol is explicit; with it on, each response takes 40 ms more.
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
        http=ProtocolWithTransport,
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
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
        await emulator.close()  # first: calls in flight get a response when their sandboxes end
        server.should_exit = True
        await serving
    finally:
        await emulator.close()
