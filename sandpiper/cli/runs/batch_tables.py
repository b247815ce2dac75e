"""A batch and its items as parts of reports."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sandpiper.cli.output import human_time, styled
from sandpiper.cli.runs.formatting import (
    NONE,
    STYLES,
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
from sandpiper.plan.lines import human_size
from sandpiper.runs.executions import ProgramResult

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rich.console import Console

    from sandpiper.runs.batches import FailedItem, Item
    from sandpiper.runs.executions import Execution


def batch_properties(summary: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yields the labels and values of a summary."""
    if failures := ", ".join(f"{each['count']:,} {each['name']}" for each in summary["failures"]):
        yield "errors", failures
    if summary["programsFailed"]:
        yield "exit codes", f"{summary['programsFailed']:,} not 0"
    if "p50Ms" in summary:
        yield "p50, p95", f"{human_time(summary['p50Ms'])}, {human_time(summary['p95Ms'])}"
    yield "session time", human_duration(summary["sessionSeconds"])
    yield "calls", f"{summary['calls']:,}"
    yield "files", human_size(summary["bytes"])


def print_summary(console: Console, batch: Execution) -> None:
    """Prints the summary of a batch that has ended."""
    console.print(styled((one_line(batch.name), "bold"), "  ", (batch.status, STYLES.get(batch.status, ""))))
    for label, value in (
        ("items", outcome_of(batch)),
        ("duration", human_duration(batch.seconds)),
        ("estimated cost", usd_of(batch)),
        *batch_properties(batch.summary or {}),
    ):
        console.print(styled((f"{label:<16}", "dim"), value), soft_wrap=True)


def print_failed_items(console: Console, execution: Execution, failed: Sequence[FailedItem]) -> None:
    """Prints the failed items, and the command that shows the output of one. Prints nothing if there are none."""
    print_failures(console, execution, failed)
    if failed:
        command = f"sandpiper runs show {execution.arn} --item {failed[0].index}"
        console.print(styled(f"show one with its output: {command}"), soft_wrap=True)


def print_failures(console: Console, execution: Execution, failed: Sequence[FailedItem]) -> None:
    """Prints a line for each failed item. Prints nothing if there are none."""
    table = new_table("item", "error", "message")
    for item in failed:
        table.add_row(str(item.index), item.error, shortened(item.message) or NONE)
    if not failed:
        return
    count = execution.failed_items or len(failed)
    more = f", the first {len(failed)} of {count:,}" if count > len(failed) else ""
    console.print(styled((f"\nFailed items{more}", "bold")))
    print_table(console, table)


def print_item(console: Console, execution: Execution, item: Item) -> None:
    """Prints an item of a batch with its output and its files."""
    style = STYLES.get(item.status, "")
    console.print(styled((f"item {item.index}", "bold"), f" of {one_line(execution.name)}  ", (item.status, style)))
    properties = {
        "batch": execution.arn,
        "session": item.session_id,
        "exit code": str(item.result["exitCode"]) if item.result else None,
        "duration": human_time(item.result["executionTimeMs"]) if item.result else None,
        "error": f"{item.error}: {item.message}" if item.error else None,
    }
    for label, value in properties.items():
        if value is not None:
            console.print(styled((f"{label:<16}", "dim"), one_line(value)), soft_wrap=True)
    print_text(console, "Item", item.text)
    if item.result is not None:
        print_result(console, ProgramResult("", item.result))
