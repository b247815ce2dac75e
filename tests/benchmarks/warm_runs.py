"""Measures the CPU time of the handler's jobs, and of the same calls by plain boto3, in a process with the bundle only.

Usage: `python -I -S warm_runs.py BUNDLE JOBS PAUSE_SECONDS`. The last line of the output is JSON. The calls of one job
are recorded and then replayed with other names, so both sides send the same requests.
"""

from __future__ import annotations

import json
import sys
import time
import uuid
from types import SimpleNamespace
from typing import Any, cast

BUNDLE, JOBS, PAUSE_SECONDS = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
sys.path.insert(0, BUNDLE)

import boto3  # noqa: E402
from botocore.client import BaseClient  # noqa: E402

from code_runner.handlers import run_operation  # noqa: E402

WARM_UP = 3
REQUEST = {"code": "open('out.txt', 'w').write('1'); print(1)", "inputs": [{"path": "in.txt", "text": "1"}]}
CONTEXT: Any = SimpleNamespace(
    function_name="bench",
    memory_limit_in_mb=512,
    invoked_function_arn="arn:aws:lambda:us-east-1:123456789012:function:bench",
    aws_request_id="bench",
    get_remaining_time_in_millis=lambda: 900_000,
)

Call = tuple[str, str, dict[str, Any]]
"""A service, its operation and the parameters of the call."""


def ours(name: str) -> None:
    """Runs one job with the handler."""
    response: Any = run_operation({"operation": "run_code", "run": {"execution": name}, "request": REQUEST}, CONTEXT)
    if (response["exitCode"], len(response["files"])) != (0, 1):
        raise RuntimeError(f"the job failed: {response}")


def record_calls(name: str) -> list[Call]:
    """Returns the calls of one job of the handler."""
    calls: list[Call] = []
    client_class: Any = BaseClient
    original = client_class._make_api_call

    def recording(client: Any, operation: str, parameters: dict[str, Any]) -> Any:
        calls.append((client.meta.service_model.service_name, operation, dict(parameters)))
        return original(client, operation, parameters)

    client_class._make_api_call = recording
    try:
        ours(name)
    finally:
        client_class._make_api_call = original
    return calls


class PlainBoto3:
    """Replays the recorded calls with boto3's default clients."""

    def __init__(self, calls: list[Call], name: str) -> None:
        self._name = name
        clients = {service: cast("Any", boto3).client(service) for service in {call[0] for call in calls}}
        self._calls = [(_method(clients[service], operation), parameters) for service, operation, parameters in calls]

    def run(self, name: str) -> None:
        """Runs one job under another name."""
        session = etag = ""
        for method, recorded_parameters in self._calls:
            parameters = {**recorded_parameters}
            if "Key" in parameters:
                parameters["Key"] = parameters["Key"].replace(self._name, name)
            if "IfMatch" in parameters:
                parameters["IfMatch"] = etag
            if "sessionId" in parameters:
                parameters["sessionId"] = session
            if "clientToken" in parameters:
                parameters["clientToken"] = uuid.uuid4().hex * 2
            response = method(**parameters)
            session = response.get("sessionId", session)
            if "claim" in parameters.get("Key", ""):
                etag = response["ETag"]
            for event in response.get("stream", ()):
                if event["result"].get("isError"):
                    raise RuntimeError(f"the job failed: {event}")


def _method(client: Any, operation: str) -> Any:
    names = client.meta.method_to_api_mapping
    return getattr(client, next(name for name, of in names.items() if of == operation))


def main() -> None:
    """Runs jobs of the handler and of plain boto3 alternately, and prints their CPU time in seconds as JSON."""
    first = str(uuid.uuid4())
    calls = record_calls(first)
    sides = {"ours": ours, "boto3": PlainBoto3(calls, first).run}
    seconds = dict.fromkeys(sides, 0.0)
    for job in range(-WARM_UP, JOBS):
        for side, run in sides.items():
            time.sleep(PAUSE_SECONDS)
            name = str(uuid.uuid4())
            started = time.process_time()
            run(name)
            if job >= 0:
                seconds[side] += time.process_time() - started
    print(json.dumps({"seconds": seconds, "calls": [operation for _, operation, _ in calls]}))


main()
