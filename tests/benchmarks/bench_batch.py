"""Measures batches with failures, while the emulator enforces the quota of calls.

Items of the large batch share sessions, because starting 10,000 sandboxes takes most of an hour on two cores. The
simulation of the same batch, with the service times of this run, is compared with it. Jobs that are sent directly to
AgentCore show what the workflow, the function and the records add.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from sandpiper.capacity.estimate import estimate
from tests.benchmarks import batch_times
from tests.benchmarks.deployed_batches import CONCURRENCY, SESSIONS, deployed_batches
from tests.benchmarks.direct_jobs import run_directly
from tests.benchmarks.measurement import Measurement
from tests.benchmarks.processor_time import processor_seconds

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.benchmarks.deployed_batches import DeployedBatches, FinishedBatch

ITEMS = int(os.environ.get("BATCH_ITEMS", "10000"))
ISOLATED_ITEMS = int(os.environ.get("BATCH_ISOLATED_ITEMS", "100"))
DIRECT_ITEMS = int(os.environ.get("BATCH_DIRECT_ITEMS", "1000"))
BLOCKS = 4
"""Parts of the comparison with direct jobs, which alternate, so that both have the same load."""
ITEMS_PER_SESSION = 50
CALLS_PER_ITEM, CALLS_PER_SESSION = 3, 2
"""Without a throttle: write the item, run, collect the files; and start and stop."""


def measurements() -> list[Measurement]:
    """Deploys a tenant to a separate embedded AWS and runs its batches."""
    with deployed_batches() as deployed:
        deployed.run(CONCURRENCY, None)  # starts the processes of the function
        shared = deployed.run(ITEMS, ITEMS_PER_SESSION)
        return [
            *_of_batch(deployed.run(ISOLATED_ITEMS, None)),
            *_of_batch(shared),
            *_simulated(deployed, shared),
            *_compared(deployed),
        ]


def comparison() -> list[Measurement]:
    """Deploys a tenant to a separate embedded AWS and compares its batches with direct jobs."""
    with deployed_batches() as deployed:
        deployed.run(CONCURRENCY, None)
        return list(_compared(deployed))


def _of_batch(batch: FinishedBatch) -> Iterator[Measurement]:
    sharing = batch.items_per_session
    name = f"batch of {batch.items:,} items, {f'{sharing} in a session' if sharing else 'a session each'}"
    expected = batch.items * CALLS_PER_ITEM + -(-batch.items // (sharing or 1)) * CALLS_PER_SESSION
    throttled = 100 * max(batch.summary.calls - expected, 0) / batch.summary.calls
    yield Measurement(f"{name}: duration", batch.seconds, "s", None, "start to results")
    yield Measurement(f"{name}: rate", batch.items / batch.seconds, "items/s", None, "start to results")
    method = "largest of a list every 0.5 s"
    yield Measurement(f"{name}: live sessions", batch.live_sessions, "sessions", SESSIONS, method)
    method = "calls sent in addition to those of a batch without throttling"
    yield Measurement(f"{name}: throttled calls", throttled, "%", 2, method)


def _simulated(deployed: DeployedBatches, batch: FinishedBatch) -> Iterator[Measurement]:
    scenario = batch_times.measured_scenario(deployed, batch)
    for name, milliseconds in batch_times.lines(scenario):
        yield Measurement(f"service time: {name}", milliseconds, "ms", None, "mean of the same batch")
    seconds = estimate(scenario, min_items=batch.items).seconds
    name = f"batch of {batch.items:,} items"
    yield Measurement(f"{name}: simulated duration", seconds, "s", None, "with these service times")
    difference = 100 * abs(seconds / batch.seconds - 1)
    yield Measurement(f"{name}: difference of the simulation", difference, "%", 15, "from the measured duration")


def _compared(deployed: DeployedBatches) -> Iterator[Measurement]:
    """Alternates jobs that are sent directly with batches of the same jobs."""
    items, pids = DIRECT_ITEMS // BLOCKS, {os.getpid(), deployed.pid}
    direct = batches = direct_processors = batch_processors = 0.0
    for _ in range(BLOCKS):
        began = processor_seconds(*pids)
        direct += run_directly(deployed.interpreter_id, items)
        between = processor_seconds(*pids)
        batches += deployed.run(items, None).seconds
        direct_processors += between - began
        batch_processors += processor_seconds(*pids) - between
    name, method = f"{items * BLOCKS:,} jobs with a session each", f"{BLOCKS} parts, alternating"
    yield Measurement(f"{name}, directly: duration", direct, "s", None, method)
    yield Measurement(f"{name}, as batches: duration", batches, "s", None, method)
    yield Measurement(f"{name}: batches / directly", batches / direct, "times", 1.5, "ratio of the durations")
    ratio = batch_processors / direct_processors
    yield Measurement(f"{name}: processor time", ratio, "times", None, "batches / directly, all processes")
