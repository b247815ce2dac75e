"""Bytes that the S3 proxy of sandboxes forwards, and requests that it refuses.

The upstream is a socket of the test, which shows the exact bytes that a real upstream would receive.
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
SUBNET = "subnet-0123456789abcdef0"


class Wire:
    """One end of a connection, read up to a mark or to its end."""

    def __init__(self, connection: socket.socket) -> None:
        connection.settimeout(20)
        self.connection, self.read = connection, b""

    def until(self, mark: bytes) -> bytes:
        """Returns the bytes received up to and including `mark`."""
        while mark not in self.read:
            data = self.connection.recv(65536)
            assert data, self.read
            self.read += data
        head, _, self.read = self.read.partition(mark)
        return head + mark

    def rest(self) -> bytes:
        """Returns the bytes received until the other end closed the connection."""
        with contextlib.suppress(ConnectionResetError):
            while data := self.connection.recv(65536):
                self.read += data
        return self.read


class ProxyUnderTest:
    """A proxy with its callers, and the listener of the upstream."""

    def __init__(self, proxy_ports: list[int], upstream: socket.socket) -> None:
        self._proxy_ports, self.listener = proxy_ports, upstream
        self.host = f"127.0.0.1:{upstream.getsockname()[1]}".encode()
        self._open: list[socket.socket] = []

    def call(self, request: bytes, sandbox: int = 0) -> Wire:
        """Connects to a sandbox's proxy and sends bytes. HOST stands for the value of the valid Host header."""
        self._open.append(socket.create_connection(("127.0.0.1", self._proxy_ports[sandbox])))
        self._open[-1].sendall(request.replace(b"HOST", self.host))
        return Wire(self._open[-1])

    def arrived(self) -> Wire:
        """Returns the next connection of the proxy to the upstream."""
        self.listener.settimeout(20)
        self._open.append(self.listener.accept()[0])
        return Wire(self._open[-1])

    def nothing_arrived(self) -> bool:
        """Returns whether no connection waits at the upstream."""
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
def running_proxy(upstream: Upstream | None, sandboxes: int = 1) -> Generator[list[int]]:
    """Serves a proxy as the emulator does. Yields the port of each sandbox, of which the second is in a VPC."""
    loop, s3 = asyncio.new_event_loop(), S3Proxy(upstream)
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(sandboxes)]
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def serve() -> list[Listener]:
        serving = [Listener(listener) for listener in listeners]
        for one, subnet in zip(serving, (None, SUBNET), strict=False):
            one.serve(s3.handler(subnet))
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
def proxy() -> Generator[ProxyUnderTest]:
    """A proxy for two sandboxes, and its upstream."""
    with socket.create_server(("127.0.0.1", 0)) as upstream:
        port = upstream.getsockname()[1]
        with running_proxy(Upstream("127.0.0.1", port), sandboxes=2) as proxy_ports:
            created = ProxyUnderTest(proxy_ports, upstream)
            yield created
            created.close()


