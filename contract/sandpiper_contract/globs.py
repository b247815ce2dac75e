"""Glob patterns for paths, and their field type."""

# ruff: noqa: D102 - FieldType documents the methods of every field type
from __future__ import annotations

import re
from dataclasses import dataclass

from sandpiper_contract.field_types import RelativePath
from sandpiper_contract.invalid_values import require_instance


@dataclass(frozen=True)
class Pattern:
    """A glob pattern for paths.

    `*` and `?` match within a folder, `**/` matches any number of folders, and `[…]` or `[!…]` matches one character.
    Names that begin with a dot are not special.
    """

    glob: str

    @property
    def is_literal(self) -> bool:
        """Whether the pattern matches exactly one path. If that file does not exist, it is reported as skipped."""
        return self.regex() == re.escape(self.glob)

    def regex(self) -> str:
        """Returns the pattern as a regular expression for a full match, for Python 3.10 or later with DOTALL.

        Example:
            >>> Pattern("out/*").regex()
            'out/[^/]*'
        """
        *folders, last = self.glob.split("/")
        steps = [step for step, before in zip(folders, ["", *folders], strict=False) if not step == before == "**"]
        folder_regex = "".join("(?:[^/]+/)*" if step == "**" else f"{_segment(step)}/" for step in steps)
        return folder_regex + (".+" if last == "**" else _segment(last))


_PARTS = re.compile(r"\*+|\?|\[(?:(?P<not>!)|(?!!))(?P<set>.[^]]*)]|.", re.DOTALL)
_RANGES = re.compile(r"(.)-(.)|(.)", re.DOTALL)


def _segment(glob: str) -> str:
    """Returns the regular expression of one part of a path, with the rules of fnmatch."""
    return "".join(map(_translate, _PARTS.finditer(glob)))


def _translate(part: re.Match[str]) -> str:
    if part["set"] is None:
        return {"*": "[^/]*", "?": "[^/]"}.get(part[0][0], re.escape(part[0]))
    ranges = [(first or single, last or single) for first, last, single in _RANGES.findall(part["set"])]
    character_class = "".join(f"{re.escape(first)}-{re.escape(last)}" for first, last in ranges if first <= last)
    if part["not"]:
        return f"[^/{character_class}]"
    return f"[{character_class}]" if character_class else "(?!)"


class Glob:
    """The field type of a glob pattern."""

    def parse(self, location: str, value: object) -> Pattern:
        return Pattern(RelativePath().parse(location, value))

    def validate(self, location: str, value: object) -> Pattern:
        return self.parse(location, require_instance(location, value, Pattern).glob)

    def serialize(self, value: Pattern) -> object:
        return value.glob

    def schema(self) -> dict[str, object]:
        return RelativePath().schema()
