"""Programs that record each execution in S3, so that executions are counted independently of their results."""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from base64 import b64decode
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from sandpiper_contract.run import Run
from sandpiper_contract.s3_objects import S3Object
from tests.support.s3_mark import mark_run

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.support.product import Product
    from tests.support.run_attempts import Attempt, Attempts, Fault, Moment

OUTPUT = b"the output of the program"
PATIENCE_SECONDS = 30.0
SANDBOX = "sandbox"
"""The key of the tenant's first interpreter."""


@dataclass
class Job:
    """One run of one operation, which may take several attempts.

    Each time the program runs, it writes an object with a new name to S3, and an output file.
    """

    product: Product
    attempts: Attempts
    operation: str
    mark: str = field(default_factory=lambda: str(uuid.uuid4()))
    session: Mapping[str, Any] | None = None
    """The handle of an open session, for operations that need one."""
    task: Mapping[str, Any] | None = None
    """The handle of a started command, for an operation that needs one."""
    direct: bool = False
    """Whether the session sends the output file to S3, as it sends files that are too large for a response."""

    @classmethod
    def named(cls, product: Product, attempts: Attempts, name: str) -> Job:
        """Returns the job for `OPERATION`, or for `OPERATION direct`."""
        operation, _, direct = name.partition(" ")
        return cls(product, attempts, operation, direct=direct == "direct")

    def attempt(self, *, kill: tuple[str, Moment] | None = None, faults: Mapping[str, Fault] | None = None) -> Attempt:
        """Makes one attempt of the same run in a separate process, after the earlier attempts are over."""
        return self.attempts.run(self.event, kill=kill, faults=faults, direct=self.direct)

    def wait_until_accepted(self) -> None:
        """Waits until an attempt is about to send the code."""
        key = Run.from_json(self.event["run"]).key
        deployment, until = self.product.deployment, time.monotonic() + PATIENCE_SECONDS
        while True:
            with suppress(self._s3.exceptions.NoSuchKey):
                record = self._s3.get_object(Bucket=deployment.bucket, Key=f"{deployment.prefix}/runs/{key}/claim.json")
                if json.load(record["Body"])["state"] == "accepted":
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
        opened = self.attempts.run(self._event("open_session", {}))
        assert opened.result is not None, opened
        self.session = opened.result["session"]

    def leave_file(self) -> None:
        """Runs the program in the open session without collecting files."""
        request: dict[str, Any] = {"session": self.session, "code": self.program, "outputs": {"paths": []}}
        response = self.attempts.run(self._event("run_in_session", request))
        assert response.result is not None, response

    def start(self) -> None:
        """Starts the program as a command. Returns after it ended, or, for `stop_command`, while it sleeps."""
        program = {"path": "program.py", "text": self.program}
        command = "python3 program.py" + ("; sleep 600" if self.operation == "stop_command" else "")
        started = self.attempts.run(self._event("start_command", {"command": command, "inputs": [program]}))
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
        response = data.invoke_code_interpreter(
            codeInterpreterIdentifier=self.product.deployment.interpreters[SANDBOX],
            sessionId=self.task["session"]["sessionId"],
            name="getTask",
            arguments={"taskId": self.task["taskId"]},
        )
        (event,) = response["stream"]
        return event["result"]["structuredContent"]["taskStatus"]  # pyright: ignore[reportTypedDictNotRequiredAccess]

    def close(self) -> None:
        """Stops the open session, if any."""
        if self.session is not None:
            self.attempts.run(self._event("close_session", {"session": self.session}))

    def wait_until_command_ended(self, started: Mapping[str, Any]) -> Mapping[str, Any]:
        """Waits for a started command and returns its final state."""
        until = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < until:
            polled = self.attempts.run(self._event("poll_command", {"task": started["task"]}))
            assert polled.result is not None, polled
            if polled.result["ended"]:
                return polled.result
        raise TimeoutError(self.mark)

    def executions(self) -> int:
        """Returns the number of times that the program has run."""
        objects = self._s3.list_objects_v2(Bucket=self.product.deployment.bucket, Prefix=f"{self._folder}/")
        return objects["KeyCount"]

    def wait_until_it_ran(self) -> None:
        """Waits until a started command has recorded its execution."""
        until = time.monotonic() + PATIENCE_SECONDS
        while self.executions() == 0:
            if time.monotonic() > until:
                raise TimeoutError(self.mark)
            time.sleep(0.05)

    def has_complete_file(self, result: Mapping[str, Any]) -> bool:
        """Returns whether the result contains the program's file exactly."""
        (file,) = result["files"]
        if "base64" in file:
            data = b64decode(file["base64"])
        else:
            address = S3Object.parse("s3Uri", file["s3Uri"])
            data = self._s3.get_object(Bucket=address.bucket, Key=address.key)["Body"].read()
        return (data, file["sha256"]) == (OUTPUT, hashlib.sha256(OUTPUT).hexdigest())

    def live_sessions(self) -> list[str]:
        """Returns live sessions except the open session of this job."""
        opened = self.session["sessionId"] if self.session else None
        return [session for session in self.product.live_sessions() if session != opened]

    @cached_property
    def _s3(self) -> Any:
        return self.product.session.client("s3")

    @property
    def _folder(self) -> str:
        return f"{self.product.deployment.prefix}/sandbox/{SANDBOX}/at-most-once/{self.mark}"

    @property
    def program(self) -> str:
        """Returns Python code that records its execution in S3."""
        leave_file = f"with open('output.txt', 'wb') as output: output.write({OUTPUT!r})\n"
        return leave_file + mark_run(self.product.deployment.bucket, self._folder)

    def _request(self) -> dict[str, Any]:
        program = {"path": "program.py", "text": self.program}
        in_session = {"session": self.session} if self.session else {}
        match self.operation:
            case "open_session":
                return {"inputs": [program]}
            case "run_command" | "start_command":
                return {"command": "python3 program.py", "inputs": [program]}
            case "poll_command" | "stop_command":
                return {"task": self.task}
            case "collect_files":
                return {"session": self.session, "outputs": {"paths": ["output.txt"]}}
            case _:
                return {"code": self.program, "inputs": [program], **in_session}

    def _event(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        return {"operation": operation, "run": {"execution": self.mark, "state": operation}, "request": request}
