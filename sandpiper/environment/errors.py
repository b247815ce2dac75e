"""What is wrong with an environment file: every problem, each on a line of its own.

A line says where it is (file, line, path in the file), what is there, what is allowed, and what to do about it.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sandpiper_contract.field_types import truncate

if TYPE_CHECKING:
    from pathlib import Path

Place = tuple[str | int, ...]
"""A path in the file: keys, and indexes of lists from 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that is wrong, before it is known in which file and line."""

    place: Place
    problem: str
    allowed: str
    remedy: str
    is_unknown_key: bool = False
    rests_on: tuple[Place, ...] = ()
    """Other places that it was judged by: while one of them is wrong itself, nothing can be said. What is missing has
    the line of the first of them that is there."""
    line: int | None = None
    """Its own, where it is not the place's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong with a file; `line` counts from 1 and is None for the file as a whole."""

    file: Path
    line: int | None
    at: str
    problem: str
    allowed: str
    remedy: str

    def __str__(self) -> str:
        where = f"{self.file}" if self.line is None else f"{self.file}:{self.line}"
        return f"{where}: {self.at} {self.problem}; allowed: {self.allowed}; {self.remedy}"


class InvalidEnvironment(Exception):  # noqa: N818 - a name of the field, as the run errors of the contract are
    """An environment file that cannot be used. Its text has a line for each of its problems."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


def path_of(place: Place) -> str:
    """A place as people write it, such as `tenants.claims.interpreters.web.read[0]`."""
    path = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in place)
    return _on_one_line(path.removeprefix(".")) or "the file"


def shown(value: object) -> str:
    """A value as a message repeats it: on one line, cut when it is long."""
    try:
        return truncate(_on_one_line(str(value) if isinstance(value, datetime.date) else repr(value)))
    except (ValueError, RecursionError):  # a number with more digits than Python writes, or endless nesting
        return f"a {type(value).__name__} that is too long to show"


def _on_one_line(text: str) -> str:
    return "".join(character if character.isprintable() else "�" for character in text)
