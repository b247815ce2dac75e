"""Joins and substitutes texts of bounded length, so that values that contain each other cannot exhaust the memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Iterable

MAX_TEXT = 1024 * 1024
"""Longest text in characters. No value of a template that CloudFormation accepts is longer."""
MAX_SHARED_TEXT = 8 * 1024
"""Longest text of an SSM parameter or an export, in characters: the limit of advanced SSM parameters."""
TOO_LONG = "its value is too long"


class TooLongError(Exception):
    """A text is longer than `MAX_TEXT`."""


def joined(delimiter: str, parts: Iterable[str]) -> str:
    """Returns the parts with a delimiter between them. Raises TooLongError."""
    kept: list[str] = []
    total = 0
    for part in parts:
        kept.append(part)
        total += len(part) + len(delimiter)
        if total > MAX_TEXT:
            raise TooLongError
    return delimiter.join(kept)


def substituted(pattern: re.Pattern[str], replacement: Callable[[re.Match[str]], str], text: str) -> str:
    """Returns a text in which each match of a pattern is replaced. Raises TooLongError."""

    def parts() -> Iterable[str]:
        end = 0
        for match in pattern.finditer(text):
            yield text[end : match.start()]
            yield replacement(match)
            end = match.end()
        yield text[end:]

    return joined("", parts())
