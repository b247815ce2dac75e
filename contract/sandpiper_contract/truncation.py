"""Shortens text: values in error messages, and long output in results."""

from __future__ import annotations

MAX_SHOWN_CHARACTERS = 60
"""Maximum number of characters of a rejected value in an error message."""


def truncate(text: str) -> str:
    """Returns a text, truncated to MAX_SHOWN_CHARACTERS with `…` as the last one if it is longer.

    Example:
        >>> truncate("k" * 100)
        'kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk…'
    """
    return text if len(text) <= MAX_SHOWN_CHARACTERS else text[: MAX_SHOWN_CHARACTERS - 1] + "…"


def truncate_middle(text: str, characters: int, note: str) -> str:
    """Returns the head and the tail of a text with a line between them that counts the omitted characters.

    Args:
        text: The whole text.
        characters: How many characters to keep at each end.
        note: The text after the count, for example the address of the whole text.

    Example:
        >>> print(truncate_middle("a" * 5000, 3, "see stdout.txt"))
        aaa
        … 4,994 characters omitted; see stdout.txt …
        aaa
    """
    omitted = len(text) - 2 * characters
    return f"{text[:characters]}\n… {omitted:,} characters omitted; {note} …\n{text[-characters:]}"
