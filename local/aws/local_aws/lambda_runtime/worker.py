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

    from local_aws.lambda_runtime.watcher import Watcher

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
    """A worker process, until `stop`."""

    def __init__(self, function: Function, python: Path, log: Path, watcher: Watcher) -> None:
        self._function = function
        self._watcher = watcher
        self._log = log
        self._has_ended = False
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
        watcher.watch(self._process.pid)

    @property
    def is_alive(self) -> bool:
        """Whether it can take another event."""
        return not self._has_ended and self._process.poll() is None

    def invoke(self, event: bytes, request_id: str) -> Answer:
        """Runs one event. After a timeout or an exit, answered in Lambda's own words, the worker is no longer alive."""
        written = self._log.stat().st_size
        deadline = time.time() + self._function.timeout_seconds
        self._api.send(Invocation(request_id, event, int(deadline * 1000), self._function.arn))
        answer = self._wait(deadline, request_id)
        self._has_ended = self._has_ended or answer.is_last
        with self._log.open("rb") as log:
            log.seek(written)
            return Answer(answer.body, answer.failed, log.read().decode(errors="replace"))

    def _wait(self, deadline: float, request_id: str) -> Answer:
        while True:
            alive = self.is_alive  # asked first: what it said before it ended counts
            with suppress(queue.Empty):
                return self._api.answers.get(timeout=POLL_SECONDS if alive else 0)
            if not alive:
                return Answer.failure(
                    "Runtime.ExitError",
                    f"RequestId: {request_id} Error: Runtime exited with error: exit status {self._process.returncode}",
                )
            if time.time() > deadline:
                self._has_ended = True
                seconds = self._function.timeout_seconds
                return Answer.failure(
                    "Sandbox.Timedout", f"RequestId: {request_id} Error: Task timed out after {seconds:.2f} seconds"
                )

    def stop(self) -> None:
        """Ends the process and all that it started."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._watcher.forget(self._process.pid)  # before it is reaped, and its number another's
        self._process.wait()
        self._api.close()
