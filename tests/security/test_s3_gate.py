"""What the sandbox's way to S3 lets through, byte for byte, and what never arrives anywhere.

The upstream is a socket of the test's own: it sees what a real one would be sent, and a real one would hide it.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from typing import TYPE_CHECKING
from unittest.mock import AsyncMock, MagicMock

import h11
import pytest

from local_agentcore.network import s3_proxy
from local_agentcore.network.s3_proxy import S3Proxy, Upstream
from local_agentcore.sandbox.listeners import Listener

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

SIGNED = (
    b"Authorization: AWS4-HMAC-SHA256 Credential=AKIAEXAMPLE/20260101/us-east-1/s3/aws4_request, "
    b"SignedHeaders=host;x-amz-date, Signature=00\r\n"
)
PRESIGNED = b"X-Amz-Credential=AKIAEXAMPLE%2F20260101%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Signature=00"
OK = b'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nETag: "x"\r\n\r\nok'
MEBIBYTE = 1024 * 1024


class Wire:
    """One end of a connection, read to a mark or to a length."""

    def __init__(self, connection: socket.socket) -> None:
        connection.settimeout(20)
        self.connection, self.read = connection, b""

    def until(self, mark: bytes) -> bytes:
        """Returns what came up to and with `mark`."""
        while mark not in self.read:
            data = self.connection.recv(65536)
            assert data, self.read
            self.read += data
        found, _, self.read = self.read.partition(mark)
        return found + mark

    def rest(self) -> bytes:
        """Returns what came until the other end closed."""
        with contextlib.suppress(ConnectionResetError):
            while data := self.connection.recv(65536):
                self.read += data
        return self.read


class World:
    """A gate, who calls it, and the upstream's listener."""

    def __init__(self, gate_ports: list[int], upstream: socket.socket) -> None:
        self._gate_ports, self.listener = gate_ports, upstream
        self.host = f"127.0.0.1:{upstream.getsockname()[1]}".encode()
        self._open: list[socket.socket] = []

    def call(self, request: bytes, sandbox: int = 0) -> Wire:
        """Connects to a sandbox's gate and sends bytes, in which HOST stands for the right Host."""
        self._open.append(socket.create_connection(("127.0.0.1", self._gate_ports[sandbox])))
        self._open[-1].sendall(request.replace(b"HOST", self.host))
        return Wire(self._open[-1])

    def arrived(self) -> Wire:
        """Returns the next connection that reached the upstream."""
        self.listener.settimeout(20)
        self._open.append(self.listener.accept()[0])
        return Wire(self._open[-1])

    def nothing_arrived(self) -> bool:
        """Whether no connection waits at the upstream."""
        self.listener.settimeout(0)
        try:
            self._open.append(self.listener.accept()[0])
        except BlockingIOError:
            return True
        return False

    def close(self) -> None:
        """Closes every connection."""
        for connection in self._open:
            connection.close()


