"""Lines of a report, with their indentation and their meaning for the terminal's colours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Tone = Literal["head", "loss", "more", "less", "note", "plain"]
MAX_VALUE_CHARACTERS = 100
"""The longest value that a report shows in full."""
BYTES_PER_KIB = 1024
MINUTE_FORMAT = "%Y-%m-%d %H:%M UTC"


@dataclass(frozen=True)
class Line:
    """One line of a report; `depth` is its indentation."""

    text: str
    depth: int = 0
    tone: Tone = "plain"


def count_of(number: int, noun: str) -> str:
    """Returns a number with its noun, such as `1 live session` or `1,200 live sessions`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def human_size(size: int) -> str:
    """Returns a number of bytes as text: in bytes below 10 KiB, in KiB above."""
    return f"{size:,} B" if size < 10 * BYTES_PER_KIB else f"{size / BYTES_PER_KIB:,.0f} KiB"
