"""Measures a batch of 10,000 items with failures, while the emulator enforces the quota of calls.

Items share sessions, because starting 10,000 sandboxes takes most of an hour on two cores. The smaller batch has a
session for each item.
"""

from __future__ import annotations

import json
import os
import tempfile
import threading
import time
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import boto3

from local_aws import control, environment
from local_aws.settings import StateDirectory
from sandpiper_contract.batches import BatchSummary
from tests.benchmarks.measurement import Measurement
from tests.support.cdk_commands import cdk
from tests.support.environments import Environments

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

SESSIONS = 8
"""Reserved concurrency of the function: the quota of the batch's sessions."""
ENVIRONMENT = f"""
tenants:
  bench:
    interpreters:
      sandbox: {{}}
    workflows:
      run-code: {{}}
      run-batch: {{}}
    session_function:
      reserved_concurrency: {SESSIONS}
"""
CODE = """
import json, uuid
n = json.load(open("item.json"))["n"]
print(n, uuid.uuid4())
assert n % 100 != 7
"""
ITEMS = int(os.environ.get("BATCH_ITEMS", "10000"))
ISOLATED_ITEMS = int(os.environ.get("BATCH_ISOLATED_ITEMS", "100"))
ITEMS_PER_SESSION = 50
CALLS_PER_ITEM, CALLS_PER_SESSION = 3, 2
"""Without a throttle: write the item, run, collect the files; and start and stop."""
POLL_SECONDS = 0.5


def measurements() -> list[Measurement]:
    """Deploys a tenant to a separate embedded AWS and runs both batches."""
    with tempfile.TemporaryDirectory() as folder:
        state = StateDirectory(Path(folder, "state"))
        running, _ = control.start(state)
        try:
            environment.apply(running)
            bootstrap = Path(folder, "bootstrap")
            bootstrap.mkdir()
            cdk(["bootstrap", f"aws://{running.account}/{running.region}"], bootstrap, lambda _: None)
            environments = Environments(Path(folder))
            environments.deploy(environments.write("bench", ENVIRONMENT))
            outputs = _outputs()
            return [
                *_batch(outputs, ISOLATED_ITEMS, None),
                *_batch(outputs, ITEMS, ITEMS_PER_SESSION),
            ]
        finally:
            control.stop(state)


def _outputs() -> dict[str, str]:
    client: Any = boto3.client("cloudformation")
    stack = client.describe_stacks(StackName="sandpiper-bench-bench")["Stacks"][0]
    return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}


@dataclass
class _LiveSessions:
    """The largest number of live sessions that was seen."""

    interpreter_id: str
    most: int = 0
    ended: threading.Event = field(default_factory=threading.Event)

    def watch(self) -> None:
        client: Any = boto3.client("bedrock-agentcore")
        arguments = {"codeInterpreterIdentifier": self.interpreter_id, "status": "READY", "maxResults": 100}
        while not self.ended.wait(POLL_SECONDS):
            found = client.list_code_interpreter_sessions(**arguments)["items"]
            self.most = max(self.most, len(found))


@contextmanager
def _watched(interpreter_id: str) -> Generator[_LiveSessions]:
    live = _LiveSessions(interpreter_id)
    thread = threading.Thread(target=live.watch)
    thread.start()
    try:
        yield live
    finally:
        live.ended.set()
        thread.join()


def _batch(outputs: dict[str, str], items: int, items_per_session: int | None) -> Iterator[Measurement]:
    s3, workflows = boto3.client("s3"), cast("Any", boto3.client("stepfunctions"))
    bucket, prefix = outputs["DataBucketName"], outputs["DataPrefix"]
    key = f"{prefix}/inputs/{uuid.uuid4()}.jsonl"
    s3.put_object(Bucket=bucket, Key=key, Body="".join(f'{{"n": {n}}}\n' for n in range(items)).encode())
    request = {
        "items": {"location": f"s3://{bucket}/{key}", "format": "jsonl"},
        "request": {"code": CODE, "failOnError": True},
        "toleratedFailures": "5%",
        **({} if items_per_session is None else {"itemsPerSession": items_per_session}),
    }
    began = time.monotonic()
    with _watched(next(iter(json.loads(outputs["Interpreters"]).values()))) as live:
        execution = workflows.start_execution(
            stateMachineArn=outputs["RunBatchStateMachineArn"], name=str(uuid.uuid4()), input=json.dumps(request)
        )["executionArn"]
        while (ended := workflows.describe_execution(executionArn=execution))["status"] == "RUNNING":
            time.sleep(POLL_SECONDS)
    seconds = time.monotonic() - began
    if ended["status"] != "SUCCEEDED":
        raise RuntimeError(f"the batch failed: {ended.get('error')}: {ended.get('cause')}")
    output = json.loads(ended["output"])
    summary = BatchSummary.from_json(output["summary"], "summary")
    result_bucket, result_key = output["resultsUri"].removeprefix("s3://").split("/", 1)
    lines = s3.get_object(Bucket=result_bucket, Key=result_key)["Body"].iter_lines()
    _require_complete([json.loads(line) for line in lines], summary, items)
    label = "a session each" if items_per_session is None else f"{items_per_session} in a session"
    sessions = -(-items // (items_per_session or 1))
    expected = items * CALLS_PER_ITEM + sessions * CALLS_PER_SESSION
    name = f"batch of {items:,} items, {label}"
    yield Measurement(f"{name}: duration", seconds, "s", None, "start to results")
    yield Measurement(f"{name}: rate", items / seconds, "items/s", None, "start to results")
    yield Measurement(f"{name}: live sessions", live.most, "sessions", SESSIONS, "largest of a list every 0.5 s")
    yield Measurement(
        f"{name}: throttled calls",
        100 * max(summary.calls - expected, 0) / summary.calls,
        "%",
        2,
        "calls sent in addition to those of a batch without throttling",
    )


def _require_complete(lines: list[dict[str, Any]], summary: BatchSummary, items: int) -> None:
    """Requires that every item ran once, in order, and that the summary is right."""
    failed = [n for n in range(items) if n % 100 == 7]
    if [line["index"] for line in lines] != list(range(items)):
        raise RuntimeError("the results are not in the order of the items")
    if [line["index"] for line in lines if "error" in line] != failed:
        raise RuntimeError("other items failed")
    printed = [line["result"]["stdout"].split() for line in lines if "result" in line]
    if [int(n) for n, _ in printed] != [n for n in range(items) if n % 100 != 7]:
        raise RuntimeError("a result belongs to another item")
    if len({identifier for _, identifier in printed}) != items - len(failed):
        raise RuntimeError("a result occurs twice")
    if (summary.count, summary.succeeded, summary.failed) != (items, items - len(failed), len(failed)):
        raise RuntimeError(f"the summary is wrong: {summary}")
