"""Output of the commands: results go to stdout, progress and errors to stderr, each error as one message."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from local_aws.settings import LocalAwsError
from local_aws.signals import TERMINATION_SIGNALS
from sandpiper.errors import CliError, CommandInterruptedError
from sandpiper.plan.lines import human_size

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Mapping
    from typing import Any

    from sandpiper.workflow import SavedFile

notes = Console(stderr=True, highlight=False)
"""Console for progress and messages."""
report = Console(highlight=False)
"""Console for reports that people read."""
FAILED = 2
"""Exit code of a command that failed. 1 is the exit code of a program that failed in the sandbox."""
SIGNAL_EXIT_CODE = 128
"""Exit code of a command that a signal ended, plus the number of the signal: 130 for Ctrl-C, 143 for SIGTERM."""
MAX_TABLE_WIDTH = 1_000


@contextmanager
def errors_as_messages(code: int = FAILED) -> Generator[None]:
    """Prints a CliError as one message and exits the command with a code.

    Signals that would end the process raise KeyboardInterrupt, so that the command ends what it started.
    """
    with _as_interrupts() as received:
        try:
            yield
        except CommandInterruptedError as interrupted:
            notes.print(printable(str(interrupted)), soft_wrap=True)
            raise typer.Exit(SIGNAL_EXIT_CODE + received[0]) from None
        except (CliError, LocalAwsError) as failure:
            notes.print(f"[bold red]error:[/] {printable(str(failure))}", soft_wrap=True)
            raise typer.Exit(code) from None
        except KeyboardInterrupt:
            notes.print("interrupted")
            raise typer.Exit(SIGNAL_EXIT_CODE + received[0]) from None


@contextmanager
def _as_interrupts() -> Generator[list[int]]:
    """Raises KeyboardInterrupt for signals that would end the process. Yields the list of received numbers."""
    received: list[int] = []

    def interrupt(number: int, _frame: object) -> None:
        received.append(number)
        raise KeyboardInterrupt

    before = {number: signal.getsignal(number) for number in TERMINATION_SIGNALS}
    replaced = {number: handler for number, handler in before.items() if handler is not signal.SIG_IGN}
    for number in replaced:
        signal.signal(number, interrupt)
    try:
        yield received
    finally:
        for number, handler in replaced.items():
            signal.signal(number, handler)


def printable(text: str) -> str:
    """Returns text without markup for Rich and without control characters, which could control the terminal."""
    return escape("".join(character if character.isprintable() or character == "\n" else "�" for character in text))


def printable_name(path: str) -> str:
    """Returns the name of a file on one line. Untrusted programs choose such names."""
    return printable(path.replace("\n", "�"))


def print_stream(stream: TextIO, text: str) -> None:
    """Prints the output of a program, without control characters when the stream is a terminal."""
    if text and stream.isatty():
        text = "".join(character if character.isprintable() or character in "\n\t" else "�" for character in text)
    if text:
        print(text, file=stream)


def print_files(console: Console, files: Iterable[SavedFile]) -> None:
    """Prints a table of files. It may be wider than the terminal, so that S3 URIs are not wrapped."""
    links: list[str] = []
    table = Table("file", "type", "size", "S3 URI", "saved to", box=None, pad_edge=False, header_style="bold")
    for file in files:
        saved_to = "[red]not saved[/]" if file.problem else printable_name(str(file.saved_to))
        table.add_row(
            printable_name(file.name), file.content_type, human_size(file.size), printable_name(file.s3_uri), saved_to
        )
        if file.link:
            links.append(f"[bold]link[/] {printable_name(file.name)}: {printable_name(file.link)}")
    if table.row_count:
        Console(file=console.file, width=MAX_TABLE_WIDTH).print(table)
    for link in links:
        console.print(link, soft_wrap=True)


def print_skipped(console: Console, result: Mapping[str, Any]) -> None:
    """Prints a line for each skipped file, and the address of each result that was truncated."""
    for file in result["skipped"]:
        console.print(
            f"[yellow]skipped[/] {printable_name(file['path'])} ({human_size(file['size'])}): {file['reason']}"
        )
    for stream in ("stdout", "stderr"):
        if address := result.get(f"{stream}Uri"):
            console.print(f"[yellow]truncated[/] {stream}: complete at {printable(address)}", soft_wrap=True)
    if address := result.get("manifestUri"):
        console.print(f"[yellow]truncated[/] list of files: complete at {printable(address)}", soft_wrap=True)


def human_time(milliseconds: float) -> str:
    """Returns milliseconds as text: in ms below 1 s, in s above."""
    return f"{milliseconds:.0f} ms" if milliseconds < 999.5 else f"{milliseconds / 1000:,.1f} s"
