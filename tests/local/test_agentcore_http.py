"""HTTP requests that no AWS client sends: each gets a clear response, and the log contains no traceback."""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from local_agentcore.process import client, running_emulator
from tests.support.agentcore_sessions import MANAGED

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

LIST = b"/code-interpreters"


@pytest.fixture(scope="module")
def emulator(agentcore_runtime: Path, tmp_path_factory: pytest.TempPathFactory) -> Generator[tuple[str, Path]]:
    """Starts an emulator, returns its address and log, and checks at the end that the log contains no errors."""
    state = tmp_path_factory.mktemp("http")
    with running_emulator(agentcore_runtime, state, "--request-mb", "1") as running:
        yield running.address, state / "log"
    log = (state / "log").read_text()
    assert "Traceback" not in log
    assert " ERROR " not in log


def connect(address: str) -> socket.socket:
    """Opens a connection to the emulator."""
    parts = urlsplit(address)
    return socket.create_connection((str(parts.hostname), int(parts.port or 0)))


def exchange(address: str, request: bytes) -> tuple[int, dict[str, str], bytes]:
    """Sends bytes and reads one response until the server closes the connection."""
    with connect(address) as connection:
        connection.sendall(request)
        data = b""
        while part := connection.recv(65536):
            data += part
    head, _, body = data.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    return int(status.split()[1]), headers, body


def request(address: str, method: bytes, path: bytes, body: bytes = b"", *headers: bytes) -> bytes:
    """Returns the bytes of a request with `connection: close`."""
    host = urlsplit(address).netloc.encode()
    lines = [method + b" " + path + b" HTTP/1.1", b"host: " + host, b"connection: close", *headers]
    if not any(header.startswith(b"transfer-encoding") for header in headers):
        lines.append(b"content-length: %d" % len(body))
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        (b"PUT", LIST, b"{", 400, "SerializationException"),
        (b"PUT", LIST, b"null", 400, "SerializationException"),
        (b"PUT", LIST, b"\xff\xfe", 400, "SerializationException"),
        (b"PUT", LIST, b"[" * 200_000, 400, "SerializationException"),
        (b"PUT", LIST, b'{"name": ' + b"9" * 6000 + b"}", 400, "SerializationException"),
        (
            b"PUT",
            LIST,
            b'{"name": NaN, "networkConfiguration": {"networkMode": "SANDBOX"}}',
            400,
            "ValidationException",
        ),
        (b"PUT", LIST, b'{"name": "a", "networkConfiguration": "SANDBOX"}', 400, None),
        (b"PUT", LIST, b'{"name": "a\\ud800", "networkConfiguration": {"networkMode": "SANDBOX"}}', 400, None),
        (b"PUT", LIST, b'{"name": "a", "name": 5}', 400, "ValidationException"),
        (b"POST", LIST + b"?maxResults=many", b"", 400, None),
        (b"POST", LIST + b"?maxResults=0", b"", 400, "ValidationException"),
        (b"POST", LIST + b"?maxResults=101", b"", 400, "ValidationException"),
        (b"POST", LIST + b"?nextToken=MCBpbnRlcnByZXRlcnM%3D", b"", 400, "ValidationException"),
        (b"POST", LIST + b"?nextToken=%C3%A4", b"", 400, "ValidationException"),
        (b"POST", LIST + b"?type=MINE", b"", 400, "ValidationException"),
        (b"GET", LIST + b"/%00", b"", 400, "ValidationException"),
        (b"GET", LIST + b"/%FF", b"", 400, "ValidationException"),
        (b"GET", LIST + b"/..%2F..%2Fetc", b"", 400, "ValidationException"),
        (b"GET", b"/tags/arn%3Aaws", b"", 400, "ValidationException"),
        (b"PUT", LIST + b"/none/sessions/stop", b"", 400, "ValidationException"),
        (b"GET", b"/nothing", b"", 404, "UnknownOperationException"),
        (b"PATCH", LIST, b"", 404, "UnknownOperationException"),
        (b"OPTIONS", b"/", b"", 404, "UnknownOperationException"),
        (b"GET", b"/agents", b"", 404, "UnknownOperationException"),
        (b"GET", b"/_local/nothing", b"", 404, "UnknownOperationException"),
        (b"DELETE", b"/_local/health", b"", 404, "UnknownOperationException"),
    ],
)
def test_an_invalid_request_gets_a_service_error(
    emulator: tuple[str, Path], method: bytes, path: bytes, body: bytes, status: int, code: str | None
) -> None:
    address, _ = emulator
    response = exchange(address, request(address, method, path, body))
    assert response[0] == status, response
    assert response[1]["content-type"] == "application/json"
    message = json.loads(response[2])["message"]
    assert message
    assert "Traceback" not in message
    assert code is None or response[1]["x-amzn-errortype"] == code.lower(), response


