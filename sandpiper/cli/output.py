"""How commands speak: results to stdout, everything else to stderr, failures in one message."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.table import Table

from local_aws.settings import LocalAwsError
from sandpiper.failure import Failure

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
KIB = 1024
WIDEST = 1_000


@contextmanager
def failures_as_messages() -> Generator[None]:
    """Prints a Failure in one message and ends the command with code 2; Ctrl-C ends it with 130."""
    try:
        yield
    except (Failure, LocalAwsError) as failure:
        notes.print(f"[bold red]error:[/] {_plain(str(failure))}", soft_wrap=True)
        raise typer.Exit(FAILED) from None
    except KeyboardInterrupt:
        notes.print("interrupted")
        raise typer.Exit(130) from None


def _plain(text: str) -> str:
    """Text with nothing that Rich would take for markup."""
    return text.replace("[", r"\[")


def print_files(console: Console, files: Iterable[SavedFile]) -> None:
    """Prints name, type, size, address and local path of each file; as wide as it is, so that addresses stay whole."""
    table = Table("file", "type", "size", "S3 URI", "saved to", box=None, pad_edge=False, header_style="bold")
    for file in files:
        table.add_row(
            _plain(file.name),
            file.content_type,
            human_size(file.size),
            _plain(file.s3_uri),
            _plain(str(file.saved_to)),
            style=None,
        )
    if table.row_count:
        Console(file=console.file, width=WIDEST).print(table)


def print_skipped(console: Console, skipped: Iterable[Mapping[str, Any]]) -> None:
    """One line for each file that did not come back."""
    for file in skipped:
        console.print(f"[yellow]skipped[/] {_plain(file['path'])} ({human_size(file['size'])}): {file['reason']}")


def human_size(size: int) -> str:
    """Bytes as people read them."""
    return f"{size:,} B" if size < 10 * KIB else f"{size / KIB:,.0f} KiB"
