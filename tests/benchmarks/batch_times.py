"""Measures the service times of a finished batch whose items share sessions, for a simulation of the same batch.

Each item's record has its duration and the time that its calls waited for their pace. The history has the durations of
the states, and the child executions have their own. So the simulation knows how long each step takes alone, and has
to find out how the steps, the pacing and the concurrency add up.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from statistics import fmean, pstdev
from typing import TYPE_CHECKING, Any, cast

import boto3

from sandpiper.capacity.model import MIB_PER_VCPU, Job, Limits, Scenario, ServiceTimes, Span
from tests.benchmarks.deployed_batches import SESSIONS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from tests.benchmarks.deployed_batches import DeployedBatches, FinishedBatch

MAX_RECORDS = 1_000
"""Records that are read: those of the first items."""
NOTHING = Span.exactly(0)


@dataclass(frozen=True)
class _Item:
    """An item: its duration without the program and without waiting, and the program's duration, in seconds."""

    work: float
    program: float
    total: float


def measured_scenario(deployed: DeployedBatches, batch: FinishedBatch) -> Scenario:
    """Returns a scenario with the service times of a batch whose items share sessions."""
    assert batch.items_per_session is not None
    prepare, finish = _state_seconds(batch.execution)
    items = _items(deployed, batch)
    size = batch.items_per_session
    others = [item.work for index, item in enumerate(items) if index % size]
    firsts = [item.work for item in items[::size]]
    children = _child_seconds(batch.execution)
    rest = fmean(children) - fmean(item.total for item in items) * batch.items / len(children)
    call = _span([work / 3 for work in others])
    return Scenario(
        items=batch.items,
        job=Job(program_seconds=fmean(item.program for item in items), files_per_item=0, items_per_session=size),
        limits=Limits(reserved_concurrency=SESSIONS, memory_mib=MIB_PER_VCPU),
        times=ServiceTimes(
            child=Span.exactly(max(rest, 0)),
            cold_start=NOTHING,
            invocation=NOTHING,
            start=Span.exactly(max(fmean(firsts) - fmean(others), 0)),
            call=call,
            write=call,
            collect=call,
            stop=NOTHING,
            put=NOTHING,
            item_cpu=0,
            prepare_cpu=prepare / batch.items,
            finish_cpu=finish / batch.items,
            finish_read=0,
        ),
    )


def lines(scenario: Scenario) -> Sequence[tuple[str, float]]:
    """Returns the measured times by their names, in ms."""
    times = scenario.times
    return [
        (name, seconds * 1000)
        for name, seconds in (
            ("child execution, apart from its items", times.child.mean),
            ("start of a session", times.start.mean),
            ("a call, with a third of the item's other work", times.call.mean),
            ("program", scenario.job.program_seconds),
            ("preparing an item", times.prepare_cpu),
            ("finishing an item", times.finish_cpu),
        )
    ]


def _span(values: Sequence[float]) -> Span:
    """Returns a uniform distribution with about the mean and the deviation of three independent parts of a value."""
    mean, half = fmean(values), 3 * pstdev(values)
    return Span(max(mean - half, 0), mean + min(half, mean))


def _state_seconds(execution: str) -> tuple[float, float]:
    """Returns the durations of preparing and of finishing."""
    client = cast("Any", boto3.client("stepfunctions"))
    events = client.get_execution_history(executionArn=execution, maxResults=1000)["events"]
    entered: dict[str, datetime] = {}
    for event in events:
        if "stateEnteredEventDetails" in event:
            entered.setdefault(event["stateEnteredEventDetails"]["name"], event["timestamp"])
    finish = events[-1]["timestamp"] - entered["FinishBatch"]
    return (entered["Items"] - entered["PrepareBatch"]).total_seconds(), finish.total_seconds()


def _child_seconds(execution: str) -> list[float]:
    client = cast("Any", boto3.client("stepfunctions"))
    (run,) = client.list_map_runs(executionArn=execution)["mapRuns"]
    pages = client.get_paginator("list_executions").paginate(mapRunArn=run["mapRunArn"])
    children = [child for page in pages for child in page["executions"]]
    return [(child["stopDate"] - child["startDate"]).total_seconds() for child in children]


def _items(deployed: DeployedBatches, batch: FinishedBatch) -> list[_Item]:
    s3 = boto3.client("s3")
    _, machine, name = batch.execution.rsplit(":", 2)
    folder = f"{deployed.outputs['DataPrefix']}/runs/{machine}/{name}/Items"
    found: list[_Item] = []
    for index in range(min(batch.items, MAX_RECORDS)):
        key = f"{folder}/id={index:08}/claim.json"
        record = json.loads(s3.get_object(Bucket=deployed.outputs["DataBucketName"], Key=key)["Body"].read())
        usage, program = record["usage"], record["result"]["executionTimeMs"] / 1000
        found.append(_Item(usage["seconds"] - usage["waitSeconds"] - program, program, usage["seconds"]))
    return found
