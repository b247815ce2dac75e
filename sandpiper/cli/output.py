"""How commands speak: results to stdout, everything else to stderr, failures in one message."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from local_aws.settings import LocalAwsError
from sandpiper.failure import Failure, Interrupted

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
INTERRUPTED = 130
"""128 and the number of SIGINT, as shells have it."""
KIB = 1024
WIDEST = 1_000


@contextmanager
def failures_as_messages(code: int = FAILED) -> Generator[None]:
    """Prints a Failure in one message and ends the command with a code; Ctrl-C ends it with 130."""
    try:
        yield
    except Interrupted as interrupted:
        notes.print(plain(str(interrupted)), soft_wrap=True)
        raise typer.Exit(INTERRUPTED) from None
    except (Failure, LocalAwsError) as failure:
        notes.print(f"[bold red]error:[/] {plain(str(failure))}", soft_wrap=True)
        raise typer.Exit(code) from None
    except KeyboardInterrupt:
        notes.print("interrupted")
        raise typer.Exit(INTERRUPTED) from None


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
    table = Table("file", "type", "size", "S3 URI", "saved to", box=None, pad_edge=False, header_style="bold")
    for file in files:
        saved_to = "[red]not saved[/]" if file.problem else name_of(str(file.saved_to))
        table.add_row(name_of(file.name), file.content_type, human_size(file.size), name_of(file.s3_uri), saved_to)
    if table.row_count:
        Console(file=console.file, width=WIDEST).print(table)


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
