"""HTTP on loopback: the service's operations, and what the emulator has of its own."""

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
from starlette.requests import ClientDisconnect
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from . import protocol
from .browser_guard import BrowserGuard
from .disconnection import Interrupted, ProtocolWithTransport
from .errors import InjectedFault, InternalServerError, ServiceError, ValidationError
from .faults import AROUND_A_CALL, INVOKE, STATUSES, seconds_of
from .identifiers import request_id
from .local_api import local_routes
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
"""All, so that what the service does not know is refused in its way."""
SLACK_BYTES = 1_000_000
"""Of a body beside its payload in base64: names, quotes, what JSON escapes."""
DRAINED = 10
"""As many times the limit is read of a request that is too large: a client that still sends may miss the answer."""
IN_THREAD_BYTES = 64 * 1024
"""Bodies from this size on are read and written in a thread, so that other calls do not wait for them."""
SECONDS_TO_FINISH = 2


def create_application(emulator: Emulator) -> Starlette:
    """Returns the ASGI application of an emulator that is open."""
    operations = frozenset(emulator.operations)

    async def operation(request: Request) -> Response:
        number = request_id()
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
            call = await _off_loop(len(body), lambda: protocol.parse(incoming, operations))
            await emulator.permissions.require(incoming, call.operation.name, call.parameters)
            return await _response_to(emulator, call, number)
        except ClientDisconnect:
            return Response()  # to nobody
        except ServiceError as error:
            return _response(protocol.serialise_error(error, number))
        except Exception as error:
            log.exception("Request %s failed", number)
            return _response(protocol.serialise_error(InternalServerError(f"The emulator failed: {error!r}"), number))

    return Starlette(
        routes=[*local_routes(emulator), Route("/{path:path}", operation, methods=METHODS)],
        middleware=[Middleware(BrowserGuard)],
    )


async def _response_to(emulator: Emulator, call: protocol.Call, number: str) -> Response:
    """Does a call that is admitted, with what was ordered to go wrong."""
    tool = call.parameters["name"] if call.operation.name == INVOKE else None
    faults = emulator.faults.strike(AROUND_A_CALL, call.operation.name, tool)
    await asyncio.sleep(seconds_of(faults))
    disconnects = [rule for rule in faults if rule.kind == "disconnect"]
    for rule in disconnects:
        if rule.moment == "before":
            return Interrupted("before", None)
    try:
        answer = await _answer(emulator, call, number, faults)
    except ServiceError as error:
        answer = protocol.serialise_error(error, number)
    return Interrupted(disconnects[0].moment, answer) if disconnects else _response(answer)


async def _answer(emulator: Emulator, call: protocol.Call, number: str, faults: list[Rule]) -> protocol.HttpResponse:
    for rule in faults:
        if rule.kind in ("throttling", "error") and rule.moment == "before":
            raise _ordered(rule)
    result = await emulator.call(call.operation.name, call.parameters)
    answer = _limited(await asyncio.to_thread(protocol.serialise, call, result, number), emulator.settings)
    for rule in faults:
        if rule.kind == "error":
            raise _ordered(rule)
        if rule.kind == "stream_error" and answer.is_stream:
            return protocol.in_stream(answer, _ordered(rule))
    return answer


def _ordered(rule: Rule) -> InjectedFault:
    return InjectedFault(rule.error_code, STATUSES[rule.error_code])


def _response(answer: protocol.HttpResponse) -> Response:
    if answer.is_stream:
        return StreamingResponse(iter([answer.body]), answer.status, answer.headers)
    return Response(answer.body, answer.status, answer.headers)


def _raw_path(request: Request) -> str:
    """Returns the path as it was sent: an ARN in it has its slash encoded, which is no separator."""
    return bytes(request.scope["raw_path"]).decode("ascii", "replace").partition("?")[0]


async def _body(request: Request, settings: Settings) -> bytearray:
    limit = settings.quotas.request_bytes
    largest = limit if settings.assumptions.request_limit_counts_base64 else limit * 4 // 3 + SLACK_BYTES
    body, size = bytearray(), 0
    async for chunk in request.stream():
        size += len(chunk)
        if size <= largest:
            body += chunk
        elif size > largest * DRAINED:
            break
    if size > largest:
        raise ValidationError(settings.assumptions.request_too_large.format(megabytes=f"{limit / 1e6:g}"))
    return body


def _limited(answer: protocol.HttpResponse, settings: Settings) -> protocol.HttpResponse:
    """Returns an answer with an event that is too large, as the guess `event_over_limit` says it is sent."""
    limit = settings.quotas.event_bytes
    if not answer.is_stream or len(answer.body) <= limit or settings.assumptions.event_over_limit == "sent":
        return answer
    message = settings.assumptions.event_too_large.format(mebibytes=f"{limit / MEBIBYTE:.3g}")
    return protocol.in_stream(answer, ValidationError(message))


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
        http=ProtocolWithTransport,
        ws="none",
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