def test_request_is_forwarded_unchanged(proxy: ProxyUnderTest) -> None:
    target = b"/bucket//a%20b/../%2e%2E/%C3%BC+~?list-type=2&prefix=a%2Fb&x"
    caller = proxy.call(
        b"GET " + target + b" HTTP/1.1\r\nHost: HOST\r\nX-Amz-Date: 1\r\nX-Odd-Case:  v \r\n" + SIGNED + b"\r\n"
    )
    s3 = proxy.arrived()
    head = s3.until(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[0] == b"GET " + target + b" HTTP/1.1"
    assert lines[1:5] == [b"Host: " + proxy.host, b"X-Amz-Date: 1", b"X-Odd-Case: v", SIGNED.strip()]
    s3.connection.sendall(OK)
    assert caller.until(b"ok") == OK


@pytest.mark.parametrize(("sandbox", "sent"), [(0, []), (1, [f"x-local-source-subnet: {SUBNET}".encode()])])
def test_only_the_proxy_states_the_subnet_of_a_sandbox(proxy: ProxyUnderTest, sandbox: int, sent: list[bytes]) -> None:
    forged = b"X-Local-Source-Subnet: subnet-other\r\n"
    proxy.call(b"GET /bucket/key HTTP/1.1\r\nHost: HOST\r\n" + forged + SIGNED + b"\r\n", sandbox)
    lines = proxy.arrived().until(b"\r\n\r\n").split(b"\r\n")
    assert [line for line in lines if line.lower().startswith(b"x-local")] == sent


@pytest.mark.parametrize("query", [PRESIGNED, b"AWSAccessKeyId=AKIAEXAMPLE&Signature=x%3D&Expires=1"], ids=["v4", "v2"])
def test_presigned_url_is_forwarded(proxy: ProxyUnderTest, query: bytes) -> None:
    caller = proxy.call(b"PUT /bucket/key?" + query + b" HTTP/1.1\r\nHost: HOST\r\nContent-Length: 1\r\n\r\nx")
    s3 = proxy.arrived()
    s3.until(b"\r\n\r\nx")
    s3.connection.sendall(OK)
    assert b"200 OK" in caller.until(b"ok")


def test_connection_is_reused_after_a_head_request(proxy: ProxyUnderTest) -> None:
    caller = proxy.call(b"HEAD /bucket/key HTTP/1.1\r\nHost: HOST\r\n" + SIGNED + b"\r\n")
    first = proxy.arrived()
    first.until(b"\r\n\r\n")
    first.connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 123456\r\n\r\n")
    assert b"Content-Length: 123456" in caller.until(b"\r\n\r\n")
    caller.connection.sendall(b"GET /bucket/key HTTP/1.1\r\nHost: " + proxy.host + b"\r\n" + SIGNED + b"\r\n")
    second = proxy.arrived()
    second.until(b"\r\n\r\n")
    second.connection.sendall(OK)
    assert caller.until(b"ok") == OK


def test_bodies_are_streamed(proxy: ProxyUnderTest) -> None:
    head = b"PUT /bucket/key HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n" + SIGNED + b"\r\n"
    caller = proxy.call(head + b"3\r\nabc\r\n")
    s3 = proxy.arrived()
    assert b"Transfer-Encoding: chunked" in s3.until(b"\r\n\r\n")
    assert s3.until(b"abc\r\n") == b"3\r\nabc\r\n"
    caller.connection.sendall(b"0\r\nX-Amz-Target: trailer\r\n\r\n")
    assert s3.until(b"0\r\n\r\n") == b"0\r\n\r\n"
    s3.connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n")
    assert caller.until(b"hi\r\n").endswith(b"2\r\nhi\r\n")
    s3.connection.sendall(b"0\r\n\r\n")
    caller.until(b"0\r\n\r\n")


@pytest.mark.parametrize(
    "response", [OK, b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"], ids=["early", "refusal"]
)
def test_response_before_the_end_of_the_body_reaches_the_caller(proxy: ProxyUnderTest, response: bytes) -> None:
    caller = proxy.call(b"PUT /bucket/key HTTP/1.1\r\nHost: HOST\r\nContent-Length: 99999999\r\n" + SIGNED + b"\r\nabc")
    s3 = proxy.arrived()
    s3.until(b"\r\n\r\nabc")
    s3.connection.sendall(response)
    s3.connection.close()
    assert caller.rest() == response


def test_100_continue_comes_from_s3(proxy: ProxyUnderTest) -> None:
    head = b"PUT /bucket/key HTTP/1.1\r\nHost: HOST\r\nContent-Length: 3\r\nExpect: 100-continue\r\n" + SIGNED + b"\r\n"
    caller = proxy.call(head)
    s3 = proxy.arrived()
    assert b"Expect: 100-continue" in s3.until(b"\r\n\r\n")
    s3.connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert caller.until(b"\r\n\r\n").startswith(b"HTTP/1.1 100 ")
    caller.connection.sendall(b"abc")
    s3.until(b"abc")
    s3.connection.sendall(OK)
    assert caller.until(b"ok") == OK


def test_caller_that_sends_waits_for_a_slow_upstream(proxy: ProxyUnderTest) -> None:
    caller = proxy.call(b"PUT /bucket/key HTTP/1.1\r\nHost: HOST\r\nContent-Length: 239999999\r\n" + SIGNED + b"\r\n")
    s3 = proxy.arrived()
    s3.until(b"\r\n\r\n")
    caller.connection.settimeout(1)
    sent = 0
    with contextlib.suppress(TimeoutError):
        while sent < 200 * MEBIBYTE:
            sent += caller.connection.send(bytes(MEBIBYTE))
    assert MEBIBYTE <= sent < 100 * MEBIBYTE  # the buffers of the kernel and the proxy are full


PUT = b"PUT /bucket/key HTTP/1.1\r\nHost: HOST\r\n" + SIGNED


def test_body_with_too_large_a_content_length_is_refused(proxy: ProxyUnderTest) -> None:
    caller = proxy.call(PUT + b"Content-Length: 5368709121\r\n\r\n")
    response = caller.rest()
    assert (b" 413 " in response, b"<Code>EntityTooLarge</Code>" in response, b"5 GiB" in response) == (
        True,
        True,
        True,
    )
    assert proxy.nothing_arrived()
    proxy.call(PUT + b"Content-Length: 5368709120\r\n\r\n")
    proxy.arrived()


def test_chunked_body_over_the_limit_is_aborted(proxy: ProxyUnderTest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3_proxy, "MAX_BODY_BYTES", 64 * MEBIBYTE)
    caller = proxy.call(PUT + b"Transfer-Encoding: chunked\r\n\r\n")
    s3 = proxy.arrived()
    arrived: list[int] = []
    reading = threading.Thread(target=lambda: arrived.append(_count(s3.connection)))
    reading.start()
    chunk = b"100000\r\n" + bytes(MEBIBYTE) + b"\r\n"
    with contextlib.suppress(ConnectionError):
        for _ in range(100):
            caller.connection.sendall(chunk)
    assert caller.rest().startswith(b"HTTP/1.1 413 ")
    reading.join()
    assert 63 * MEBIBYTE < arrived[0] < 65 * MEBIBYTE


def _count(connection: socket.socket) -> int:
    count = 0
    with contextlib.suppress(ConnectionError):
        while data := connection.recv(MEBIBYTE):
            count += len(data)
    return count


def test_parallel_uploads_of_a_sandbox_are_limited(proxy: ProxyUnderTest) -> None:
    callers = repeated(6, lambda: proxy.call(PUT + b"Content-Length: 3\r\n\r\nabc"))
    upstream = repeated(4, proxy.arrived)
    control = proxy.call(b"GET /bucket/key HTTP/1.1\r\nHost: HOST\r\n" + SIGNED + b"\r\n")
    assert b"GET /bucket/key" in proxy.arrived().until(b"\r\n\r\n")  # a request without a body does not wait
    assert proxy.nothing_arrived()
    for s3 in upstream:
        s3.connection.sendall(OK)
    for s3 in repeated(2, proxy.arrived):
        s3.connection.sendall(OK)
    for caller in callers:
        assert caller.until(b"ok") == OK
    control.connection.close()


@pytest.fixture(params=["MAX_TOTAL_BODY_BYTES", "MAX_SANDBOX_BODY_BYTES"])
def second_sandbox(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Limits the bodies of all sandboxes, or of one, to 3 MiB. Returns a sandbox to which the same limit applies."""
    monkeypatch.setattr(s3_proxy, request.param, 3 * MEBIBYTE)
    return 1 if request.param == "MAX_TOTAL_BODY_BYTES" else 0


@pytest.mark.parametrize(
    "length", [b"Content-Length: 2097152", b"Transfer-Encoding: chunked"], ids=["length", "chunked"]
)
def test_bodies_in_transit_share_a_limit(second_sandbox: int, proxy: ProxyUnderTest, length: bytes) -> None:
    mark = b"200000\r\n" if length.endswith(b"chunked") else b""
    upload = PUT + length + b"\r\n\r\n" + mark + bytes(2 * MEBIBYTE - 1)  # without the last byte
    first = proxy.call(upload, sandbox=0)
    s3 = proxy.arrived()
    assert _read(s3, 2 * MEBIBYTE - 1)
    refused = proxy.call(upload, sandbox=second_sandbox).rest()
    assert (b" 503 " in refused, b"<Code>SlowDown</Code>" in refused) == (True, True)
    proxy.arrived().connection.close()
    s3.connection.sendall(OK)
    assert first.until(b"ok") == OK
    first.connection.shutdown(socket.SHUT_WR)
    first.rest()  # the proxy has closed the connection
    proxy.call(upload, sandbox=second_sandbox)  # within the limit again
    assert _read(proxy.arrived(), 2 * MEBIBYTE - 1)


def _read(wire: Wire, count: int) -> bool:
    """Returns whether `count` bytes of a body arrive."""
    wire.until(b"\r\n\r\n")
    while wire.read.count(b"\0") < count:
        data = wire.connection.recv(MEBIBYTE)
        if not data:
            return False
        wire.read += data
    return True


def test_exchange_can_be_cancelled_while_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    ending = asyncio.Event()

    async def slow_to_end(*_: object) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ending.set()
            await asyncio.sleep(0.05)

    async def fail(*_: object) -> None:
        raise OSError

    async def cancelled() -> None:
        client, upstream, body = AsyncMock(), AsyncMock(), MagicMock()
        request = h11.Request(method="GET", target="/", headers=[("Host", "s3")])
        exchange = s3_proxy._exchange  # pyright: ignore[reportPrivateUsage]
        exchanging = asyncio.create_task(exchange(client, upstream, request, [], body))
        await asyncio.wait_for(ending.wait(), 10)
        exchanging.cancel()
        with pytest.raises(asyncio.CancelledError):
            await exchanging

    monkeypatch.setattr(s3_proxy, "_forward_body", slow_to_end)
    monkeypatch.setattr(s3_proxy, "_forward_response", fail)
    asyncio.run(cancelled())


def test_unreachable_upstream_is_reported(proxy: ProxyUnderTest) -> None:
    proxy.listener.close()
    caller = proxy.call(b"GET /bucket HTTP/1.1\r\nHost: HOST\r\n" + SIGNED + b"\r\n".replace(b"HOST", proxy.host))
    assert b"does not respond" in caller.rest()


def test_missing_upstream_is_reported_with_the_option() -> None:
    with running_proxy(None) as (port,), socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"GET /bucket HTTP/1.1\r\nHost: 127.0.0.1:4566\r\n" + SIGNED + b"\r\n")
        response = Wire(connection).rest()
    assert response.startswith(b"HTTP/1.1 503 ")
    assert b"Start it with --s3 URL" in response


def test_error_in_response_to_head_has_no_body_and_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    with running_proxy(None) as (port,), socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"HEAD /bucket/key HTTP/1.1\r\nHost: 127.0.0.1:4566\r\n" + SIGNED + b"\r\n")
        response = Wire(connection).rest()
    assert response.startswith(b"HTTP/1.1 503 ")
    assert response.endswith(b"\r\n\r\n")
    assert caplog.records == []


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
    "a path of MiniStack": b"POST /_ministack/reset HTTP/1.1\r\nHost: HOST\r\nContent-Length: 0\r\n" + SIGNED + b"\r\n",
    "encoded": b"POST /%5Fministack/reset HTTP/1.1\r\nHost: HOST\r\nContent-Length: 0\r\n" + SIGNED + b"\r\n",
    "doubled": b"POST //_ministack/reset HTTP/1.1\r\nHost: HOST\r\nContent-Length: 0\r\n" + SIGNED + b"\r\n",
    "relative": b"POST /../_ministack/reset HTTP/1.1\r\nHost: HOST\r\nContent-Length: 0\r\n" + SIGNED + b"\r\n",
    "a registry": b"GET /v2/_catalog HTTP/1.1\r\nHost: HOST\r\n" + SIGNED + b"\r\n",
    "an API": b"GET /restapis/a/b/_user_request_/c HTTP/1.1\r\nHost: HOST\r\n" + SIGNED + b"\r\n",
    "another host": b"GET /bucket/key HTTP/1.1\r\nHost: a.execute-api.localhost\r\n" + SIGNED + b"\r\n",
    "no host": b"GET /bucket/key HTTP/1.0\r\n" + SIGNED + b"\r\n",
    "two hosts": b"GET /bucket/key HTTP/1.1\r\nHost: HOST\r\nHost: HOST\r\n" + SIGNED + b"\r\n",
    "an absolute URL": b"GET http://HOST/bucket/key HTTP/1.1\r\nHost: HOST\r\n" + SIGNED + b"\r\n",
    "a tunnel": b"CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: HOST\r\n" + SIGNED + b"\r\n",
    "options": b"OPTIONS /bucket/key HTTP/1.1\r\nHost: HOST\r\n" + SIGNED + b"\r\n",
    "two lengths": b"PUT /bucket/k HTTP/1.1\r\nHost: HOST\r\nContent-Length: 0\r\nContent-Length: 9\r\n" + SIGNED
    + b"\r\n",
    "length and chunks": b"PUT /bucket/k HTTP/1.1\r\nHost: HOST\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n"
    + SIGNED + b"\r\n0\r\n\r\n",
    "unsupported coding": b"PUT /bucket/k HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked, identity\r\n"
    + SIGNED + b"\r\n0\r\n\r\n",
    "spaced name": b"PUT /bucket/k HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding : chunked\r\n"
    + SIGNED + b"\r\n0\r\n\r\n",
    "split header": b"GET /bucket/k HTTP/1.1\r\nHost: HOST\r\nX: a\rX-Amz-Target: b\r\n" + SIGNED + b"\r\n",
    "endless headers": b"GET /bucket/k HTTP/1.1\r\nHost: HOST\r\nX: " + b"x" * 100_000 + b"\r\n\r\n",
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
}  # fmt: skip


@pytest.mark.parametrize("request_bytes", REQUESTS.values(), ids=REQUESTS)
def test_request_that_is_not_for_s3_is_refused(proxy: ProxyUnderTest, request_bytes: bytes) -> None:
    response = proxy.call(request_bytes).rest()
    assert response.split(b" ", 2)[1] in (b"403", b"400", b"431", b"501"), response
    assert b"<Error>" in response
    assert proxy.nothing_arrived()
    control = proxy.call(b"GET /bucket/key HTTP/1.1\r\nHost: HOST\r\n" + SIGNED + b"\r\n")
    s3 = proxy.arrived()
    s3.connection.sendall(OK)
    assert control.until(b"ok") == OK


def test_bytes_after_a_refused_request_are_not_read_as_a_request(proxy: ProxyUnderTest) -> None:
    hidden = b"GET /bucket/hidden HTTP/1.1\r\nHost: HOST\r\n" + SIGNED + b"\r\n"
    refused = b"PUT /bucket/k HTTP/1.1\r\nHost: HOST\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n" + SIGNED
    assert proxy.call(refused + b"\r\n0\r\n\r\n" + hidden).rest().count(b"HTTP/1.1") == 1
    assert proxy.nothing_arrived()


def test_each_request_has_a_separate_upstream_connection(proxy: ProxyUnderTest) -> None:
    one = b"GET /bucket/one HTTP/1.1\r\nHost: HOST\r\n" + SIGNED + b"\r\n"
    caller = proxy.call(one + one.replace(b"/one", b"/two"))
    for name in (b"/bucket/one", b"/bucket/two"):
        s3 = proxy.arrived()
        head = s3.until(b"\r\n\r\n")
        assert name in head
        assert head.count(b"HTTP/1.1") == 1
        s3.connection.sendall(OK)
        caller.until(b"ok")


def repeated(count: int, call: Callable[[], Wire]) -> list[Wire]:
    return [call() for _ in range(count)]


def test_parallel_connections_of_a_sandbox_are_limited(proxy: ProxyUnderTest) -> None:
    request = b"GET /bucket/key HTTP/1.1\r\nHost: HOST\r\n" + SIGNED + b"\r\n"
    callers = repeated(80, lambda: proxy.call(request))
    upstream = repeated(64, proxy.arrived)
    assert proxy.nothing_arrived()
    upstream[0].connection.sendall(OK)
    finished = next(caller for caller in callers if _readable(caller.connection))
    finished.until(b"ok")
    finished.connection.close()
    proxy.arrived()  # the next waiting connection


def _readable(connection: socket.socket) -> bool:
    connection.settimeout(0.2)
    try:
        return bool(connection.recv(1, socket.MSG_PEEK))
    except TimeoutError:
        return False
    finally:
        connection.settimeout(20)
