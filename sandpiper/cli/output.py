"""Output of the commands: results go to stdout, progress and errors to stderr, each error as one message."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TextIO

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from local_aws.settings import LocalAwsError
from local_aws.signals import TERMINATION_SIGNALS
from sandpiper.cli.exit_codes import FAILED, SIGNAL_EXIT_CODE
from sandpiper.errors import CliError, CommandInterruptedError
from sandpiper.plan.lines import human_size

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
    from pathlib import Path

    from rich.style import Style

    from sandpiper.downloads import SavedFile


class PlainConsole(Console):
    """A console that prints every string as it is. Styles are added with `styled` or `style=`.

    A string is a value that users, AWS or untrusted code chose. Rich would interpret `[word]` in it as markup and
    `:word:` as an emoji, and a terminal would interpret its control characters.
    """

    def render_str(self, text: str, *, style: str | Style = "", **_: Any) -> Text:
        """Returns the text for a string that is printed, or that is the cell of a table."""
        return Text(printable(text), style=style)


notes = PlainConsole(stderr=True)
"""Console for progress and messages."""
report = PlainConsole()
"""Console for reports that people read."""
MAX_TABLE_WIDTH = 1_000
MAX_LISTED = 25


@contextmanager
def errors_as_messages(code: int = FAILED) -> Generator[None]:
    """Prints a CliError as one message and exits the command with a code.

    Signals that would end the process raise KeyboardInterrupt, so that the command ends what it started.
    """
    with _as_interrupts() as received:
        try:
            yield
        except CommandInterruptedError as interrupted:
            notes.print(str(interrupted), soft_wrap=True)
            raise typer.Exit(SIGNAL_EXIT_CODE + received[0]) from None
        except (CliError, LocalAwsError) as failure:
            notes.print(styled(("error:", "bold red"), f" {failure}"), soft_wrap=True)
            raise typer.Exit(code) from None
        except BrokenPipeError:  # the reader of the output has ended; Typer would exit with 1
            sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123 - the flush at exit would fail again
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
    """Returns text without control characters, which could control the terminal."""
    return "".join(character if character.isprintable() or character in "\n\t" else "�" for character in text)


def styled(*parts: str | tuple[str, str]) -> Text:
    """Returns text for a console. Each part is text, or text with a style such as `("error:", "bold red")`."""
    return Text.assemble(
        *((printable(part), "") if isinstance(part, str) else (printable(part[0]), part[1]) for part in parts)
    )


@contextmanager
def progress(text: str) -> Generator[Callable[[str], None]]:
    """Shows a line on stderr while the block runs. Yields a function that replaces the line."""
    with notes.status(styled(text)) as status:
        yield lambda line: status.update(styled(line))


def print_note(line: str) -> None:
    """Prints a line to stderr without wrapping."""
    notes.print(line, soft_wrap=True)


def printable_name(path: str) -> str:
    """Returns the name of a file on one line. Untrusted programs choose such names."""
    return printable(path.replace("\n", "�"))


def print_stream(stream: TextIO, text: str) -> None:
    """Prints the output of a program, without control characters when the stream is a terminal."""
    if text and stream.isatty():
        text = printable(text)
    if text:
        print(text, file=stream)


def print_files(console: Console, files: Iterable[SavedFile]) -> None:
    """Prints a table of files. It may be wider than the terminal, so that S3 URIs are not wrapped."""
    links: list[Text] = []
    table = Table("file", "type", "size", "S3 URI", "saved to", box=None, pad_edge=False, header_style="bold")
    for file in files:
        saved_to = styled(("not saved", "red")) if file.problem else printable_name(str(file.saved_to))
        table.add_row(
            printable_name(file.name), file.content_type, human_size(file.size), printable_name(file.s3_uri), saved_to
        )
        if file.link:
            links.append(styled(("link", "bold"), f" {printable_name(file.name)}: {printable_name(file.link)}"))
    if table.row_count:
        PlainConsole(file=console.file, width=MAX_TABLE_WIDTH).print(table)
    for link in links:
        console.print(link, soft_wrap=True)


def print_saved(console: Console, files: Sequence[SavedFile], out: Path) -> None:
    """Prints a table of the first files, and the number of the others: a batch has thousands."""
    print_files(console, files[:MAX_LISTED])
    if (more := len(files) - MAX_LISTED) > 0:
        console.print(f"and {more:,} more files in {printable_name(str(out))}")


def first_lines(lines: Sequence[str]) -> str:
    """Returns the first lines of a long list, and the number of the others."""
    more = len(lines) - MAX_LISTED
    return "\n".join([*lines[:MAX_LISTED], *([f"and {more:,} more"] if more > 0 else [])])


def print_skipped(console: Console, result: Mapping[str, Any]) -> None:
    """Prints a line for each skipped file, and the address of each result that was truncated."""
    for file in result["skipped"]:
        name, size = printable_name(file["path"]), human_size(file["size"])
        console.print(styled(("skipped", "yellow"), f" {name} ({size}): {file['reason']}"))
    for stream in ("stdout", "stderr"):
        if address := result.get(f"{stream}Uri"):
            console.print(styled(("truncated", "yellow"), f" {stream}: complete at {address}"), soft_wrap=True)
    if address := result.get("manifestUri"):
        console.print(styled(("truncated", "yellow"), f" list of files: complete at {address}"), soft_wrap=True)


def human_time(milliseconds: float) -> str:
    """Returns milliseconds as text: in ms below 1 s, in s above."""
    return f"{milliseconds:.0f} ms" if milliseconds < 999.5 else f"{milliseconds / 1000:,.1f} s"


def write_text(file: Path, text: str) -> None:
    """Replaces a file when its new content is complete, and creates its folder. Raises CliError if that fails."""
    part = file.with_name(f".{file.name}.part")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(text, encoding="utf-8", newline="")
        part.replace(file)
    except OSError as error:
        with suppress(OSError):
            part.unlink()
        raise CliError(f"{file} cannot be written ({error.strerror}); name a file that can be written") from None