def test_a_chunked_body_of_any_content_type_is_accepted(emulator: tuple[str, Path]) -> None:
    address, _ = emulator
    where = b"/code-interpreters/aws.codeinterpreter.v1/sessions/list"
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (b'{"max', b'Results"', b": 1}")) + b"0\r\n\r\n"
    headers = (b"transfer-encoding: chunked", b"content-type: text/plain")
    status, _, body = exchange(address, request(address, b"POST", where, chunks, *headers))
    assert (status, "items" in json.loads(body)) == (200, True)
    wrong = chunks.replace(b"1}", b"0}")
    assert exchange(address, request(address, b"POST", where, wrong, *headers))[0] == 400


def test_a_body_over_the_limit_is_rejected_chunked_or_not(emulator: tuple[str, Path]) -> None:
    address, _ = emulator
    body = b'"' + b"a" * 4_000_000 + b'"'
    chunked = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    for sent, headers in ((body, ()), (chunked, (b"transfer-encoding: chunked",))):
        status, _, response = exchange(address, request(address, b"PUT", LIST, sent, *headers))
        assert status == 400
        assert json.loads(response)["message"] == "The request is larger than the 1 MB that are allowed"


@pytest.mark.parametrize(
    "raw",
    [
        b"nonsense\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: x\r\nlong: " + b"a" * 200_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: x\r\ncontent-length: many\r\n\r\n",
    ],
)
def test_invalid_http_is_rejected(emulator: tuple[str, Path], raw: bytes) -> None:
    address, _ = emulator
    with connect(address) as connection:
        connection.sendall(raw)
        assert connection.recv(65536).startswith(b"HTTP/1.1 400 ")


def test_a_websocket_is_rejected(emulator: tuple[str, Path]) -> None:
    address, _ = emulator
    headers = (b"upgrade: websocket", b"sec-websocket-version: 13", b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==")
    sent = request(address, b"GET", b"/", b"", *headers).replace(b"connection: close", b"connection: upgrade, close")
    assert exchange(address, sent)[0] == 404


def test_an_incomplete_request_has_no_effect(emulator: tuple[str, Path]) -> None:
    address, _ = emulator
    sent = request(address, b"PUT", LIST, b'{"name": "half", "networkConfiguration": {"networkMode": "SANDBOX"}}')
    for cut in (10, len(sent) - 5):
        with connect(address) as connection:
            connection.sendall(sent[:cut])
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset
    status, _, body = exchange(address, request(address, b"POST", LIST))
    assert (status, b"half" in body) == (200, False)


def test_a_call_continues_after_its_client_disconnects(emulator: tuple[str, Path]) -> None:
    address, _ = emulator
    data = client("bedrock-agentcore", address, "us-east-1")
    session = data.start_code_interpreter_session(**MANAGED)["sessionId"]

    def listed() -> str:
        response = data.invoke_code_interpreter(**MANAGED, sessionId=session, name="listFiles", arguments={"path": ""})
        return str(list(response["stream"]))

    code = "import os, time\nopen('begun', 'w')\nwhile not os.path.exists('go'): time.sleep(0.01)\nopen('done', 'w')"
    body = json.dumps({"name": "executeCode", "arguments": {"language": "python", "code": code}}).encode()
    path = b"/code-interpreters/aws.codeinterpreter.v1/tools/invoke"
    header = b"x-amzn-code-interpreter-session-id: " + session.encode()
    with connect(address) as connection:
        connection.sendall(request(address, b"POST", path, body, header))
        while "begun" not in listed():
            time.sleep(0.05)  # stays below the throttling rate
    write = {"content": [{"path": "go", "text": ""}]}
    data.invoke_code_interpreter(**MANAGED, sessionId=session, name="writeFiles", arguments=write)
    while "done" not in listed():
        time.sleep(0.05)
    data.stop_code_interpreter_session(**MANAGED, sessionId=session)


def test_parallel_calls_of_all_tools_in_one_session_complete_without_mixing(agentcore: Any) -> None:
    session = agentcore.start_code_interpreter_session(**MANAGED)["sessionId"]
    responses: dict[tuple[str, int], Any] = {}

    def call(kind: str, number: int) -> None:
        path = f"{number}.txt"
        text = f"{kind} {number} " * 500
        arguments: dict[str, Any] = {
            "executeCode": {"language": "python", "code": f"print({text!r})"},
            "executeCommand": {"command": f"printf %s '{text}'"},
            "writeFiles": {"content": [{"path": path, "text": text}]},
        }[kind]
        (event,) = agentcore.invoke_code_interpreter(**MANAGED, sessionId=session, name=kind, arguments=arguments)[
            "stream"
        ]
        responses[kind, number] = event["result"]
        if kind == "writeFiles":
            (read,) = agentcore.invoke_code_interpreter(
                **MANAGED, sessionId=session, name="readFiles", arguments={"paths": [path]}
            )["stream"]
            assert read["result"]["content"][0]["resource"]["text"] == text

    kinds = ("executeCode", "executeCommand", "writeFiles")
    threads = [threading.Thread(target=call, args=(kind, number)) for number in range(8) for kind in kinds]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(responses) == len(threads)
    for (kind, number), result in responses.items():
        assert result["isError"] is False
        if kind != "writeFiles":
            assert result["structuredContent"]["stdout"].split() == [kind, str(number)] * 500
    agentcore.stop_code_interpreter_session(**MANAGED, sessionId=session)
