"""Executions as tables and reports. Text of programs, users and AWS has no control characters and is never markup."""

from __future__ import annotations

import json
from datetime import UTC
from typing import TYPE_CHECKING

from sandpiper.cli.output import styled
from sandpiper.cli.runs.batch_tables import batch_properties
from sandpiper.cli.runs.formatting import (
    NONE,
    STYLES,
    TIME_FORMAT,
    human_duration,
    new_table,
    one_line,
    outcome_of,
    print_result,
    print_table,
    print_text,
    shortened,
    usd_of,
)
from sandpiper.runs.as_json import without_code
from sandpiper.runs.cost import estimated_usd
from sandpiper.runs.history import last_output
from sandpiper.runs.session_progress import waits_for_approval

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from rich.console import Console

    from sandpiper.runs.executions import Execution
    from sandpiper.runs.history import Step
    from sandpiper.runs.records import StateRecord


APPROVAL = "an approval: sandpiper runs approve {}"


def print_list(console: Console, executions: Iterable[Execution]) -> None:
    """Prints a line for each execution, without wrapping. Prints nothing if there are none."""
    table = new_table("name", "workflow", "status", "started", "duration", "exit code", "error", "est. cost")
    for one in executions:
        table.add_row(
            one_line(one.name),
            one.workflow,
            styled((one.status, STYLES.get(one.status, ""))),
            f"{one.started.astimezone(UTC):{TIME_FORMAT}}",
            human_duration(one.seconds),
            outcome_of(one) or NONE,
            shortened(one.error) or NONE,
            usd_of(one),
        )
    print_table(console, table)


def print_run(
    console: Console, execution: Execution, steps: Sequence[Step], records: Sequence[StateRecord], *, with_code: bool
) -> None:
    """Prints an execution in full. Output of programs is indented, so that it cannot imitate the report.

    Args:
        console: the console.
        execution: the execution, with its results.
        steps: its steps.
        records: its idempotency records.
        with_code: whether to print the programs and files in the request instead of their lengths.
    """
    console.print(
        styled((one_line(execution.name), "bold"), "  ", (execution.status, STYLES.get(execution.status, "")))
    )
    approval = {"waits for": APPROVAL.format(execution.arn)} if waits_for_approval(steps) else {}
    for label, value in (*_properties(execution, records), *approval.items()):
        console.print(styled((f"{label:<16}", "dim"), one_line(value)), soft_wrap=True)
    request = execution.request if with_code else without_code(execution.request)
    print_text(console, "Request", json.dumps(request, indent=2, ensure_ascii=False))
    _print_steps(console, steps)
    _print_session_steps(console, execution)
    if execution.is_running:
        for stream, text in zip(("stdout", "stderr"), last_output(steps) or ("", ""), strict=True):
            print_text(console, f"Last lines of {stream}", text)
    for one in execution.results:
        print_result(console, one)


def _properties(execution: Execution, records: Sequence[StateRecord]) -> Iterator[tuple[str, str]]:
    yield "ARN", execution.arn
    yield "workflow", execution.workflow
    yield "started", f"{execution.started.astimezone(UTC):{TIME_FORMAT}}"
    yield "duration", human_duration(execution.seconds)
    if outcome := outcome_of(execution):
        yield "exit code" if execution.summary is None else "items", outcome
    if execution.summary is not None:
        yield from batch_properties(execution.summary)
    if estimated_usd(execution) is not None:
        yield "estimated cost", usd_of(execution)
    if execution.error:
        yield "error", f"{execution.error}: {execution.message}"
    sessions = dict.fromkeys(record.session_id for record in records if record.session_id)
    if sessions:
        yield "sessions", ", ".join(sessions)
    calls = [record.calls for record in records if record.calls is not None]
    if calls:
        yield "calls", f"{sum(calls):,}"


def _print_session_steps(console: Console, execution: Execution) -> None:
    """Prints a line for each step of a session: its exit code or error, who approved it, and if its state was lost."""
    table = new_table("step", "exit code", "error", "state lost", "approved by")
    for entry in execution.session_steps:
        result, error = entry.get("result"), entry.get("error", "")
        table.add_row(
            str(entry["index"]),
            NONE if result is None else str(result["exitCode"]),
            shortened(f"{error}: {entry.get('cause', '')}") if error else NONE,
            "yes" if entry.get("stateLost") else NONE,
            shortened(entry["approval"]["by"]) if "approval" in entry else NONE,
        )
    if table.row_count:
        console.print(styled(("\nSteps of the session", "bold")))
    print_table(console, table)


def _print_steps(console: Console, steps: Sequence[Step]) -> None:
    table = new_table("state", "entered", "duration", "attempts", "last error")
    for step in steps:
        failed = [attempt for attempt in step.attempts if attempt.error]
        table.add_row(
            one_line(step.name),
            f"{step.entered.astimezone(UTC):%H:%M:%S}",
            NONE if step.seconds is None else human_duration(step.seconds),
            str(len(step.attempts)) if step.attempts else NONE,
            shortened(f"{failed[-1].error}: {failed[-1].message}") if failed else NONE,
        )
    if steps:
        console.print(styled(("\nStates", "bold")))
    print_table(console, table)
