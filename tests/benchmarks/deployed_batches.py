"""Deploys a tenant with all workflows to a separate embedded AWS, and runs batches."""

from __future__ import annotations

import json
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
from tests.support.cdk_commands import cdk
from tests.support.environments import Environments

if TYPE_CHECKING:
    from collections.abc import Generator

SESSIONS = 8
"""Reserved concurrency of the function: the quota of the sessions of batches."""
CONCURRENCY = SESSIONS - 1
"""Maximum number of sessions of one batch: one invocation remains for preparing and finishing."""
ENVIRONMENT = f"""
tenants:
  bench:
    interpreters:
      sandbox: {{}}
    workflows:
      run-code: {{}}
      run-code-express: {{}}
      run-command: {{}}
      run-session: {{}}
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
POLL_SECONDS = 0.5


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


@dataclass(frozen=True)
class FinishedBatch:
    """A batch that has ended and whose results are complete.

    Attributes:
        execution: The ARN of its execution.
        items: The number of items.
        items_per_session: The number of items that share a session; None for a session each.
        seconds: From its start to its results.
        live_sessions: The largest number of live sessions in a list every 0.5 s.
        summary: Its summary.
    """

    execution: str
    items: int
    items_per_session: int | None
    seconds: float
    live_sessions: int
    summary: BatchSummary


@dataclass(frozen=True)
class DeployedBatches:
    """The deployed tenant.

    Attributes:
        outputs: The outputs of its stack.
        pid: The process of the embedded AWS.
    """

    outputs: dict[str, str]
    pid: int

    @property
    def interpreter_id(self) -> str:
        """The identifier of the tenant's interpreter."""
        return next(iter(json.loads(self.outputs["Interpreters"]).values()))

    def run(self, items: int, items_per_session: int | None) -> FinishedBatch:
        """Runs a batch. Raises RuntimeError unless each item ran once, in order, and the summary is right."""
        s3, workflows = boto3.client("s3"), cast("Any", boto3.client("stepfunctions"))
        bucket, prefix = self.outputs["DataBucketName"], self.outputs["DataPrefix"]
        key = f"{prefix}/inputs/{uuid.uuid4()}.jsonl"
        s3.put_object(Bucket=bucket, Key=key, Body="".join(f'{{"n": {n}}}\n' for n in range(items)).encode())
        request = {
            "items": {"location": f"s3://{bucket}/{key}", "format": "jsonl"},
            "request": {"code": CODE, "failOnError": True},
            "toleratedFailures": "5%",
            **({} if items_per_session is None else {"itemsPerSession": items_per_session}),
        }
        began = time.monotonic()
        with _watched(self.interpreter_id) as live:
            execution = workflows.start_execution(
                stateMachineArn=self.outputs["RunBatchStateMachineArn"],
                name=str(uuid.uuid4()),
                input=json.dumps(request),
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
        return FinishedBatch(execution, items, items_per_session, seconds, live.most, summary)


@contextmanager
def deployed_batches() -> Generator[DeployedBatches]:
    """Starts the embedded AWS, deploys the tenant, and stops the embedded AWS at the end."""
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
            client: Any = boto3.client("cloudformation")
            stack = client.describe_stacks(StackName="sandpiper-bench-bench")["Stacks"][0]
            outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
            yield DeployedBatches(outputs, running.pid)
        finally:
            control.stop(state)


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
