"""Lambda's Runtime API for one worker: hands it one event at a time and takes the answer.

https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
"""

from __future__ import annotations

import json
import queue
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MAX_RESPONSE_BYTES = 6 * 1024 * 1024 + 100
"""Of a synchronous invocation; Lambda names this number when it refuses an answer."""


@dataclass(frozen=True)
class Invocation:
    """One event on its way to the function. `deadline_ms` is in milliseconds since the epoch."""

    request_id: str
    event: bytes
    deadline_ms: int
    function_arn: str


@dataclass(frozen=True)
class Answer:
    """What the function returned, or its error as Lambda shapes it (`errorType`, `errorMessage`, `stackTrace`).

    `is_last` is set where the runtime ends after it: the function could not be initialised.
    """

    body: Any  # JSON
    failed: bool
    log: str = ""
    is_last: bool = False

    @classmethod
    def failure(cls, kind: str, message: str) -> Answer:
        """An error that Lambda and not the function reports."""
        return cls({"errorType": kind, "errorMessage": message}, failed=True)


class RuntimeApi:
    """The HTTP server that one worker asks for work, on a free loopback port."""

    def __init__(self) -> None:
        self._invocations: queue.SimpleQueue[Invocation | None] = queue.SimpleQueue()
        self.answers: queue.SimpleQueue[Answer] = queue.SimpleQueue()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self._invocations, self.answers))
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, name="lambda-runtime-api", daemon=True).start()

    @property
    def address(self) -> str:
        """What AWS_LAMBDA_RUNTIME_API holds."""
        return f"127.0.0.1:{self._server.server_port}"

    def send(self, invocation: Invocation) -> None:
        """Gives the worker its next event."""
        self._invocations.put(invocation)

    def close(self) -> None:
        """Stops serving; a thread that waits for the next event ends."""
        self._invocations.put(None)
        self._server.shutdown()
        self._server.server_close()


def _handler(
    invocations: queue.SimpleQueue[Invocation | None], answers: queue.SimpleQueue[Answer]
) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = 65536
        disable_nagle_algorithm = True  # else every answer waits 40 ms for a delayed acknowledgement

        def do_GET(self) -> None:
            """`…/invocation/next`: blocks until there is an event."""
            invocation = invocations.get()
            if invocation is None:
                self.close_connection = True
                return
            self._reply(
                200,
                invocation.event,
                {
                    "Lambda-Runtime-Aws-Request-Id": invocation.request_id,
                    "Lambda-Runtime-Deadline-Ms": str(invocation.deadline_ms),
                    "Lambda-Runtime-Invoked-Function-Arn": invocation.function_arn,
                },
            )

        def do_POST(self) -> None:
            """`…/response`, `…/error` or `/init/error`."""
            body = self._body()
            self._reply(202, b'{"status":"OK"}', {})
            failed = self.path.endswith("/error")
            if len(body) > MAX_RESPONSE_BYTES and not failed:
                answers.put(_too_large(len(body)))
            else:
                answers.put(Answer(json.loads(body or b"null"), failed, is_last=self.path.endswith("/init/error")))

        def _body(self) -> bytes:
            if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
                return self.rfile.read(int(self.headers.get("Content-Length") or 0))
            chunks: list[bytes] = []
            while size := int(self.rfile.readline(), 16):
                chunks.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(chunks)

        def _reply(self, status: int, body: bytes, headers: dict[str, str]) -> None:
            self.send_response_only(status)
            for name, value in {
                **headers,
                "Content-Type": "application/json",
                "Content-Length": str(len(body)),
            }.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)
            self.wfile.flush()

        def log_message(self, *_: object) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
            """The worker's own output is the log."""

    return Handler


def _too_large(size: int) -> Answer:
    return Answer.failure(
        "Function.ResponseSizeTooLarge",
        f"Response payload size ({size} bytes) exceeded maximum allowed payload size ({MAX_RESPONSE_BYTES} bytes).",
    )
