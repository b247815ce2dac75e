"""Runs attempts of a run: the real Lambda handler in a separate process for each, which can be killed at any step.

`python -m tests.support.run_attempts` reads one JSON request a line from stdin, forks a new process for each, and
writes one JSON response a line. A step is a call of AWS: `claimed`, `accepted`, `done` and `released` write the
idempotency record in that state, `read` reads it, and `file` writes a file; the other steps have the names of AgentCore
operations and tools. The second call of a name is `NAME 2`.

Only waits between tries are shortened. An attempt reads idempotency records as if an hour had passed since they were
written, so that their writers are over, unless `other_attempts_live` is set.
"""

from __future__ import annotations

import gc
import importlib
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from email.utils import format_datetime, parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Literal, Self
from urllib.parse import unquote, urlsplit

from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import ConnectionClosedError, EndpointConnectionError
from botocore.httpsession import URLLib3Session

from sandpiper_contract import settings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from sandpiper.deployment import Deployment

Moment = Literal["before", "after"]
Fault = Literal["denied", "down", "lost", "lost once"]
"""Faults of S3: denied; unreachable; the response is lost each time, or only the first time."""
MAX_WAIT_SECONDS = 0.02
LEGACY_ATTEMPT_SECONDS = 0.05
"""Replaces the 30 s for which a record without expiry is polled."""
PRELOADED = ("code_runner.handlers", "code_runner.files.inputs", "code_runner.files.s3_transfer", "encodings.idna")
"""Modules that the handler would import in each process."""
CLOCK_ADVANCE_SECONDS = 3_600
"""Longer than any attempt can take."""
READ_TIMEOUT_SECONDS = 2
"""Replaces the read timeout of 10 s for S3, starts and stops."""


@dataclass(frozen=True)
class Attempt:
    """The outcome of one attempt: killed, a result or an error; and its steps unless it was killed."""

    killed: bool = False
    result: dict[str, Any] | None = None
    error: str | None = None
    message: str = ""
    sent: tuple[str, ...] = ()

    @property
    def stored_result(self) -> dict[str, Any] | None:
        """Returns the result without `usage`, which is that of the attempt that returned it."""
        return self.result and {name: value for name, value in self.result.items() if name != "usage"}

    @property
    def outcome(self) -> str:
        """Returns `killed`, the name of the error, or `result`."""
        return "killed" if self.killed else self.error or "result"


