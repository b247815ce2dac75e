"""Contains the issues of an environment file and the exception that carries them.

Each issue is one line: location (file, line, key path), problem, allowed values and remedy.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, cast

from sandpiper.errors import CliError
from sandpiper_contract.truncation import MAX_SHOWN_CHARACTERS, truncate

if TYPE_CHECKING:
    from pathlib import Path

MAX_SHOWN_ISSUES = 50
KeyPath = tuple[str | int, ...]
"""The path of an option in the file: mapping keys, and list indexes from 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigIssue:
    """One problem of an environment file, or of the flags that would write one."""

    key_path: KeyPath
    problem: str
    allowed: str
    remedy: str
    file: Path | None = None
    line: int | None = None
    """Counts from 1. None for the file as a whole, and until `locate_issues` adds the line of `key_path`."""
    is_unknown_key: bool = False
    depends_on: tuple[KeyPath, ...] = ()
    """Other options that the check read. The issue is dropped if one of them is invalid. If `key_path` is missing from
    the file, the issue gets the line of the first of them that is in the file."""

    @property
    def at(self) -> str:
        """The key path as text, such as `tenants.claims.interpreters.web.read[0]`."""
        return format_key_path(self.key_path)

    def __str__(self) -> str:
        location = str(self.file) if self.line is None else f"{self.file}:{self.line}"
        return f"{location}: {self.message(self.at)}"

    def message(self, subject: str) -> str:
        """Returns problem, allowed values and remedy of a subject, such as a key path or a flag."""
        return f"{subject} {self.problem}; allowed: {self.allowed}; {self.remedy}"


class InvalidEnvironment(CliError):  # noqa: N818 - named like the run errors of the contract
    """Raised for an environment file that cannot be used.

    The text has one line for each of the first 50 issues, and the number of the others.

    Args:
        issues: The issues.
        omitted: The number of further problems that are not in `issues`.
    """

    def __init__(self, *issues: ConfigIssue, omitted: int = 0) -> None:
        lines = [str(issue) for issue in issues[:MAX_SHOWN_ISSUES]]
        if more := len(issues) - len(lines) + omitted:
            lines.append(f"and {more:,} more problems")
        super().__init__("\n".join(lines))
        self.issues = issues


def format_key_path(key_path: KeyPath) -> str:
    """Returns a key path as text, such as `tenants.claims.interpreters.web.read[0]`."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{truncate(step)}" for step in key_path)
    return _on_one_line(text.removeprefix(".")) or "the file"


def format_value(value: object) -> str:
    """Returns a value as a message quotes it: on one line, truncated if it is long."""
    try:
        return truncate(_on_one_line(str(value) if isinstance(value, datetime.date) else repr(_head(value))))
    except (ValueError, RecursionError):  # more digits than Python converts to text, or a value that contains itself
        return f"a value of type {type(value).__name__} that is too long to show"


def _head(value: object) -> object:
    """Returns the part of a value that a message can show, because the whole can have megabytes."""
    if isinstance(value, str):
        return value[:MAX_SHOWN_CHARACTERS]
    if isinstance(value, list):
        return [_head(item) for item in cast("list[object]", value)[:MAX_SHOWN_CHARACTERS]]
    if isinstance(value, dict):
        items = islice(cast("dict[object, object]", value).items(), MAX_SHOWN_CHARACTERS)
        return {_head(key): _head(item) for key, item in items}
    return value


def _on_one_line(text: str) -> str:
    return "".join(character if character.isprintable() else "�" for character in text)
