"""Lines of a report, with their indentation and their meaning for the terminal's colors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Tone = Literal["head", "loss", "more", "less", "note", "plain"]
MAX_VALUE_CHARACTERS = 100
"""The longest value that a report shows in full."""
SIZE_UNITS = ("B", "KiB", "MiB", "GiB")
MAX_SHOWN_SIZE = 10 * 1024
"""A size is shown in the first unit in which it is below this."""
MINUTE_FORMAT = "%Y-%m-%d %H:%M UTC"


@dataclass(frozen=True)
class Line:
    """One line of a report; `depth` is its indentation."""

    text: str
    depth: int = 0
    tone: Tone = "plain"


def count_of(number: int, noun: str, plural: str | None = None) -> str:
    """Returns a number with its noun, such as `1 live session` or `1,200 live sessions`.

    Args:
        number: the number.
        noun: the noun in the singular.
        plural: its plural, if that is not formed with `s`.
    """
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"


def human_size(size: int) -> str:
    """Returns a number of bytes as text: in bytes below 10 KiB, in KiB below 10 MiB, and so on.

    Example:
        >>> human_size(120_000_000)
        '114 MiB'
    """
    exponent = 0
    while size / 1024**exponent >= MAX_SHOWN_SIZE and exponent < len(SIZE_UNITS) - 1:
        exponent += 1
    return f"{size / 1024**exponent:,.0f} {SIZE_UNITS[exponent]}"