@dataclass
class Attempts:
    """The process that runs attempts. It is a context manager."""

    deployment: Deployment
    _server: subprocess.Popen[str] = field(init=False)

    def __post_init__(self) -> None:
        """Starts the process."""
        variables = {
            settings.INTERPRETERS: json.dumps(dict(self.deployment.interpreters)),
            settings.BUCKET: self.deployment.bucket,
            settings.PREFIX: self.deployment.prefix,
        }
        self._server = subprocess.Popen(
            [sys.executable, "-m", "tests.support.run_attempts"],
            env={**os.environ, **variables},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def __enter__(self) -> Self:
        """Returns this object."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Ends the process."""
        self._server.communicate()

    def run(
        self,
        event: Mapping[str, Any],
        *,
        kill: tuple[str, Moment] | None = None,
        faults: Mapping[str, Fault] | None = None,
        other_attempts_live: bool = False,
        direct: bool = False,
    ) -> Attempt:
        """Runs one attempt of an event in a new process. With `direct`, all files are too large for a response."""
        clock_advance = 0 if other_attempts_live else CLOCK_ADVANCE_SECONDS
        request = {"event": event, "kill": kill, "faults": faults or {}, "clock_advance": clock_advance}
        request["direct"] = direct
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.write(json.dumps(request) + "\n")
        self._server.stdin.flush()
        response: dict[str, Any] = json.loads(self._server.stdout.readline())
        sent = tuple(response.pop("sent", ()))
        return Attempt(**response, sent=sent)


class _Context:
    """The context of a Lambda invocation with 900 s left."""

    function_name = memory_limit_in_mb = invoked_function_arn = aws_request_id = "attempt"

    def get_remaining_time_in_millis(self) -> int:
        """Returns the remaining time in ms."""
        return 900_000


class _ResponseBody(io.BytesIO):
    """A response body like urllib3's."""

    def stream(self, **_: object) -> Any:
        """Yields the complete body."""
        yield self.read()


@dataclass
class _Connection:
    """Counts the steps between botocore and AWS, and kills the process or injects a fault at the chosen ones."""

    kill: tuple[str, Moment] | None
    faults: Mapping[str, Fault]
    clock_advance: int
    """Number of seconds by which the Date header of responses to reads of the record is advanced."""
    sent: list[str] = field(default_factory=list[str])
    _counted: Counter[str] = field(default_factory=Counter[str])

    def send(self, real: Callable[[Any, Any], Any], session: Any, request: Any) -> Any:
        """Sends one request in place of botocore."""
        name = _step(request)
        self._counted[name] += 1
        step = name if self._counted[name] == 1 else f"{name} {self._counted[name]}"
        self.sent.append(step)
        fault = self.faults.get(name)
        self._kill_at(step, "before")
        if fault == "denied":
            body = b"<Error><Code>AccessDenied</Code><Message>injected</Message></Error>"
            return AWSResponse(request.url, 403, HTTPHeaders(), _ResponseBody(body))
        if fault == "down":
            raise EndpointConnectionError(endpoint_url=request.url)
        response = real(session, request)
        if name == "read":
            date = parsedate_to_datetime(response.headers["date"]) + timedelta(seconds=self.clock_advance)
            response.headers["date"] = format_datetime(date, usegmt=True)
        if self.kill == (step, "after") or fault:
            _ = response.content  # waits for the complete response
        self._kill_at(step, "after")
        if fault == "lost" or (fault == "lost once" and self._counted[name] == 1):
            raise ConnectionClosedError(endpoint_url=request.url)
        return response

    def _kill_at(self, step: str, moment: Moment) -> None:
        if self.kill == (step, moment):
            os.kill(os.getpid(), signal.SIGKILL)


def _step(request: Any) -> str:
    path = unquote(urlsplit(str(request.url)).path)
    if path.endswith("/claim.json"):
        return "read" if request.method == "GET" else str(json.loads(_body(request))["state"])
    if "/runs/" in path:
        return "file"
    name = path.rpartition("/")[2]
    return str(json.loads(_body(request))["name"]) if name == "invoke" else name


def _body(request: Any) -> bytes:
    body: Any = request.body
    if not hasattr(body, "read"):
        return bytes(body)
    data: bytes = body.read()
    body.seek(0)
    return data


def _attempt(request: Mapping[str, Any]) -> dict[str, Any]:
    from code_runner import handlers  # imported before the fork, because the import is slow
    from code_runner.files import discovery, outputs

    if request["direct"]:
        discovery.LISTED_CONTENT_BYTES = outputs.BATCH_BYTES = 0
    connection = _Connection(
        tuple(request["kill"]) if request["kill"] else None, request["faults"], request["clock_advance"]
    )
    real = URLLib3Session.send
    URLLib3Session.send = lambda self, request: connection.send(real, self, request)
    try:
        result = handlers.run_operation(request["event"], _Context())  # pyright: ignore[reportArgumentType]
    except Exception as error:  # Lambda would report any of them
        return {"error": type(error).__name__, "message": str(error), "sent": connection.sent}
    return {"result": result, "sent": connection.sent}


def _run_forked(request: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the outcome of the attempt in a forked process."""
    reading, writing = os.pipe()
    if (pid := os.fork()) == 0:
        os.dup2(2, 1)  # stdout has only responses, but metrics are printed
        response = json.dumps(_attempt(request)).encode()
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(response)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        response = pipe.read()
    _, status = os.waitpid(pid, 0)
    return {"killed": True} if os.WIFSIGNALED(status) else json.loads(response)


def _serve() -> None:
    from code_runner.agentcore import boto_clients
    from code_runner.idempotency import record

    record.LEGACY_ATTEMPT_SECONDS = LEGACY_ATTEMPT_SECONDS
    boto_clients.READ_TIMEOUT_SECONDS = READ_TIMEOUT_SECONDS
    for module in PRELOADED:
        importlib.import_module(module)
    gc.collect()
    gc.freeze()  # a collection would copy the pages of all these objects to each child
    sleep = time.sleep
    time.sleep = lambda seconds, /: sleep(min(float(seconds), MAX_WAIT_SECONDS))
    for line in sys.stdin:
        print(json.dumps(_run_forked(json.loads(line))), flush=True)


if __name__ == "__main__":
    _serve()
