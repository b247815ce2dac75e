"""Measures the service times of a finished batch whose items share sessions, for a simulation of the same batch.

Each item's record has its duration and its work between two calls, without waiting for their pace. The history has the
durations of the states, and the child executions have their own. So the simulation knows how long each step takes
alone, and has to find out how the steps, the pacing and the concurrency add up.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Any, cast

import boto3

from sandpiper.capacity.model import MIB_PER_VCPU, Job, Limits, Scenario, ServiceTimes, Span
from sandpiper_contract.settings import RECORD_NAME
from tests.benchmarks.deployed_batches import SESSIONS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from random import Random

    from tests.benchmarks.deployed_batches import DeployedBatches, FinishedBatch

MAX_RECORDS = 1_000
"""Records that are read: those of the first items."""
PARTS = 4
"""Work before, between and after three calls. An item whose calls were throttled has more, and is left out."""
NOTHING = Span.exactly(0)


@dataclass(frozen=True)
class Samples:
    """A duration that is one of those that were measured, in seconds."""

    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """The mean in seconds."""
        return fmean(self.values)

    def draw(self, random: Random) -> float:
        """Returns one of the values."""
        return random.choice(self.values)


@dataclass(frozen=True)
class _Usage:
    """What the record of an item states: its duration, and its work before, between and after its calls."""

    seconds: float
    work: tuple[float, ...]


def measured_scenario(deployed: DeployedBatches, batch: FinishedBatch) -> Scenario:
    """Returns a scenario with the service times of a batch whose items share sessions."""
    assert batch.items_per_session is not None
    prepare, finish = _state_seconds(batch.execution)
    usages = _usages(deployed, batch)
    size = batch.items_per_session
    others = (usage.work for index, usage in enumerate(usages) if index % size and len(usage.work) == PARTS)
    before, write, run, collect = zip(*others, strict=True)
    starts = [usage.work[0] for usage in usages[::size]]
    children = _child_seconds(batch.execution)
    rest = fmean(children) - fmean(usage.seconds for usage in usages) * batch.items / len(children)
    return Scenario(
        items=batch.items,
        job=Job(program_seconds=0, files_per_item=0, items_per_session=size),
        limits=Limits(reserved_concurrency=SESSIONS, memory_mib=MIB_PER_VCPU),
        times=ServiceTimes(
            child=Samples((max(rest, 0),)),
            cold_start=NOTHING,
            invocation=NOTHING,
            start=Samples(tuple(max(start - fmean(before), 0) for start in starts)),
            write=Samples(write),
            call=Samples(run),
            collect=Samples(collect),
            stop=NOTHING,
            put=NOTHING,
            item_cpu=fmean(before),
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
            ("item, before its first call", times.item_cpu),
            ("call that writes, until the next", times.write.mean),
            ("call that runs the program, until the next", times.call.mean),
            ("call that collects files, until the end", times.collect.mean),
            ("preparing an item", times.prepare_cpu),
            ("finishing an item", times.finish_cpu),
        )
    ]


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


def _usages(deployed: DeployedBatches, batch: FinishedBatch) -> list[_Usage]:
    """Returns the usage of the first items."""
    s3 = boto3.client("s3")
    _, machine, name = batch.execution.rsplit(":", 2)
    folder = f"{deployed.outputs['DataPrefix']}/runs/{machine}/{name}/Items"
    found: list[_Usage] = []
    for index in range(min(batch.items, MAX_RECORDS)):
        key = f"{folder}/id={index:08}/{RECORD_NAME}"
        record = json.loads(s3.get_object(Bucket=deployed.outputs["DataBucketName"], Key=key)["Body"].read())
        found.append(_Usage(record["usage"]["seconds"], tuple(record["usage"]["workSeconds"])))
    return found
