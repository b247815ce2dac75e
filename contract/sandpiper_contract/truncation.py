"""Shortens text: values in error messages, and long output in results."""

from __future__ import annotations

MAX_SHOWN_CHARACTERS = 60
"""How much of a rejected value an error message repeats."""


def truncate(text: str) -> str:
    """Returns the first characters of a text, ending with `…` if it is longer than an error message repeats.

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
        note: What the line says after the count, for example where to find the whole text.

    Example:
        >>> print(truncate_middle("a" * 5000, 3, "see stdout.txt"))
        aaa
        … 4,994 characters omitted; see stdout.txt …
        aaa
    """
    omitted = len(text) - 2 * characters
    return f"{text[:characters]}\n… {omitted:,} characters omitted; {note} …\n{text[-characters:]}"
