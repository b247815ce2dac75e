"""Follows an execution until it ends: its states, failed attempts, and the last lines of a running command."""

from __future__ import annotations

import time
from datetime import UTC
from typing import TYPE_CHECKING

from sandpiper.aws_errors import aws_errors_as_cli_errors
from sandpiper.runs.executions import RUNNING
from sandpiper.runs.history import Event, last_output, read_events, steps_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import boto3

    from sandpiper.runs.history import Step

POLL_SECONDS = (0.5, 5.0)
"""First and longest interval between two polls. GetExecutionHistory is limited to 20 calls per second.

https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html#service-limits-api-state
"""


def follow(session: boto3.Session, execution: str, show: Callable[[str], None]) -> None:
    """Waits until an execution has ended.

    Args:
        session: the credentials.
        execution: the ARN of the execution.
        show: called with each line: a state that was entered, a failed attempt, a new line of a running command.

    Raises:
        CliError: An AWS call failed.
    """
    shown, outputs = 0, ("", "")
    for steps in poll_steps(session, execution):
        lines = progress_lines(steps)
        latest = last_output(steps) or outputs
        for line in lines[shown:]:
            show(line)
        for before, now in zip(outputs, latest, strict=True):
            for line in new_text(before, now).splitlines():
                show(f"  {line}")
        shown, outputs = len(lines), latest


def poll_steps(session: boto3.Session, execution: str) -> Iterator[list[Step]]:
    """Yields the visited states of an execution after each poll, the last time when it has ended.

    Args:
        session: the credentials.
        execution: the ARN of the execution.

    Raises:
        CliError: An AWS call failed.
    """
    client = session.client("stepfunctions")
    interval, max_interval = POLL_SECONDS
    events = list[Event]()
    is_running = True
    while is_running:
        with aws_errors_as_cli_errors("states:DescribeExecution"):  # before the history, so that the last is complete
            is_running = client.describe_execution(executionArn=execution)["status"] == RUNNING
        events += read_events(session, execution, after=events[-1]["id"] if events else 0)
        yield steps_of(events)
        if is_running:
            time.sleep(interval)
            interval = min(interval * 1.2, max_interval)


def progress_lines(steps: Sequence[Step]) -> list[str]:
    """Returns a line for each state that was entered and for each failed attempt, by time: new events add lines."""
    lines = [(step.entered, step.name) for step in steps]
    lines += [
        (attempt.ended, f"{step.name}: attempt {number} failed: {attempt.error}: {attempt.message}")
        for step in steps
        for number, attempt in enumerate(step.attempts, 1)
        if attempt.error and attempt.ended
    ]
    return [f"{at.astimezone(UTC):%H:%M:%S} {text}" for at, text in sorted(lines, key=lambda line: line[0])]


def new_text(before: str, now: str) -> str:
    r"""Returns the part of the last lines of a growing output that an earlier call has not returned.

    Both are the end of the same text, so the earlier one ends with the beginning of the later one, unless more was
    printed in between than either contains.

    Example:
        >>> new_text("1\n2\n3\n", "2\n3\n4\n"), new_text("1\n2", "1\n23")
        ('4\n', '3')
    """
    start = 0
    for line in before.splitlines(keepends=True):
        if now.startswith(before[start:]):
            return now[len(before) - start :]
        start += len(line)
    return now