@contextlib.contextmanager
def running_gate(upstream: Upstream | None, sandboxes: int = 1) -> Generator[list[int]]:
    """Serves a gate as the emulator does, and gives the port of each sandbox."""
    loop, gate = asyncio.new_event_loop(), S3Proxy(upstream)
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(sandboxes)]
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def serve() -> list[Listener]:
        serving = [Listener(listener) for listener in listeners]
        for one in serving:
            one.serve(gate.for_a_sandbox())
        return serving

    async def close(serving: list[Listener]) -> None:
        for one in serving:
            await one.close()

    serving = asyncio.run_coroutine_threadsafe(serve(), loop).result(10)
    try:
        yield [listener.getsockname()[1] for listener in listeners]
    finally:
        asyncio.run_coroutine_threadsafe(close(serving), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


@pytest.fixture
def world() -> Generator[World]:
    """Two sandboxes' gate before an upstream."""
    with socket.create_server(("127.0.0.1", 0)) as upstream:
        port = upstream.getsockname()[1]
        with running_gate(Upstream("127.0.0.1", port), sandboxes=2) as gate_ports:
            made = World(gate_ports, upstream)
            yield made
            made.close()


def test_a_request_passes_as_it_is(world: World) -> None:
    target = b"/bucket//a%20b/../%2e%2E/%C3%BC+~?list-type=2&prefix=a%2Fb&x"
    caller = world.call(
        b"GET " + target + b" HTTP/1.1\r\nHost: HOST\r\nX-Amz-Date: 1\r\nX-Odd-Case:  v \r\n" + SIGNED + b"\r\n"
    )
    s3 = world.arrived()
    head = s3.until(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[0] == b"GET " + target + b" HTTP/1.1"
    assert lines[1:5] == [b"Host: " + world.host, b"X-Amz-Date: 1", b"X-Odd-Case: v", SIGNED.strip()]
    s3.connection.sendall(OK)
    assert caller.until(b"ok") == OK


@pytest.mark.parametrize("query", [PRESIGNED, b"AWSAccessKeyId=AKIAEXAMPLE&Signature=x%3D&Expires=1"], ids=["v4", "v2"])
def test_a_presigned_url_passes(world: World, query: bytes) -> None:
    caller = world.call(b"PUT /bucket/key?" + query + b" HTTP/1.1\r\nHost: HOST\r\nContent-Length: 1\r\n\r\nx")
    s3 = world.arrived()
    s3.until(b"\r\n\r\nx")
    s3.connection.sendall(OK)
    assert b"200 OK" in caller.until(b"ok")


def test_a_connection_is_kept_and_answers_to_head_have_no_body(world: World) -> None:
    caller = world.call(b"HEAD /bucket/key HTTP/1.1\r\nHost: HOST\r\n" + SIGNED + b"\r\n")
    first = world.arrived()
    first.until(b"\r\n\r\n")
    first.connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 123456\r\n\r\n")
    assert b"Content-Length: 123456" in caller.until(b"\r\n\r\n")
    caller.connection.sendall(b"GET /bucket/key HTTP/1.1\r\nHost: " + world.host + b"\r\n" + SIGNED + b"\r\n")
    second = world.arrived()
    second.until(b"\r\n\r\n")
    second.connection.sendall(OK)
    assert caller.until(b"ok") == OK


def test_bodies_are_passed_on_before_they_are_whole(world: World) -> None:
    head = b"PUT /bucket/key HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n" + SIGNED + b"\r\n"
    caller = world.call(head + b"3\r\nabc\r\n")
    s3 = world.arrived()
    assert b"Transfer-Encoding: chunked" in s3.until(b"\r\n\r\n")
    assert s3.until(b"abc\r\n") == b"3\r\nabc\r\n"
    caller.connection.sendall(b"0\r\nX-Amz-Target: trailer\r\n\r\n")
    assert s3.until(b"0\r\n\r\n") == b"0\r\n\r\n"
    s3.connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n")
    assert caller.until(b"hi\r\n").endswith(b"2\r\nhi\r\n")
    s3.connection.sendall(b"0\r\n\r\n")
    caller.until(b"0\r\n\r\n")


@pytest.mark.parametrize(
    "answer", [OK, b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"], ids=["early", "refusal"]
)
def test_an_answer_before_the_body_reaches_the_caller(world: World, answer: bytes) -> None:
    caller = world.call(b"PUT /bucket/key HTTP/1.1\r\nHost: HOST\r\nContent-Length: 99999999\r\n" + SIGNED + b"\r\nabc")
    s3 = world.arrived()
    s3.until(b"\r\n\r\nabc")
    s3.connection.sendall(answer)
    s3.connection.close()
    assert caller.rest() == answer


def test_continue_comes_from_s3(world: World) -> None:
    head = b"PUT /bucket/key HTTP/1.1\r\nHost: HOST\r\nContent-Length: 3\r\nExpect: 100-continue\r\n" + SIGNED + b"\r\n"
    caller = world.call(head)
    s3 = world.arrived()
    assert b"Expect: 100-continue" in s3.until(b"\r\n\r\n")
    s3.connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert caller.until(b"\r\n\r\n").startswith(b"HTTP/1.1 100 ")
    caller.connection.sendall(b"abc")
    s3.until(b"abc")
    s3.connection.sendall(OK)
    assert caller.until(b"ok") == OK


def test_who_sends_waits_for_who_reads(world: World) -> None:
    caller = world.call(b"PUT /bucket/key HTTP/1.1\r\nHost: HOST\r\nContent-Length: 239999999\r\n" + SIGNED + b"\r\n")
    s3 = world.arrived()
    s3.until(b"\r\n\r\n")
    caller.connection.settimeout(1)
    sent = 0
    with contextlib.suppress(TimeoutError):
        while sent < 200 * MEBIBYTE:
            sent += caller.connection.send(bytes(MEBIBYTE))
    assert MEBIBYTE <= sent < 100 * MEBIBYTE  # what the kernel's buffers and the gate's hold, then it stops


PUT = b"PUT /bucket/key HTTP/1.1\r\nHost: HOST\r\n" + SIGNED


def test_a_body_that_says_it_is_too_large_arrives_nowhere(world: World) -> None:
    caller = world.call(PUT + b"Content-Length: 268435457\r\n\r\n")
    answer = caller.rest()
    assert (b" 413 " in answer, b"<Code>EntityTooLarge</Code>" in answer, b"256 MiB" in answer) == (True, True, True)
    assert world.nothing_arrived()
    world.call(PUT + b"Content-Length: 268435456\r\n\r\n")
    world.arrived()


def test_an_endless_body_is_broken_off(world: World) -> None:
    caller = world.call(PUT + b"Transfer-Encoding: chunked\r\n\r\n")
    s3 = world.arrived()
    arrived: list[int] = []
    reading = threading.Thread(target=lambda: arrived.append(_count(s3.connection)))
    reading.start()
    chunk = b"100000\r\n" + bytes(MEBIBYTE) + b"\r\n"
    with contextlib.suppress(ConnectionError):
        for _ in range(300):
            caller.connection.sendall(chunk)
    assert caller.rest().startswith(b"HTTP/1.1 413 ")
    reading.join()
    assert 255 * MEBIBYTE < arrived[0] < 257 * MEBIBYTE


def _count(connection: socket.socket) -> int:
    count = 0
    with contextlib.suppress(ConnectionError):
        while data := connection.recv(MEBIBYTE):
            count += len(data)
    return count


def test_a_sandbox_has_so_many_uploads_at_once(world: World) -> None:
    callers = served(6, lambda: world.call(PUT + b"Content-Length: 3\r\n\r\nabc"))
    upstream = served(4, world.arrived)
    control = world.call(b"GET /bucket/key HTTP/1.1\r\nHost: HOST\r\n" + SIGNED + b"\r\n")
    assert b"GET /bucket/key" in world.arrived().until(b"\r\n\r\n")  # who sends nothing does not wait
    assert world.nothing_arrived()
    for s3 in upstream:
        s3.connection.sendall(OK)
    for s3 in served(2, world.arrived):
        s3.connection.sendall(OK)
    for caller in callers:
        assert caller.until(b"ok") == OK
    control.connection.close()


@pytest.fixture
def little_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three MiB for the bodies of all sandboxes; for gates that are made after it."""
    monkeypatch.setattr(s3_proxy, "BODIES_BYTES", 3 * MEBIBYTE)


@pytest.mark.usefixtures("little_room")
@pytest.mark.parametrize("length", [b"Content-Length: 2097152", b"Transfer-Encoding: chunked"], ids=["said", "chunked"])
def test_the_bodies_of_all_sandboxes_have_a_limit_together(world: World, length: bytes) -> None:
    mark = b"200000\r\n" if length.endswith(b"chunked") else b""
    upload = PUT + length + b"\r\n\r\n" + mark + bytes(2 * MEBIBYTE - 1)  # all but its end
    first = world.call(upload, sandbox=0)
    s3 = world.arrived()
    assert _read(s3, 2 * MEBIBYTE - 1)
    refused = world.call(upload, sandbox=1).rest()
    assert (b" 503 " in refused, b"<Code>SlowDown</Code>" in refused) == (True, True)
    world.arrived().connection.close()
    s3.connection.sendall(OK)
    assert first.until(b"ok") == OK
    first.connection.shutdown(socket.SHUT_WR)
    first.rest()  # the gate is done with it
    world.call(upload, sandbox=1)  # there is room again
    assert _read(world.arrived(), 2 * MEBIBYTE - 1)


def _read(wire: Wire, count: int) -> bool:
    """Whether so many bytes of a body arrive."""
    wire.until(b"\r\n\r\n")
    while wire.read.count(b"\0") < count:
        data = wire.connection.recv(MEBIBYTE)
        if not data:
            return False
        wire.read += data
    return True


def test_an_exchange_that_is_cancelled_while_it_ends_is_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    ending = asyncio.Event()

    async def slow_to_end(*_: object) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ending.set()
            await asyncio.sleep(0.05)

    async def answered(*_: object) -> None:
        raise OSError

    async def cancelled() -> None:
        client, upstream, body = AsyncMock(), AsyncMock(), MagicMock()
        request = h11.Request(method="GET", target="/", headers=[("Host", "s3")])
        exchange = s3_proxy._exchange  # pyright: ignore[reportPrivateUsage]
        exchanging = asyncio.create_task(exchange(client, upstream, request, body))
        await asyncio.wait_for(ending.wait(), 10)
        exchanging.cancel()
        with pytest.raises(asyncio.CancelledError):
            await exchanging

    monkeypatch.setattr(s3_proxy, "_forward_body", slow_to_end)
    monkeypatch.setattr(s3_proxy, "_forward_response", answered)
    asyncio.run(cancelled())


def test_a_dead_upstream_is_said(world: World) -> None:
    world.listener.close()
    caller = world.call(b"GET /bucket HTTP/1.1\r\nHost: HOST\r\n" + SIGNED + b"\r\n".replace(b"HOST", world.host))
    assert b"does not answer" in caller.rest()


def test_without_an_upstream_the_answer_says_so() -> None:
    with running_gate(None) as (port,), socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"GET /bucket HTTP/1.1\r\nHost: 127.0.0.1:4566\r\n" + SIGNED + b"\r\n")
        answer = Wire(connection).rest()
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"it needs --s3 URL" in answer


def other_scope(service: bytes) -> bytes:
    return SIGNED.replace(b"/s3/", b"/" + service + b"/")


REQUESTS = {
    "unsigned": b"GET /bucket/key HTTP/1.1\r\nHost: HOST\r\n\r\n",
    "signed for iam": b"POST / HTTP/1.1\r\nHost: HOST\r\n" + other_scope(b"iam") + b"Content-Length: 0\r\n\r\n",
    "signed for s3express": b"GET /bucket/k HTTP/1.1\r\nHost: HOST\r\n" + other_scope(b"s3express") + b"\r\n",
    "two scopes in one header": b"GET /bucket/k HTTP/1.1\r\nHost: HOST\r\n"
    + SIGNED.replace(b"Signature=00", b"Credential=A/20260101/r/iam/aws4_request")
    + b"\r\n",
    "two headers": b"GET /bucket/k HTTP/1.1\r\nHost: HOST\r\n" + SIGNED + other_scope(b"iam") + b"\r\n",
    "header and query": b"GET /bucket/k?" + PRESIGNED + b" HTTP/1.1\r\nHost: HOST\r\n" + SIGNED + b"\r\n",
    "presigned for iam": b"GET /bucket/k?" + PRESIGNED.replace(b"s3", b"iam") + b" HTTP/1.1\r\nHost: HOST\r\n\r\n",
    "presigned twice": b"GET /bucket/k?" + PRESIGNED + b"&" + PRESIGNED.replace(b"s3", b"iam")
    + b" HTTP/1.1\r\nHost: HOST\r\n\r\n",
    "presigned form": b"POST /bucket?" + PRESIGNED + b" HTTP/1.1\r\nHost: HOST\r\nContent-Length: 16\r\n"
    b"Content-Type: application/x-www-form-urlencoded\r\n\r\nAction=ListRoles",
    "an action": b"GET /?Action=ListRoles HTTP/1.1\r\nHost: HOST\r\n" + SIGNED + b"\r\n",
    "an encoded action": b"GET /?%41ction=ListRoles HTTP/1.1\r\nHost: HOST\r\n" + SIGNED + b"\r\n",
    "a target": b"POST / HTTP/1.1\r\nHost: HOST\r\nX-Amz-Target: DynamoDB_20120810.ListTables\r\n" + SIGNED
    + b"Content-Length: 0\r\n\r\n",
    "the emulator's own": b"POST /_ministack/reset HTTP/1.1\r\nHost: HOST\r\nContent-Length: 0\r\n" + SIGNED + b"\r\n",
    "encoded": b"POST /%5Fministack/reset HTTP/1.1\r\nHost: HOST\r\nContent-Length: 0\r\n" + SIGNED + b"\r\n",
    "doubled": b"POST //_ministack/reset HTTP/1.1\r\nHost: HOST\r\nContent-Length: 0\r\n" + SIGNED + b"\r\n",
    "relative": b"POST /../_ministack/reset HTTP/1.1\r\nHost: HOST\r\nContent-Length: 0\r\n" + SIGNED + b"\r\n",
    "a registry": b"GET /v2/_catalog HTTP/1.1\r\nHost: HOST\r\n" + SIGNED + b"\r\n",
    "an API": b"GET /restapis/a/b/_user_request_/c HTTP/1.1\r\nHost: HOST\r\n" + SIGNED + b"\r\n",
    "another host": b"GET /bucket/key HTTP/1.1\r\nHost: a.execute-api.localhost\r\n" + SIGNED + b"\r\n",
    "no host": b"GET /bucket/key HTTP/1.0\r\n" + SIGNED + b"\r\n",
    "two hosts": b"GET /bucket/key HTTP/1.1\r\nHost: HOST\r\nHost: HOST\r\n" + SIGNED + b"\r\n",
    "absolute": b"GET http://HOST/bucket/key HTTP/1.1\r\nHost: HOST\r\n" + SIGNED + b"\r\n",
    "a proxy's": b"CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: HOST\r\n" + SIGNED + b"\r\n",
    "options": b"OPTIONS /bucket/key HTTP/1.1\r\nHost: HOST\r\n" + SIGNED + b"\r\n",
    "two lengths": b"PUT /bucket/k HTTP/1.1\r\nHost: HOST\r\nContent-Length: 0\r\nContent-Length: 9\r\n" + SIGNED
    + b"\r\n",
    "length and chunks": b"PUT /bucket/k HTTP/1.1\r\nHost: HOST\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n"
    + SIGNED + b"\r\n0\r\n\r\n",
    "odd coding": b"PUT /bucket/k HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked, identity\r\n"
    + SIGNED + b"\r\n0\r\n\r\n",
    "spaced name": b"PUT /bucket/k HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding : chunked\r\n"
    + SIGNED + b"\r\n0\r\n\r\n",
    "split header": b"GET /bucket/k HTTP/1.1\r\nHost: HOST\r\nX: a\rX-Amz-Target: b\r\n" + SIGNED + b"\r\n",
    "endless headers": b"GET /bucket/k HTTP/1.1\r\nHost: HOST\r\nX: " + b"x" * 100_000 + b"\r\n\r\n",
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
}  # fmt: skip


@pytest.mark.parametrize("request_bytes", REQUESTS.values(), ids=REQUESTS)
def test_what_is_not_s3s_arrives_nowhere(world: World, request_bytes: bytes) -> None:
    answer = world.call(request_bytes).rest()
    assert answer.split(b" ", 2)[1] in (b"403", b"400", b"431", b"501"), answer
    assert b"<Error>" in answer
    assert world.nothing_arrived()
    control = world.call(b"GET /bucket/key HTTP/1.1\r\nHost: HOST\r\n" + SIGNED + b"\r\n")
    s3 = world.arrived()
    s3.connection.sendall(OK)
    assert control.until(b"ok") == OK


def test_what_follows_a_refused_request_is_not_read_as_another(world: World) -> None:
    hidden = b"GET /bucket/hidden HTTP/1.1\r\nHost: HOST\r\n" + SIGNED + b"\r\n"
    refused = b"PUT /bucket/k HTTP/1.1\r\nHost: HOST\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n" + SIGNED
    assert world.call(refused + b"\r\n0\r\n\r\n" + hidden).rest().count(b"HTTP/1.1") == 1
    assert world.nothing_arrived()


def test_each_request_has_a_connection_of_its_own(world: World) -> None:
    one = b"GET /bucket/one HTTP/1.1\r\nHost: HOST\r\n" + SIGNED + b"\r\n"
    caller = world.call(one + one.replace(b"/one", b"/two"))
    for name in (b"/bucket/one", b"/bucket/two"):
        s3 = world.arrived()
        head = s3.until(b"\r\n\r\n")
        assert name in head
        assert head.count(b"HTTP/1.1") == 1
        s3.connection.sendall(OK)
        caller.until(b"ok")


def served(count: int, call: Callable[[], Wire]) -> list[Wire]:
    return [call() for _ in range(count)]


def test_a_caller_has_so_many_connections_at_once(world: World) -> None:
    request = b"GET /bucket/key HTTP/1.1\r\nHost: HOST\r\n" + SIGNED + b"\r\n"
    callers = served(80, lambda: world.call(request))
    upstream = served(64, world.arrived)
    assert world.nothing_arrived()
    upstream[0].connection.sendall(OK)
    answered = next(caller for caller in callers if _readable(caller.connection))
    answered.until(b"ok")
    answered.connection.close()
    world.arrived()  # a place is free: one more comes


def _readable(connection: socket.socket) -> bool:
    connection.settimeout(0.2)
    try:
        return bool(connection.recv(1, socket.MSG_PEEK))
    except TimeoutError:
        return False
    finally:
        connection.settimeout(20)
