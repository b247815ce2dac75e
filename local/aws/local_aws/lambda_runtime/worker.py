"""An execution environment of a function: a process that runs `awslambdaric` on the unpacked bundle."""

from __future__ import annotations

import os
import queue
import re
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from local_aws.lambda_runtime.runtime_api import Invocation, InvocationResult, RuntimeApi

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local_aws.lambda_runtime.watcher import Watcher

POLL_SECONDS = 0.05


@dataclass(frozen=True)
class Function:
    """A deployed function.

    Attributes:
        arn: ARN of the function.
        handler: `MODULE.FUNCTION`.
        code: Folder of the unpacked bundle.
        environment: All environment variables of a worker.
        timeout_seconds: Time limit of one invocation.
    """

    arn: str
    handler: str
    code: Path
    environment: Mapping[str, str]
    timeout_seconds: float


class Worker:
    """A worker process. It runs one event at a time, until `stop`."""

    def __init__(self, function: Function, python: Path, log: Path, watcher: Watcher) -> None:
        self._function = function
        self._watcher = watcher
        self._log = log
        self._has_ended = False
        self._api = RuntimeApi()
        with log.open("wb") as output:
            # -m puts the working directory first on sys.path, like /var/task on Lambda. -s excludes user packages.
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
        """Whether the worker can run another event."""
        return not self._has_ended and self._process.poll() is None

    def invoke(self, event: bytes, request_id: str, trace: str = "") -> InvocationResult:
        """Runs one event, with the trace of its caller.

        After a timeout or an exit of the process, the result is Lambda's error and the worker is no longer alive.
        """
        log_size = self._log.stat().st_size
        deadline = time.time() + self._function.timeout_seconds
        self._api.send(Invocation(request_id, event, int(deadline * 1000), self._function.arn, trace))
        result = self._wait(deadline, request_id)
        self._has_ended = self._has_ended or result.is_init_error
        with self._log.open("rb") as log:
            log.seek(log_size)
            output = log.read().decode(errors="replace")
        return replace(result, log=output, peak_memory_mib=self._peak_memory_mib())

    def _peak_memory_mib(self) -> int:
        """Returns the most memory that the process has used, or 0 if it has ended."""
        with suppress(OSError):
            found = re.search(
                r"^VmHWM:\s+(\d+) kB", Path(f"/proc/{self._process.pid}/status").read_text(), re.MULTILINE
            )
            if found:
                return -(-int(found[1]) // 1024)
        return 0

    def _wait(self, deadline: float, request_id: str) -> InvocationResult:
        while True:
            alive = self.is_alive  # read first: a result sent before the exit counts
            with suppress(queue.Empty):
                return self._api.results.get(timeout=POLL_SECONDS if alive else 0)
            if not alive:
                return InvocationResult.failure(
                    "Runtime.ExitError",
                    f"RequestId: {request_id} Error: Runtime exited with error: exit status {self._process.returncode}",
                )
            if time.time() > deadline:
                self._has_ended = True
                seconds = self._function.timeout_seconds
                return InvocationResult.failure(
                    "Sandbox.Timedout", f"RequestId: {request_id} Error: Task timed out after {seconds:.2f} seconds"
                )

    def stop(self) -> None:
        """Kills the process and its child processes."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._watcher.forget(self._process.pid)  # before the process is reaped and its number can be reused
        self._process.wait()
        self._api.close()
