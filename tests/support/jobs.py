"""Programs that record each execution in S3, so that executions are counted independently of their results."""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from base64 import b64decode
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sandpiper_contract.run import Run
from sandpiper_contract.s3_objects import S3Object
from tests.support.s3_mark import mark_run

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.support.product import Product
    from tests.support.run_attempts import Attempt, Attempts, Fault, Moment

LEFT = b"what the program left"
PATIENCE_SECONDS = 30.0
SANDBOX = "sandbox"
"""The key of the tenant's first interpreter."""


@dataclass
class Job:
    """One run of one operation, which may take several attempts.

    The program puts an object of a new name each time that it runs, and leaves a file. An input is written first.
    """

    product: Product
    attempts: Attempts
    operation: str
    mark: str = field(default_factory=lambda: str(uuid.uuid4()))
    session: Mapping[str, Any] | None = None
    """The handle of an open session, for operations that need one."""
    task: Mapping[str, Any] | None = None
    """The handle of a started command, for an operation that needs one."""

    def attempt(self, *, kill: tuple[str, Moment] | None = None, faults: Mapping[str, Fault] | None = None) -> Attempt:
        """Makes one attempt of the same run in a separate process, after the earlier attempts are over."""
        return self.attempts.make(self.event, kill=kill, faults=faults)

    def wait_until_accepted(self) -> None:
        """Waits until an attempt is about to send the code."""
        key = Run.from_json(self.event["run"]).key
        place, until = self.product.place, time.monotonic() + PATIENCE_SECONDS
        while True:
            with suppress(self._s3.exceptions.NoSuchKey):
                claim = self._s3.get_object(Bucket=place.bucket, Key=f"{place.prefix}/runs/{key}/claim.json")
                if json.load(claim["Body"])["state"] == "accepted":
                    return
            if time.monotonic() > until:
                raise TimeoutError(self.mark)
            time.sleep(0.05)

    @property
    def event(self) -> dict[str, Any]:
        """The event that a workflow sends."""
        return self._event(self.operation, self._request())

    def open(self) -> None:
        """Opens a session for operations that run in one."""
        opened = self.attempts.make(self._event("open_session", {}))
        assert opened.result is not None, opened
        self.session = opened.result["session"]

    def leave_file(self) -> None:
        """Runs the program in the open session without collecting files."""
        request: dict[str, Any] = {"session": self.session, "code": self.program, "outputs": {"paths": []}}
        left = self.attempts.make(self._event("run_in_session", request))
        assert left.result is not None, left

    def start(self) -> None:
        """Starts the program as a command, which has ended, or sleeps, before this returns."""
        given = {"path": "program.py", "text": self.program}
        command = "python3 program.py" + ("; sleep 600" if self.operation == "stop_command" else "")
        started = self.attempts.make(self._event("start_command", {"command": command, "inputs": [given]}))
        assert started.result is not None, started
        self.task = started.result["task"]
        self.wait_until_it_ran()
        until = time.monotonic() + PATIENCE_SECONDS
        while self.operation == "poll_command" and self._status() == "working":
            if time.monotonic() > until:
                raise TimeoutError(self.mark)
            time.sleep(0.05)

    def _status(self) -> str:
        assert self.task is not None
        data = self.product.session.client("bedrock-agentcore")
        answer = data.invoke_code_interpreter(
            codeInterpreterIdentifier=self.product.place.interpreters[SANDBOX],
            sessionId=self.task["session"]["sessionId"],
            name="getTask",
            arguments={"taskId": self.task["taskId"]},
        )
        (event,) = answer["stream"]
        return event["result"]["structuredContent"]["taskStatus"]  # pyright: ignore[reportTypedDictNotRequiredAccess]

    def close(self) -> None:
        """Stops the open session, if any."""
        if self.session is not None:
            self.attempts.make(self._event("close_session", {"session": self.session}))

    def finish(self, started: Mapping[str, Any]) -> Mapping[str, Any]:
        """Waits for a started command and returns its final state."""
        until = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < until:
            asked = {"task": started["task"]}
            polled = self.attempts.make(self._event("poll_command", asked))
            assert polled.result is not None, polled
            if polled.result["ended"]:
                return polled.result
        raise TimeoutError(self.mark)

    def ran(self) -> int:
        """Returns how often the program has run."""
        found = self._s3.list_objects_v2(Bucket=self.product.place.bucket, Prefix=f"{self._folder}/")
        return found["KeyCount"]

    def wait_until_it_ran(self) -> None:
        """Waits until a started command has recorded its execution."""
        until = time.monotonic() + PATIENCE_SECONDS
        while self.ran() == 0:
            if time.monotonic() > until:
                raise TimeoutError(self.mark)
            time.sleep(0.05)

    def whole(self, result: Mapping[str, Any]) -> bool:
        """Returns whether the result contains the program's file exactly."""
        (file,) = result["files"]
        if "base64" in file:
            data = b64decode(file["base64"])
        else:
            address = S3Object.parse("s3Uri", file["s3Uri"])
            data = self._s3.get_object(Bucket=address.bucket, Key=address.key)["Body"].read()
        return (data, file["sha256"]) == (LEFT, hashlib.sha256(LEFT).hexdigest())

    def live(self) -> list[str]:
        """Returns live sessions, except the one that was opened intentionally."""
        own = self.session["sessionId"] if self.session else None
        return [session for session in self.product.live_sessions() if session != own]

    @property
    def _s3(self) -> Any:
        return self.product.session.client("s3")

    @property
    def _folder(self) -> str:
        return f"{self.product.place.prefix}/sandbox/{SANDBOX}/at-most-once/{self.mark}"

    @property
    def program(self) -> str:
        """Returns Python code that records its execution in S3."""
        leave_file = f"with open('left.txt', 'wb') as left: left.write({LEFT!r})\n"
        return leave_file + mark_run(self.product.place.bucket, self._folder)

    def _request(self) -> dict[str, Any]:
        given = {"path": "program.py", "text": self.program}
        in_session = {"session": self.session} if self.session else {}
        match self.operation:
            case "open_session":
                return {"inputs": [given]}
            case "run_command" | "start_command":
                return {"command": "python3 program.py", "inputs": [given]}
            case "poll_command" | "stop_command":
                return {"task": self.task}
            case "collect_files":
                return {"session": self.session, "outputs": {"paths": ["left.txt"]}}
            case _:
                return {"code": self.program, "inputs": [given], **in_session}

    def _event(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        return {"operation": operation, "run": {"execution": self.mark, "state": operation}, "request": request}
