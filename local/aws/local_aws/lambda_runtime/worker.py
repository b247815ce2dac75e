"""One execution environment of a function: `awslambdaric` on the unpacked bundle, one event at a time."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from local_aws.lambda_runtime.runtime_api import Answer, Invocation, RuntimeApi

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

POLL_SECONDS = 0.05


@dataclass(frozen=True)
class Function:
    """What is deployed. `environment` is the worker's whole environment; `timeout_seconds` is per event."""

    arn: str
    handler: str
    code: Path
    environment: Mapping[str, str]
    timeout_seconds: float


class Worker:
    """A worker process; `is_alive` is False once it ended, timed out or was stopped."""

    def __init__(self, function: Function, python: Path, log: Path) -> None:
        self._function = function
        self._log = log
        self._api = RuntimeApi()
        with log.open("wb") as output:
            # -m puts the working directory first on the path, as /var/task is; -s leaves out the user's packages.
            self._process = subprocess.Popen(  # noqa: S603 - a fixed command of this package
                [python, "-s", "-m", "awslambdaric", function.handler],
                cwd=function.code,
                env={**function.environment, "AWS_LAMBDA_RUNTIME_API": self._api.address},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def is_alive(self) -> bool:
        """Whether it can take another event."""
        return self._process.poll() is None

    def invoke(self, event: bytes, request_id: str) -> Answer:
        """Runs one event. A timeout or an exit ends the worker and is answered in Lambda's own words."""
        written = self._log.stat().st_size
        deadline = time.time() + self._function.timeout_seconds
        self._api.send(Invocation(request_id, event, int(deadline * 1000), self._function.arn))
        answer = self._wait(deadline, request_id)
        with self._log.open("rb") as log:
            log.seek(written)
            return Answer(answer.body, answer.failed, log.read().decode(errors="replace"))

    def _wait(self, deadline: float, request_id: str) -> Answer:
        while True:
            with suppress(queue.Empty):
                return self._api.answers.get(timeout=POLL_SECONDS)
            if not self.is_alive:
                status = self._process.returncode
                return self._failure(
                    "Runtime.ExitError",
                    f"RequestId: {request_id} Error: Runtime exited with error: exit status {status}",
                )
            if time.time() > deadline:
                self.stop()
                seconds = self._function.timeout_seconds
                return self._failure(
                    "Sandbox.Timedout", f"RequestId: {request_id} Error: Task timed out after {seconds:.2f} seconds"
                )

    def stop(self) -> None:
        """Ends the process and all that it started."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._api.close()

    @staticmethod
    def _failure(kind: str, message: str) -> Answer:
        return Answer({"errorType": kind, "errorMessage": message}, failed=True)
