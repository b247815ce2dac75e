"""Parses JSON strictly, and finds the lines of its values without a slower parser."""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from sandpiper.review.reading.errors import TemplateError
from sandpiper.review.reading.limits import MAX_DEPTH, MAX_VALUES

if TYPE_CHECKING:
    from sandpiper.review.reading.document import KeyPath

_WHITESPACE = re.compile(r"[ \t\n\r]*")
_DECODER = json.JSONDecoder()


class _DuplicateKeyError(ValueError):
    """A mapping has a key twice, of which parsers choose different values."""


def parse_json(text: str, name: str, *, limited: bool = True) -> object:
    """Parses a JSON text.

    Args:
        text: The text.
        name: The name of the file in messages.
        limited: Whether the limits of templates apply.

    Raises:
        TemplateError: The text is not JSON, has a duplicate key, or exceeds a limit.
    """
    try:
        content: object = json.loads(text, object_pairs_hook=_unique)
    except _DuplicateKeyError as error:
        raise TemplateError(name, f"has the key {error} twice in one mapping", "remove one of the two") from None
    except json.JSONDecodeError as error:
        raise TemplateError(name, f"is not JSON ({error.msg})", "correct this line", error.lineno) from None
    except (ValueError, RecursionError) as error:
        raise TemplateError(name, f"is not JSON ({error})", "correct the file") from None
    if limited:
        _check_limits(content, name)
    return content


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    mapping = dict(pairs)
    if len(mapping) < len(pairs):
        seen = set[str]()
        for key, _ in pairs:
            if key in seen:
                raise _DuplicateKeyError(ascii(key[:80]))
            seen.add(key)
    return mapping


def _check_limits(content: object, name: str) -> None:
    level, depth, total = [content], 0, 1
    while level:
        below: list[object] = []
        for value in level:
            if isinstance(value, dict):
                below += cast("dict[str, object]", value).values()
            elif isinstance(value, list):
                below += cast("list[object]", value)
        depth, total, level = depth + 1, total + len(below), below
        if depth > MAX_DEPTH:
            raise TemplateError(name, f"has more than {MAX_DEPTH} levels of nesting", "nest fewer levels")
        if total > MAX_VALUES:
            raise TemplateError(name, f"has more than {MAX_VALUES:,} values", "split it into nested stacks")


class JsonLines:
    """The lines of the values of a valid JSON text, each found on request."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._members: dict[int, dict[str | int, tuple[int, int]]] = {}
        """By the offset of a mapping or list: the offsets of each key and its value."""

    @cached_property
    def _line_starts(self) -> list[int]:
        return [0, *(match.end() for match in re.finditer("\n", self._text))]

    def line_of(self, key_path: KeyPath) -> int | None:
        """Returns the line of a key path, or of its nearest parent."""
        position = value = self._skip(0)
        for step in key_path:
            members = self._members.get(value)
            if members is None:
                members = self._members[value] = self._scan(value)
            if step not in members:
                break
            position, value = members[step]
        return bisect_right(self._line_starts, position)

    def _skip(self, offset: int) -> int:
        match = _WHITESPACE.match(self._text, offset)
        return offset if match is None else match.end()

    def _scan(self, offset: int) -> dict[str | int, tuple[int, int]]:
        opening = self._text[offset]
        members: dict[str | int, tuple[int, int]] = {}
        if opening not in "{[":
            return members
        offset = self._skip(offset + 1)
        while self._text[offset] not in "}]":
            key: str | int = len(members)
            start = offset
            if opening == "{":
                key, offset = _DECODER.raw_decode(self._text, offset)
                offset = self._skip(self._skip(offset) + 1)  # past the colon
            members[key] = (start, offset)
            _, offset = _DECODER.raw_decode(self._text, offset)
            offset = self._skip(offset)
            if self._text[offset] == ",":
                offset = self._skip(offset + 1)
        return members
