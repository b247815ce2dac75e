"""Cells and lines of reports. Text of programs, users and AWS has no control characters and is never markup."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

from sandpiper.cli.output import MAX_TABLE_WIDTH, PlainConsole, human_time, printable_name, styled
from sandpiper.plan.lines import human_size
from sandpiper.runs.cost import estimated_usd

if TYPE_CHECKING:
    from rich.console import Console

    from sandpiper.runs.executions import Execution, ProgramResult

STYLES = {"RUNNING": "cyan", "SUCCEEDED": "green", "FAILED": "red", "TIMED_OUT": "red", "ABORTED": "yellow"}
"""The color of each status."""
TIME_FORMAT = "%Y-%m-%d %H:%M:%S UTC"
NONE = "-"
MAX_ERROR_CHARACTERS = 100
"""The longest error in a table. `runs show` prints it in full above, and `--json` those of all attempts."""
DURATION_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"))


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


def outcome_of(execution: Execution) -> str:
    """Returns the exit code; of a batch, how many items failed. Empty if neither is known."""
    if execution.summary is not None:
        return f"{execution.failed_items:,}/{execution.summary['count']:,} failed"
    return "" if execution.exit_code is None else str(execution.exit_code)


def usd_of(execution: Execution) -> str:
    """Returns the estimated cost."""
    usd = estimated_usd(execution)
    return NONE if usd is None else f"${usd:,.6f}" if usd < 1 else f"${usd:,.2f}"


def print_result(console: Console, one: ProgramResult) -> None:
    """Prints the output and the files of a program."""
    where = f" of {one.label}" if one.label else ""
    for stream in ("stdout", "stderr"):
        complete = one.result.get(f"{stream}Uri")
        note = f" (truncated; complete at {complete})" if complete else ""
        print_text(console, f"{stream}{where}{note}", one.result[stream])
    table = new_table("file", "type", "size", "S3 URI")
    for file in one.result["files"]:
        address = one_line(file.get("s3Uri", "in the result"))
        table.add_row(one_line(file["path"]), file["contentType"], human_size(file["size"]), address)
    if table.row_count:
        console.print(styled((f"\nFiles{where}", "bold")))
    print_table(console, table)
    for file in one.result.get("skipped", ()):
        console.print(styled(("skipped", "yellow"), f" {one_line(file['path'])}: {one_line(file['reason'])}"))


def print_text(console: Console, title: str, text: str) -> None:
    """Prints the lines of a text, indented. Prints nothing for an empty text."""
    if not text:
        return
    console.print(styled((f"\n{one_line(title)}", "bold")), soft_wrap=True)
    for line in text.splitlines():
        console.print(styled(f"  {line}"), soft_wrap=True)


def new_table(*columns: str) -> Table:
    """Returns an empty table without lines."""
    return Table(*columns, box=None, pad_edge=False, header_style="bold")


def print_table(console: Console, table: Table) -> None:
    """Prints a table without wrapping. Prints nothing for one without rows."""
    if table.row_count:
        PlainConsole(file=console.file, width=MAX_TABLE_WIDTH).print(table)


def one_line(text: str) -> str:
    """Returns a text on one line."""
    return printable_name(text.replace("\t", " "))


def shortened(text: str) -> str:
    """Returns the beginning of a text on one line."""
    return one_line(text if len(text) <= MAX_ERROR_CHARACTERS else f"{text[: MAX_ERROR_CHARACTERS - 1]}…")
