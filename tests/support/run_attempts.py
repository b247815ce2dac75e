"""Attempts of a run: the real Lambda handler in a separate process each, which can be killed at any step.

`python -m tests.support.run_attempts` reads one order a line from stdin, forks for each a process that has done nothing
before, and writes one answer a line. A step is a call of AWS by name: `claimed`, `accepted`, `done` and `released` are
the puts of the claim, `look` reads it, `file` puts a file; the others are AgentCore's. The second call of a name is
`NAME 2`.

Waits between tries are cut short here; what is sent, and what is made of the answers, is the product's own. An attempt
reads claims as if an hour had passed since they were written, so that whoever wrote them is over, unless it is told
that others live.
"""

from __future__ import annotations

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
LONGEST_WAIT_SECONDS = 0.02
LEGACY_ATTEMPT_SECONDS = 0.05
"""Replaces the 30 s for which a record without expiry is polled."""
LATER_SECONDS = 3_600
"""Longer than any attempt can live."""
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
    def outcome(self) -> str:
        """In a word."""
        return "killed" if self.killed else self.error or "result"


@dataclass
class Attempts:
    """The process that makes attempts. It is a context manager."""

    place: Deployment
    _server: subprocess.Popen[str] = field(init=False)

    def __post_init__(self) -> None:
        """Starts it."""
        surroundings = {
            settings.INTERPRETERS: json.dumps(dict(self.place.interpreters)),
            settings.BUCKET: self.place.bucket,
            settings.PREFIX: self.place.prefix,
        }
        self._server = subprocess.Popen(
            [sys.executable, "-m", "tests.support.run_attempts"],
            env={**os.environ, **surroundings},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def __enter__(self) -> Self:
        """As it is."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Ends the process."""
        self._server.communicate()

    def make(
        self,
        event: Mapping[str, Any],
        *,
        kill: tuple[str, Moment] | None = None,
        faults: Mapping[str, Fault] | None = None,
        others_live: bool = False,
    ) -> Attempt:
        """One attempt at an event, in a fresh process."""
        later = 0 if others_live else LATER_SECONDS
        order = {"event": event, "kill": kill, "faults": faults or {}, "later": later}
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.write(json.dumps(order) + "\n")
        self._server.stdin.flush()
        answer: dict[str, Any] = json.loads(self._server.stdout.readline())
        sent = tuple(answer.pop("sent", ()))
        return Attempt(**answer, sent=sent)


class _Context:
    """What Lambda gives a handler, with 900 s to go."""

    function_name = memory_limit_in_mb = invoked_function_arn = aws_request_id = "attempt"

    def get_remaining_time_in_millis(self) -> int:
        """Returns the remaining time in ms."""
        return 900_000


class _Answer(io.BytesIO):
    """A response body like urllib3's."""

    def stream(self, **_: object) -> Any:
        """All of it."""
        yield self.read()


@dataclass
class _Wire:
    """Counts the steps between botocore and AWS, and kills the process or injects a fault at the chosen ones."""

    kill: tuple[str, Moment] | None
    faults: Mapping[str, Fault]
    later: int
    """How many seconds S3's clock is ahead in responses to reads of the record."""
    sent: list[str] = field(default_factory=list[str])
    _counted: Counter[str] = field(default_factory=Counter[str])

    def send(self, real: Callable[[Any, Any], Any], session: Any, request: Any) -> Any:
        """One request, as botocore sends it."""
        name = _step(request)
        self._counted[name] += 1
        step = name if self._counted[name] == 1 else f"{name} {self._counted[name]}"
        self.sent.append(step)
        fault = self.faults.get(name)
        self._die_at(step, "before")
        if fault == "denied":
            body = b"<Error><Code>AccessDenied</Code><Message>on order</Message></Error>"
            return AWSResponse(request.url, 403, HTTPHeaders(), _Answer(body))
        if fault == "down":
            raise EndpointConnectionError(endpoint_url=request.url)
        response = real(session, request)
        if name == "look":
            date = parsedate_to_datetime(response.headers["date"]) + timedelta(seconds=self.later)
            response.headers["date"] = format_datetime(date, usegmt=True)
        if self.kill == (step, "after") or fault:
            _ = response.content  # all of the answer has come
        self._die_at(step, "after")
        if fault == "lost" or (fault == "lost once" and self._counted[name] == 1):
            raise ConnectionClosedError(endpoint_url=request.url)
        return response

    def _die_at(self, step: str, moment: Moment) -> None:
        if self.kill == (step, moment):
            os.kill(os.getpid(), signal.SIGKILL)


def _step(request: Any) -> str:
    path = unquote(urlsplit(str(request.url)).path)
    if path.endswith("/claim.json"):
        return "look" if request.method == "GET" else str(json.loads(_body(request))["state"])
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


def _attempt(order: Mapping[str, Any]) -> dict[str, Any]:
    from code_runner import handlers  # before the fork it has been, which is what takes long

    wire = _Wire(tuple(order["kill"]) if order["kill"] else None, order["faults"], order["later"])
    real = URLLib3Session.send
    URLLib3Session.send = lambda self, request: wire.send(real, self, request)
    try:
        result = handlers.run_operation(order["event"], _Context())  # pyright: ignore[reportArgumentType]
    except Exception as error:  # whatever Lambda would tell
        return {"error": type(error).__name__, "message": str(error), "sent": wire.sent}
    return {"result": result, "sent": wire.sent}


def _forked(order: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the outcome of the attempt in a forked process."""
    reading, writing = os.pipe()
    if (pid := os.fork()) == 0:
        os.dup2(2, 1)  # metrics are printed
        answer = json.dumps(_attempt(order)).encode()
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(answer)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        answer = pipe.read()
    _, status = os.waitpid(pid, 0)
    return {"killed": True} if os.WIFSIGNALED(status) else json.loads(answer)


def _serve() -> None:
    from code_runner.agentcore import boto_clients
    from code_runner.idempotency import record

    record.LEGACY_ATTEMPT_SECONDS = LEGACY_ATTEMPT_SECONDS
    boto_clients.READ_TIMEOUT_SECONDS = READ_TIMEOUT_SECONDS
    from code_runner import handlers  # now, since it makes its clients at once

    assert handlers.CLIENTS
    sleep = time.sleep
    time.sleep = lambda seconds, /: sleep(min(float(seconds), LONGEST_WAIT_SECONDS))
    for line in sys.stdin:
        print(json.dumps(_forked(json.loads(line))), flush=True)


if __name__ == "__main__":
    _serve()
