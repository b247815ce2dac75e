"""Measures what a job of each workflow needs: time of the function, its invocations, state transitions and events.

The time of the function is the billed duration in the `REPORT` lines of its log, as Lambda writes them. State
transitions are the states that an execution and its child executions enter. The jobs run one after another.
"""

from __future__ import annotations

import json
import re
import time
import uuid
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import boto3
from botocore.config import Config

from tests.benchmarks.deployed_batches import deployed_batches
from tests.benchmarks.measurement import Measurement

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.benchmarks.deployed_batches import DeployedBatches

JOBS = 10
ITEMS, ITEMS_PER_SESSION = 20, 10
POLL_SECONDS, LOG_SECONDS = 0.2, 3
CODE = "print(6 * 7)"
STEPS = [{"code": CODE}, {"code": CODE}, {"code": CODE}]
REPORT = re.compile(r"^REPORT RequestId: .*\tBilled Duration: (\d+) ms", re.DOTALL)


@dataclass(frozen=True)
class _Case:
    """Jobs of one workflow: its input, the number of executions, and the number of jobs in each."""

    name: str
    output: str
    request: Mapping[str, Any]
    executions: int = JOBS
    jobs: int = 1


def measurements() -> list[Measurement]:
    """Deploys a tenant to a separate embedded AWS and runs jobs of each workflow."""
    with deployed_batches() as deployed:
        items = _upload_items(deployed)
        batch = {"items": items, "request": {"code": CODE}, "maxConcurrency": 1}
        cases = [
            _Case("run-code", "RunCodeStateMachineArn", {"code": CODE}),
            _Case("run-code-express", "RunCodeExpressStateMachineArn", {"code": CODE}),
            _Case("run-command of 5 s", "RunCommandStateMachineArn", {"command": "sleep 5"}),
            _Case("run-session of three steps", "RunSessionStateMachineArn", {"steps": STEPS}),
            _Case("run-batch, for each item", "RunBatchStateMachineArn", batch, 1, ITEMS),
            _Case(
                f"run-batch with {ITEMS_PER_SESSION} items in a session, for each item",
                "RunBatchStateMachineArn",
                {**batch, "itemsPerSession": ITEMS_PER_SESSION},
                1,
                ITEMS,
            ),
        ]
        _Workflow(deployed, cases[0]).run()  # starts the processes of the function
        return [row for case in cases for row in _measured(deployed, case)]


def _measured(deployed: DeployedBatches, case: _Case) -> Iterator[Measurement]:
    workflow, counts = _Workflow(deployed, case), Counter[str]()
    began = time.time()
    for _ in range(case.executions):
        execution = workflow.run()
        if execution is not None:
            counts.update(_history_counts(execution))
    time.sleep(LOG_SECONDS)  # the last lines of the log
    billed = _billed_milliseconds(deployed.outputs["SessionFunctionName"], began)
    jobs = case.executions * case.jobs
    method = f"mean of {jobs} jobs"
    yield Measurement(f"{case.name}: Lambda", sum(billed) / jobs, "ms", None, f"{method}, billed duration")
    yield Measurement(f"{case.name}: invocations", len(billed) / jobs, "", None, method)
    if counts:
        yield Measurement(f"{case.name}: state transitions", counts["states"] / jobs, "", None, method)
        yield Measurement(f"{case.name}: history events", counts["events"] / jobs, "", None, method)


class _Workflow:
    def __init__(self, deployed: DeployedBatches, case: _Case) -> None:
        self._machine = deployed.outputs[case.output]
        self._request = json.dumps(case.request)
        # the address of the embedded AWS has no subdomains such as `sync-`
        self._client: Any = boto3.client("stepfunctions", config=Config(inject_host_prefix=False))

    def run(self) -> str | None:
        """Runs an execution. Returns its ARN, or None for an Express execution, which has no history."""
        if "express" in self._machine:
            ended = self._client.start_sync_execution(stateMachineArn=self._machine, input=self._request)
        else:
            started = self._client.start_execution(
                stateMachineArn=self._machine, name=str(uuid.uuid4()), input=self._request
            )
            while (ended := self._client.describe_execution(executionArn=started["executionArn"]))[
                "status"
            ] == "RUNNING":
                time.sleep(POLL_SECONDS)
        if ended["status"] != "SUCCEEDED":
            raise RuntimeError(f"{self._machine}: {ended.get('error')}: {ended.get('cause')}")
        return None if ":express:" in ended["executionArn"] else ended["executionArn"]


def _history_counts(execution: str) -> Counter[str]:
    """Returns the numbers of entered states and of events, with those of the child executions."""
    client = cast("Any", boto3.client("stepfunctions"))
    pages = client.get_paginator("get_execution_history").paginate(executionArn=execution)
    types = [event["type"] for page in pages for event in page["events"]]
    counts = Counter(states=sum(name.endswith("StateEntered") for name in types), events=len(types))
    for run in client.list_map_runs(executionArn=execution)["mapRuns"]:
        for page in client.get_paginator("list_executions").paginate(mapRunArn=run["mapRunArn"]):
            for child in page["executions"]:
                counts.update(_history_counts(child["executionArn"]))
    return counts


def _billed_milliseconds(function: str, since: float) -> list[int]:
    """Returns the billed duration of each invocation that has ended after a time in seconds since 1970."""
    configuration: Any = boto3.client("lambda").get_function_configuration(FunctionName=function)
    logs = cast("Any", boto3.client("logs"))
    pages = logs.get_paginator("filter_log_events").paginate(
        logGroupName=configuration["LoggingConfig"]["LogGroup"], startTime=int(since * 1000)
    )
    found = (REPORT.search(event["message"]) for page in pages for event in page["events"])
    return [int(match[1]) for match in found if match]


def _upload_items(deployed: DeployedBatches) -> dict[str, str]:
    bucket, key = deployed.outputs["DataBucketName"], f"{deployed.outputs['DataPrefix']}/inputs/items.jsonl"
    boto3.client("s3").put_object(Bucket=bucket, Key=key, Body=b"".join(b'{"n": %d}\n' % n for n in range(ITEMS)))
    return {"location": f"s3://{bucket}/{key}", "format": "jsonl"}
