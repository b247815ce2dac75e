# ruff: noqa: N803 - the parameters have the names of the members of requests, as in boto3
"""S3 and AgentCore in the memory of a test, with virtual time, and with faults at chosen calls.

Property tests run thousands of operations with it. The tests of tests/local run the same operations on the embedded
AWS. Only what batches use is here: conditional writes and listings of S3, and sessions whose programs are Python
functions.
"""

from __future__ import annotations

import hashlib
import io
import json
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any, Literal
from unittest.mock import patch

from botocore.exceptions import ClientError
from botocore.response import StreamingBody

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

Fault = Literal["killed before", "killed after", "rejected", "throttled", "failed", "lost", "stopped"]
"""What happens at a call. `failed` has no effect, and `lost` has; AWS returns 500 for both. At `stopped`, the execution
is stopped, and the function with it."""
FAULTS: tuple[Fault, ...] = ("killed before", "killed after", "rejected", "throttled", "failed", "lost")
STATUS = {"AccessDeniedException": 403, "ThrottlingException": 429, "InternalServerException": 500}
CODES: dict[str, str] = {
    "rejected": "AccessDeniedException",
    "throttled": "ThrottlingException",
    "failed": "InternalServerException",
    "lost": "InternalServerException",
}
MISSING, CHANGED, NOT_ACTIVE = ("NoSuchKey", 404), ("PreconditionFailed", 412), ("ValidationException", 400)
PAGE_KEYS = 1_000


class Killed(BaseException):
    """Lambda has ended the process of the function. No handler of the product catches it."""


class Stopped(BaseException):
    """The execution is stopped."""


@dataclass(frozen=True)
class StoredObject:
    """An object, with its ETag and the time of its last change."""

    data: bytes
    etag: str
    modified: datetime


