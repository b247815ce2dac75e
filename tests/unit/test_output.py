"""Commands print values as they are: no markup, no emoji codes, no control characters."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest
from rich.table import Table

from sandpiper.cli import output
from sandpiper.cli.output import PlainConsole, print_skipped, progress, styled

if TYPE_CHECKING:
    from rich.console import Console

VALUE = "[red]a[/red] [ministack mock …] :smile: [/] \\[b]"


@pytest.fixture
def console() -> PlainConsole:
    return PlainConsole(file=io.StringIO(), width=200)


def printed(console: Console) -> str:
    file = console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()


def test_a_printed_value_is_unchanged(console: PlainConsole) -> None:
    console.print(VALUE, soft_wrap=True)
    console.print(styled(("warning:", "bold"), f" {VALUE}"), soft_wrap=True)
    assert printed(console) == f"{VALUE}\nwarning: {VALUE}\n"


def test_the_cell_of_a_table_is_unchanged(console: PlainConsole) -> None:
    table = Table("name")
    table.add_row(VALUE)
    console.print(table)
    assert VALUE in printed(console)


def test_control_characters_are_replaced(console: PlainConsole) -> None:
    console.print("a\x1b[31mb", styled("c\x1b[0m"), soft_wrap=True)
    assert printed(console) == "a�[31mb c�[0m\n"


def test_progress_shows_a_value_unchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    console = PlainConsole(file=io.StringIO(), width=200, force_terminal=True)
    monkeypatch.setattr(output, "notes", console)
    with progress("reading [red]prod[/]") as show:
        show(VALUE)
    assert VALUE in printed(console)


def test_a_skipped_file_has_its_reason_unchanged(console: PlainConsole) -> None:
    print_skipped(console, {"skipped": [{"path": "[b]x:smile:", "size": 1, "reason": "not [/] kept"}]})
    assert printed(console) == "skipped [b]x:smile: (1 B): not [/] kept\n"


def test_styled_words_are_colored_in_a_terminal() -> None:
    console = PlainConsole(file=io.StringIO(), force_terminal=True, color_system="standard")
    console.print(styled(("error:", "bold red"), " text"))
    assert "\x1b[1;31merror:" in printed(console)
