"""Counts the items of a running batch, from the run of its Distributed Map."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from sandpiper.aws_errors import aws_errors_as_cli_errors
from sandpiper.runs.executions import RUNNING

if TYPE_CHECKING:
    from collections.abc import Callable

    import boto3

ENDED = ("succeeded", "failed", "timedOut", "aborted")
"""The counts of DescribeMapRun that are of items that have ended.

https://docs.aws.amazon.com/step-functions/latest/apireference/API_MapRunItemCounts.html
"""
POLL_SECONDS = (0.5, 5.0)
"""First and longest interval between two polls."""


@dataclass(frozen=True)
class BatchProgress:
    """The counts of the items of a batch.

    Attributes:
        total: all items.
        done: the items that have ended, also those that failed.
        failed: the items whose child execution failed. Items that share a session fail together there.
        running: the items whose child execution runs.
    """

    total: int
    done: int
    failed: int
    running: int

    def __str__(self) -> str:
        return f"{self.done:,} of {self.total:,} items done, {self.failed:,} failed, {self.running:,} running"


def batch_progress(session: boto3.Session, execution: str) -> BatchProgress | None:
    """Returns the counts of a batch, given by the ARN of its execution.

    Returns None before the Distributed Map starts, and without the permissions `states:ListMapRuns` and
    `states:DescribeMapRun`, because the batch runs without its counts as well.
    """
    workflows = session.client("stepfunctions")
    try:
        found = workflows.list_map_runs(executionArn=execution, maxResults=1)["mapRuns"]
        if not found:
            return None
        counts = {**workflows.describe_map_run(mapRunArn=found[0]["mapRunArn"])["itemCounts"]}
    except (BotoCoreError, ClientError):
        return None
    done = sum(int(str(counts[name])) for name in ENDED)
    return BatchProgress(
        total=int(str(counts["total"])),
        done=done,
        failed=done - int(str(counts["succeeded"])),
        running=int(str(counts["running"])),
    )


def follow_batch(session: boto3.Session, execution: str, show: Callable[[str], None]) -> None:
    """Waits until a batch has ended.

    Args:
        session: the credentials.
        execution: the ARN of its execution.
        show: called with a line whenever the counts of its items have changed.

    Raises:
        CliError: An AWS call failed.
    """
    client = session.client("stepfunctions")
    interval, max_interval = POLL_SECONDS
    shown, is_running = None, True
    while is_running:
        with aws_errors_as_cli_errors("states:DescribeExecution"):  # before the counts, so that the last are complete
            is_running = client.describe_execution(executionArn=execution)["status"] == RUNNING
        counts = batch_progress(session, execution)
        if counts is not None and counts != shown:
            show(str(counts))
        shown = counts
        if is_running:
            time.sleep(interval)
            interval = min(interval * 1.2, max_interval)