@dataclass
class AccountInMemory:
    """The clients of an account (`code_runner.agentcore.boto_clients.Clients`).

    Attributes:
        program: Returns stdout and exit code of a program, from the files of its session.
        faults: The fault of the call with this number, from 0.
        objects: The objects of all buckets by bucket and key.
        live: The files of each live session by its id.
        programs: The content of `item.json` for each program that ran, in order.
        calls: The number of calls so far.
        now: The virtual time in seconds since 1970.
    """

    program: Callable[[dict[str, bytes]], tuple[str, int]]
    faults: dict[int, Fault] = field(default_factory=dict[int, Fault])
    objects: dict[tuple[str, str], StoredObject] = field(default_factory=dict[tuple[str, str], StoredObject])
    live: dict[str, dict[str, bytes]] = field(default_factory=dict[str, dict[str, bytes]])
    programs: list[bytes] = field(default_factory=list[bytes])
    calls: int = 0
    now: float = 1_800_000_000.0
    _names: dict[str, str] = field(default_factory=dict[str, str])
    _tokens: dict[str, str] = field(default_factory=dict[str, str])

    @contextmanager
    def virtual_time(self) -> Generator[None]:
        """Replaces the clocks and the sleep of the process, so that waits take no time."""

        def sleep(seconds: float) -> None:
            self.now += seconds

        def clock() -> float:
            return self.now

        with (
            patch.object(time, "sleep", sleep),
            patch.object(time, "monotonic", clock),
            patch.object(time, "time", clock),
            patch("code_runner.agentcore.tool_invoker.read_events", _events),
            patch("code_runner.agentcore.live_sessions.ALARMS"),
        ):
            yield

    @property
    def sessions(self) -> Any:
        """Returns this object, which has the methods of all clients."""
        return self

    s3 = sessions

    def invoke(self, timeout_seconds: float) -> Any:  # noqa: ARG002 - the signature of Clients
        """Returns this object."""
        return self

    # S3

    def get_object(self, Bucket: str, Key: str, **_: Any) -> dict[str, Any]:
        return self._call("GetObject", lambda: self._get(Bucket, Key))

    def head_object(self, Bucket: str, Key: str, **_: Any) -> dict[str, Any]:
        return self._call("HeadObject", lambda: self._get(Bucket, Key))

    def _get(self, bucket: str, key: str) -> dict[str, Any]:
        if (found := self.objects.get((bucket, key))) is None:
            raise client_error("GetObject", *MISSING)
        return {
            "Body": StreamingBody(io.BytesIO(found.data), len(found.data)),
            "ETag": found.etag,
            "ContentLength": len(found.data),
            "LastModified": found.modified,
            "ResponseMetadata": {"HTTPHeaders": {"date": format_datetime(self._date(), usegmt=True)}},
        }

    def put_object(self, Bucket: str, Key: str, Body: bytes, **options: Any) -> dict[str, Any]:
        def put() -> dict[str, Any]:
            present = self.objects.get((Bucket, Key))
            if "IfNoneMatch" in options and present is not None:
                raise client_error("PutObject", *CHANGED)
            if "IfMatch" in options and (present is None or present.etag != options["IfMatch"]):
                raise client_error("PutObject", *CHANGED)
            etag = hashlib.sha256(f"{self.calls}".encode() + Body).hexdigest()
            self.objects[Bucket, Key] = StoredObject(bytes(Body), etag, self._date())
            return {"ETag": etag}

        return self._call("PutObject", put)

    def list_objects_v2(self, Bucket: str, Prefix: str, **options: Any) -> dict[str, Any]:
        return self._call("ListObjectsV2", lambda: self._list(Bucket, Prefix, **options))

    def _list(
        self, bucket: str, prefix: str, Delimiter: str = "", StartAfter: str = "", MaxKeys: int = PAGE_KEYS
    ) -> dict[str, Any]:
        keys = sorted(key for of, key in self.objects if of == bucket and key.startswith(prefix) and key > StartAfter)
        contents, folders = list[dict[str, Any]](), dict[str, None]()
        for key in keys:
            folder, found, _ = key.removeprefix(prefix).partition(Delimiter) if Delimiter else (key, "", "")
            if found:
                folders[f"{prefix}{folder}{found}"] = None
            else:
                stored = self.objects[bucket, key]
                contents.append({"Key": key, "Size": len(stored.data), "LastModified": stored.modified})
        return {"Contents": contents[:MaxKeys], "CommonPrefixes": [{"Prefix": each} for each in folders]}

    def get_paginator(self, _: str) -> Any:
        return self

    def paginate(self, **options: Any) -> Iterator[dict[str, Any]]:
        """Yields one page: a batch of a test has few items."""
        yield self.list_objects_v2(**options)

    # AgentCore

    def start_code_interpreter_session(self, name: str, clientToken: str, **_: Any) -> dict[str, Any]:
        def start() -> dict[str, Any]:
            session = self._tokens.get(clientToken)
            if session not in self.live:
                session = f"session-{len(self._names):03}"
                self._tokens[clientToken], self._names[session], self.live[session] = session, name, {}
            return {"sessionId": session}

        return self._call("StartCodeInterpreterSession", start)

    def stop_code_interpreter_session(self, sessionId: str, **_: Any) -> dict[str, Any]:
        def stop() -> dict[str, Any]:
            if self.live.pop(sessionId, None) is None:
                raise client_error("StopCodeInterpreterSession", *NOT_ACTIVE)
            return {}

        return self._call("StopCodeInterpreterSession", stop)

    def list_code_interpreter_sessions(self, **_: Any) -> dict[str, Any]:
        items = [{"sessionId": each, "name": self._names[each], "createdAt": self._date()} for each in self.live]
        return self._call("ListCodeInterpreterSessions", lambda: {"items": items})

    def invoke_code_interpreter(self, sessionId: str, name: str, arguments: Any, **_: Any) -> dict[str, Any]:
        def invoke() -> dict[str, Any]:
            if (files := self.live.get(sessionId)) is None:
                raise client_error("InvokeCodeInterpreter", *NOT_ACTIVE)
            if name == "writeFiles":
                files |= {file["path"]: file.get("blob") or file["text"].encode() for file in arguments["content"]}
                return {"stream": [{"result": {"content": []}}]}
            assert name == "executeCode", name
            self.programs.append(files["item.json"])
            stdout, exit_code = self.program(files)
            outcome = {"stdout": stdout, "stderr": "", "exitCode": exit_code, "executionTime": 0.01}
            return {"stream": [{"result": {"content": [], "structuredContent": outcome}}]}

        return self._call(name, invoke)

    def _date(self) -> datetime:
        return datetime.fromtimestamp(int(self.now), UTC)

    def _call(self, operation: str, perform: Callable[[], dict[str, Any]]) -> Any:
        """Performs a call, or fails as the fault of its number says."""
        self.now += 0.05
        fault = self.faults.get(self.calls)
        self.calls += 1
        if fault in ("killed before", "stopped"):
            raise Killed if fault == "killed before" else Stopped
        if fault in ("rejected", "throttled", "failed"):
            raise client_error(operation, CODES[fault], STATUS[CODES[fault]])
        result = perform()
        if fault == "killed after":
            raise Killed
        if fault == "lost":
            raise client_error(operation, CODES[fault], STATUS[CODES[fault]])
        return result


def client_error(operation: str, code: str, status: int) -> ClientError:
    """Returns the exception of botocore for an error of a service."""
    message = "The session is not active" if (code, status) == NOT_ACTIVE else "injected"
    response: Any = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(response, operation)


def _events(stream: Any, **_: Any) -> Any:
    """Returns the events of a response, which is already parsed."""
    return stream


def printed_item(files: dict[str, bytes]) -> tuple[str, int]:
    """A program that prints its item, which is an object, and ends with the exit code in it, if any."""
    item: dict[str, Any] = json.loads(files["item.json"])
    return files["item.json"].decode(), item.get("exit", 0)
