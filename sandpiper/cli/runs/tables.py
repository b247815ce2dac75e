"""Executions as tables and reports. Text of programs, users and AWS has no control characters and is never markup."""

from __future__ import annotations

import json
from datetime import UTC
from typing import TYPE_CHECKING

from rich.table import Table

from sandpiper.cli.output import MAX_TABLE_WIDTH, PlainConsole, human_time, printable_name, styled
from sandpiper.plan.lines import human_size
from sandpiper.runs.as_json import without_code
from sandpiper.runs.cost import estimated_usd
from sandpiper.runs.history import last_output

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from rich.console import Console

    from sandpiper.runs.executions import Execution, ProgramResult
    from sandpiper.runs.history import Step
    from sandpiper.runs.records import StateRecord

STYLES = {"RUNNING": "cyan", "SUCCEEDED": "green", "FAILED": "red", "TIMED_OUT": "red", "ABORTED": "yellow"}
"""The color of each status."""
TIME_FORMAT = "%Y-%m-%d %H:%M:%S UTC"
NONE = "-"
MAX_ERROR_CHARACTERS = 100
"""The longest error in a table. `runs show` prints it in full above, and `--json` those of all attempts."""
DURATION_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"))


def print_list(console: Console, executions: Iterable[Execution]) -> None:
    """Prints a line for each execution, without wrapping. Prints nothing if there are none."""
    table = _table("name", "workflow", "status", "started", "duration", "exit code", "error", "est. cost")
    for one in executions:
        table.add_row(
            _one_line(one.name),
            one.workflow,
            styled((one.status, STYLES.get(one.status, ""))),
            f"{one.started.astimezone(UTC):{TIME_FORMAT}}",
            human_duration(one.seconds),
            NONE if one.exit_code is None else str(one.exit_code),
            _shortened(one.error) or NONE,
            _usd(one),
        )
    _print_table(console, table)


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
        styled((_one_line(execution.name), "bold"), "  ", (execution.status, STYLES.get(execution.status, "")))
    )
    for label, value in _properties(execution, records):
        console.print(styled((f"{label:<16}", "dim"), _one_line(value)), soft_wrap=True)
    request = execution.request if with_code else without_code(execution.request)
    _print_text(console, "Request", json.dumps(request, indent=2, ensure_ascii=False))
    _print_steps(console, steps)
    if execution.is_running:
        for stream, text in zip(("stdout", "stderr"), last_output(steps) or ("", ""), strict=True):
            _print_text(console, f"Last lines of {stream}", text)
    for one in execution.results:
        _print_result(console, one)


def human_duration(seconds: float) -> str:
    """Returns a duration as text.

    Example:
        >>> human_duration(0.25), human_duration(59.94), human_duration(7_260)
        ('250 ms', '59.9 s', '2 h 1 min')
    """
    if seconds < 120:
        return human_time(seconds * 1_000)
    parts, rest = list[str](), round(seconds / 60) * 60
    for size, unit in DURATION_UNITS:
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2])


def _properties(execution: Execution, records: Sequence[StateRecord]) -> Iterator[tuple[str, str]]:
    yield "ARN", execution.arn
    yield "workflow", execution.workflow
    yield "started", f"{execution.started.astimezone(UTC):{TIME_FORMAT}}"
    yield "duration", human_duration(execution.seconds)
    if execution.exit_code is not None:
        yield "exit code", str(execution.exit_code)
    if estimated_usd(execution) is not None:
        yield "estimated cost", _usd(execution)
    if execution.error:
        yield "error", f"{execution.error}: {execution.message}"
    sessions = dict.fromkeys(record.session_id for record in records if record.session_id)
    if sessions:
        yield "sessions", ", ".join(sessions)
    calls = [record.calls for record in records if record.calls is not None]
    if calls:
        yield "calls", f"{sum(calls):,}"


def _print_steps(console: Console, steps: Sequence[Step]) -> None:
    table = _table("step", "entered", "duration", "attempts", "last error")
    for step in steps:
        failed = [attempt for attempt in step.attempts if attempt.error]
        table.add_row(
            _one_line(step.name),
            f"{step.entered.astimezone(UTC):%H:%M:%S}",
            NONE if step.seconds is None else human_duration(step.seconds),
            str(len(step.attempts)) if step.attempts else NONE,
            _shortened(f"{failed[-1].error}: {failed[-1].message}") if failed else NONE,
        )
    if steps:
        console.print(styled(("\nSteps", "bold")))
    _print_table(console, table)


def _print_result(console: Console, one: ProgramResult) -> None:
    where = f" of {one.label}" if one.label else ""
    for stream in ("stdout", "stderr"):
        complete = one.result.get(f"{stream}Uri")
        note = f" (truncated; complete at {complete})" if complete else ""
        _print_text(console, f"{stream}{where}{note}", one.result[stream])
    table = _table("file", "type", "size", "S3 URI")
    for file in one.result["files"]:
        address = _one_line(file.get("s3Uri", "in the result"))
        table.add_row(_one_line(file["path"]), file["contentType"], human_size(file["size"]), address)
    if table.row_count:
        console.print(styled((f"\nFiles{where}", "bold")))
    _print_table(console, table)
    for file in one.result.get("skipped", ()):
        console.print(styled(("skipped", "yellow"), f" {_one_line(file['path'])}: {_one_line(file['reason'])}"))


def _print_text(console: Console, title: str, text: str) -> None:
    """Prints the lines of a text, indented. Prints nothing for an empty text."""
    if not text:
        return
    console.print(styled((f"\n{_one_line(title)}", "bold")), soft_wrap=True)
    for line in text.splitlines():
        console.print(styled(f"  {line}"), soft_wrap=True)


def _table(*columns: str) -> Table:
    return Table(*columns, box=None, pad_edge=False, header_style="bold")


def _print_table(console: Console, table: Table) -> None:
    if table.row_count:
        PlainConsole(file=console.file, width=MAX_TABLE_WIDTH).print(table)


def _usd(execution: Execution) -> str:
    usd = estimated_usd(execution)
    return NONE if usd is None else f"${usd:,.6f}" if usd < 1 else f"${usd:,.2f}"


def _one_line(text: str) -> str:
    return printable_name(text.replace("\t", " "))


def _shortened(text: str) -> str:
    return _one_line(text if len(text) <= MAX_ERROR_CHARACTERS else f"{text[: MAX_ERROR_CHARACTERS - 1]}…")
