"""Prints the lines of a report in the colors of a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandpiper.cli.output import report

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sandpiper.plan.lines import Line, Tone

STYLES: dict[Tone, str] = {
    "head": "bold",
    "loss": "bold red",
    "more": "green",
    "less": "yellow",
    "note": "dim",
    "plain": "",
}


def print_lines(lines: Iterable[Line]) -> None:
    """Prints each line without wrapping, so that searches find it."""
    for line in lines:
        report.print("  " * line.depth + line.text, style=STYLES[line.tone], soft_wrap=True)
