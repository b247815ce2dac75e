"""Runs deployed functions in worker processes, which start on demand and stay warm."""

from __future__ import annotations

import io
import itertools
import json
import shutil
import threading
import zipfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from local_aws.lambda_runtime.runtime_api import InvocationResult
from local_aws.lambda_runtime.watcher import Watcher
from local_aws.lambda_runtime.worker import Function, Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path


@dataclass
class _Pool:
    """The warm workers of one version of a function.

    Attributes:
        version: The configuration that its workers were started with.
        function: The unpacked function.
        idle: Workers that run no event.
    """

    version: str
    function: Function
    idle: list[Worker] = field(default_factory=list[Worker])


VERSION_PROPERTIES = (
    "CodeSha256",
    "Handler",
    "Timeout",
    "Environment",
    "Role",
    "Runtime",
    "MemorySize",
    "LoggingConfig",
)
"""The configuration that workers read at their start. A change of one of these starts new workers."""


class Functions:
    """Invokes functions. MiniStack limits their concurrency."""

    def __init__(self, directory: Path, python: Path, endpoints: Mapping[str, str]) -> None:
        """Starts the watcher of the worker processes.

        Args:
            directory: Folder for unpacked bundles and logs.
            python: The Python interpreter of the workers.
            endpoints: Environment variables that are added for every function.
        """
        self._directory = directory
        self._python = python
        self._endpoints = endpoints
        self._pools: dict[str, _Pool] = {}  # by function ARN
        self._workers: set[Worker] = set()
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self.watcher = Watcher()

    def invoke(
        self,
        config: dict[str, Any],
        code: bytes,
        event: object,
        request_id: str,
        credentials: Callable[[], dict[str, str]],
        trace: str = "",
    ) -> InvocationResult:
        """Runs one event.

        Args:
            config: Lambda's FunctionConfiguration.
            code: The bundle, a ZIP file.
            event: The event, any JSON value.
            request_id: ID of the request.
            credentials: Returns the environment variables with the credentials of the function's role.
            trace: The header of X-Ray that the function gets.
        """
        with self._lock:
            try:
                pool = self._pool(config, code, credentials)
                worker = self._idle(pool) or self._start(pool.function)
            except OSError as error:
                return InvocationResult.failure(
                    "Runtime.Unavailable",
                    f"no worker can be started in {self._directory}: {error.strerror}; free some space there, "
                    "or start the embedded AWS with another --state",
                )
        try:
            return worker.invoke(json.dumps(event).encode(), request_id, trace)
        finally:
            with self._lock:
                if worker.is_alive and self._pools.get(config["FunctionArn"]) is pool:
                    pool.idle.append(worker)
                else:
                    self._stop(worker)

    def close(self) -> None:
        """Stops every worker."""
        with self._lock:
            for worker in list(self._workers):
                self._stop(worker)
            self._pools.clear()
        self.watcher.close()

    def _idle(self, pool: _Pool) -> Worker | None:
        while pool.idle:
            worker = pool.idle.pop()
            if worker.is_alive:
                return worker
            self._stop(worker)
        return None

    def _start(self, function: Function) -> Worker:
        log = self._directory / f"worker-{next(self._numbers)}.log"
        worker = Worker(function, self._python, log, self.watcher)
        self._workers.add(worker)
        return worker

    def _stop(self, worker: Worker) -> None:
        if worker in self._workers:  # otherwise `close` has stopped it already
            self._workers.discard(worker)
            worker.stop()

    def _pool(self, config: dict[str, Any], code: bytes, credentials: Callable[[], dict[str, str]]) -> _Pool:
        arn: str = config["FunctionArn"]
        version = json.dumps([config.get(name) for name in VERSION_PROPERTIES], sort_keys=True)
        pool = self._pools.get(arn)
        if pool is None or pool.version != version:
            variables: dict[str, str] = config.get("Environment", {}).get("Variables", {})
            function = self._function(config, code, {**variables, **credentials()})
            for worker in pool.idle if pool else []:
                self._stop(worker)  # `invoke` stops a busy worker after its event
            pool = self._pools[arn] = _Pool(version, function)
        return pool

    def _function(self, config: dict[str, Any], code: bytes, variables: dict[str, str]) -> Function:
        code_directory = self._directory / f"{config['FunctionName']}-{next(self._numbers)}"
        shutil.rmtree(code_directory, ignore_errors=True)
        with zipfile.ZipFile(io.BytesIO(code)) as bundle:
            bundle.extractall(code_directory)
        name, region = config["FunctionName"], config["FunctionArn"].split(":")[3]
        environment = {
            "PATH": "/usr/bin:/bin",
            "LANG": "en_US.UTF-8",
            "TZ": ":UTC",
            "LAMBDA_TASK_ROOT": str(code_directory),
            "_HANDLER": config["Handler"],
            "AWS_REGION": region,
            "AWS_DEFAULT_REGION": region,
            "AWS_EXECUTION_ENV": f"AWS_Lambda_{config.get('Runtime', 'python')}",
            "AWS_LAMBDA_FUNCTION_NAME": name,
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(config.get("MemorySize", 128)),
            "AWS_LAMBDA_LOG_GROUP_NAME": config.get("LoggingConfig", {}).get("LogGroup") or f"/aws/lambda/{name}",
            "AWS_LAMBDA_LOG_STREAM_NAME": "local",
            "PYTHONUNBUFFERED": "1",
            **self._endpoints,
            **variables,
        }
        timeout_seconds = float(config.get("Timeout") or 3)
        return Function(config["FunctionArn"], config["Handler"], code_directory, environment, timeout_seconds)
