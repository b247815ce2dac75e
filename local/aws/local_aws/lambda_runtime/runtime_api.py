"""Lambda's Runtime API for one worker: sends it one event at a time and receives the result.

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
"""Limit of a synchronous invocation, as in Lambda's error message."""


@dataclass(frozen=True)
class Invocation:
    """An event for the function. `deadline_ms` is in milliseconds since the epoch, `trace` a header of X-Ray."""

    request_id: str
    event: bytes
    deadline_ms: int
    function_arn: str
    trace: str = ""


@dataclass(frozen=True)
class InvocationResult:
    """The result of an invocation.

    Attributes:
        body: The returned JSON value, or Lambda's error object (`errorType`, `errorMessage`, `stackTrace`).
        failed: Whether `body` is an error.
        log: Output of the function during the invocation.
        is_init_error: Whether the function could not be initialized. The worker ends after this error.
        peak_memory_mib: The most memory that the worker has used since its start.
    """

    body: Any
    failed: bool
    log: str = ""
    is_init_error: bool = False
    peak_memory_mib: int = 0

    @classmethod
    def failure(cls, error_type: str, message: str) -> InvocationResult:
        """Returns an error that Lambda reports, not the function."""
        return cls({"errorType": error_type, "errorMessage": message}, failed=True)


class RuntimeApi:
    """The HTTP server from which one worker requests its events. It listens on a free loopback port."""

    def __init__(self) -> None:
        self._invocations: queue.SimpleQueue[Invocation | None] = queue.SimpleQueue()
        self.results: queue.SimpleQueue[InvocationResult] = queue.SimpleQueue()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self._invocations, self.results))
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, name="lambda-runtime-api", daemon=True).start()

    @property
    def address(self) -> str:
        """The value of AWS_LAMBDA_RUNTIME_API."""
        return f"127.0.0.1:{self._server.server_port}"

    def send(self, invocation: Invocation) -> None:
        """Queues the next event for the worker."""
        self._invocations.put(invocation)

    def close(self) -> None:
        """Stops the server. Ends the request that waits for the next event."""
        self._invocations.put(None)
        self._server.shutdown()
        self._server.server_close()


def _handler(
    invocations: queue.SimpleQueue[Invocation | None], results: queue.SimpleQueue[InvocationResult]
) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = 65536
        disable_nagle_algorithm = (
            True  # with Nagle's algorithm, every response waits 40 ms for a delayed acknowledgement
        )

        def do_GET(self) -> None:
            """Handles `…/invocation/next`: waits for an event and returns it."""
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
                    **({"Lambda-Runtime-Trace-Id": invocation.trace} if invocation.trace else {}),
                },
            )

        def do_POST(self) -> None:
            """Handles `…/response`, `…/error` and `/init/error`."""
            body = self._body()
            self._reply(202, b'{"status":"OK"}', {})
            failed = self.path.endswith("/error")
            if len(body) > MAX_RESPONSE_BYTES and not failed:
                results.put(_too_large(len(body)))
            else:
                is_init_error = self.path.endswith("/init/error")
                results.put(InvocationResult(json.loads(body or b"null"), failed, is_init_error=is_init_error))

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
            """Suppresses the log of requests."""

    return Handler


def _too_large(size: int) -> InvocationResult:
    return InvocationResult.failure(
        "Function.ResponseSizeTooLarge",
        f"Response payload size ({size} bytes) exceeded maximum allowed payload size ({MAX_RESPONSE_BYTES} bytes).",
    )
