"""Runs in a process that sees the bundle alone: CPU of the handler's jobs, and of the same calls made by bare boto3.

`python -I -S warm_runs.py BUNDLE JOBS PAUSE_SECONDS`; its last line is JSON. The calls of a job are recorded once, and
replayed with other names: so both sides send the same.
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
"""A service, its operation and what it is asked."""


def ours(name: str) -> None:
    """One job by the handler."""
    answer: Any = run_operation({"operation": "run_code", "run": {"execution": name}, "request": REQUEST}, CONTEXT)
    if (answer["exitCode"], len(answer["files"])) != (0, 1):
        raise RuntimeError(f"the job went wrong: {answer}")


def recorded(name: str) -> list[Call]:
    """The calls of one job by the handler."""
    calls: list[Call] = []
    every_client: Any = BaseClient
    real = every_client._make_api_call

    def recording(client: Any, operation: str, asked: dict[str, Any]) -> Any:
        calls.append((client.meta.service_model.service_name, operation, dict(asked)))
        return real(client, operation, asked)

    every_client._make_api_call = recording
    try:
        ours(name)
    finally:
        every_client._make_api_call = real
    return calls


class Bare:
    """The same calls by boto3's default clients."""

    def __init__(self, calls: list[Call], name: str) -> None:
        self._name = name
        clients = {service: cast("Any", boto3).client(service) for service in {call[0] for call in calls}}
        self._calls = [(_method(clients[service], operation), asked) for service, operation, asked in calls]

    def run(self, name: str) -> None:
        """One job, under another name."""
        session = etag = ""
        for method, recorded_asked in self._calls:
            asked = {**recorded_asked}
            if "Key" in asked:
                asked["Key"] = asked["Key"].replace(self._name, name)
            if "IfMatch" in asked:
                asked["IfMatch"] = etag
            if "sessionId" in asked:
                asked["sessionId"] = session
            if "clientToken" in asked:
                asked["clientToken"] = uuid.uuid4().hex * 2
            answer = method(**asked)
            session = answer.get("sessionId", session)
            if "claim" in asked.get("Key", ""):
                etag = answer["ETag"]
            for event in answer.get("stream", ()):
                if event["result"].get("isError"):
                    raise RuntimeError(f"the job went wrong: {event}")


def _method(client: Any, operation: str) -> Any:
    names = client.meta.method_to_api_mapping
    return getattr(client, next(name for name, of in names.items() if of == operation))


def main() -> None:
    """Runs jobs of both sides in turn."""
    first = str(uuid.uuid4())
    calls = recorded(first)
    sides = {"ours": ours, "bare": Bare(calls, first).run}
    seconds = dict.fromkeys(sides, 0.0)
    for job in range(-WARM_UP, JOBS):
        for side, run in sides.items():
            time.sleep(PAUSE_SECONDS)
            name = str(uuid.uuid4())
            begun = time.process_time()
            run(name)
            if job >= 0:
                seconds[side] += time.process_time() - begun
    print(json.dumps({"seconds": seconds, "calls": [operation for _, operation, _ in calls]}))


main()
