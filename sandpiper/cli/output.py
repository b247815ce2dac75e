"""How commands speak: results to stdout, everything else to stderr, failures in one message."""

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

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Mapping
    from typing import Any

    from sandpiper.workflow import SavedFile

notes = Console(stderr=True, highlight=False)
"""Progress and messages."""
report = Console(highlight=False)
"""What a command was asked for, where people and not programs read it."""
FAILED = 2
"""Exit code of a command that could not do what was asked; 1 is left to programs that failed."""
ENDED_BY = 128
"""And the number of the signal, as shells have it: Ctrl-C is 130, SIGTERM 143."""
KIB = 1024
WIDEST = 1_000


@contextmanager
def failures_as_messages(code: int = FAILED) -> Generator[None]:
    """Prints a CliError in one message and ends the command with a code.

    Whatever signal ends the command, what it started ends with it, as with Ctrl-C.
    """
    with _as_interrupts() as came:
        try:
            yield
        except CommandInterruptedError as interrupted:
            notes.print(plain(str(interrupted)), soft_wrap=True)
            raise typer.Exit(ENDED_BY + came[0]) from None
        except (CliError, LocalAwsError) as failure:
            notes.print(f"[bold red]error:[/] {plain(str(failure))}", soft_wrap=True)
            raise typer.Exit(code) from None
        except KeyboardInterrupt:
            notes.print("interrupted")
            raise typer.Exit(ENDED_BY + came[0]) from None


@contextmanager
def _as_interrupts() -> Generator[list[int]]:
    """Makes each signal that would end the process a KeyboardInterrupt; what it yields has the numbers that came."""
    came: list[int] = []

    def interrupt(number: int, _frame: object) -> None:
        came.append(number)
        raise KeyboardInterrupt

    before = {number: signal.getsignal(number) for number in TERMINATION_SIGNALS}
    taken = {number: handler for number, handler in before.items() if handler is not signal.SIG_IGN}
    for number in taken:
        signal.signal(number, interrupt)
    try:
        yield came
    finally:
        for number, handler in taken.items():
            signal.signal(number, handler)


def plain(text: str) -> str:
    """Text that is shown as it is: no markup for Rich, and no control character that would steer a terminal."""
    return escape("".join(character if character.isprintable() or character == "\n" else "�" for character in text))


def name_of(path: str) -> str:
    """A file's name on one line, whatever the program that made it put into it."""
    return plain(path.replace("\n", "�"))


def print_stream(stream: TextIO, text: str) -> None:
    """What a program printed: as it is where a program reads it, without control characters where a terminal does."""
    if text and stream.isatty():
        text = "".join(character if character.isprintable() or character in "\n\t" else "�" for character in text)
    if text:
        print(text, file=stream)


def print_files(console: Console, files: Iterable[SavedFile]) -> None:
    """Prints name, type, size, address and local path of each file; as wide as it is, so that addresses stay whole."""
    links: list[str] = []
    table = Table("file", "type", "size", "S3 URI", "saved to", box=None, pad_edge=False, header_style="bold")
    for file in files:
        saved_to = "[red]not saved[/]" if file.problem else name_of(str(file.saved_to))
        table.add_row(name_of(file.name), file.content_type, human_size(file.size), name_of(file.s3_uri), saved_to)
        if file.link:
            links.append(f"[bold]link[/] {name_of(file.name)}: {name_of(file.link)}")
    if table.row_count:
        Console(file=console.file, width=WIDEST).print(table)
    for link in links:
        console.print(link, soft_wrap=True)


def print_skipped(console: Console, result: Mapping[str, Any]) -> None:
    """One line for each file that did not come back, and where the whole of a long result lies."""
    for file in result["skipped"]:
        console.print(f"[yellow]skipped[/] {name_of(file['path'])} ({human_size(file['size'])}): {file['reason']}")
    for stream in ("stdout", "stderr"):
        if address := result.get(f"{stream}Uri"):
            console.print(f"[yellow]cut[/] {stream}: the whole is at {plain(address)}", soft_wrap=True)
    if address := result.get("manifestUri"):
        console.print(f"[yellow]cut[/] list of files: the whole is at {plain(address)}", soft_wrap=True)


def human_time(milliseconds: float) -> str:
    """A time as people read it."""
    return f"{milliseconds:.0f} ms" if milliseconds < 999.5 else f"{milliseconds / 1000:,.1f} s"


def human_size(size: int) -> str:
    """Bytes as people read them."""
    return f"{size:,} B" if size < 10 * KIB else f"{size / KIB:,.0f} KiB"
