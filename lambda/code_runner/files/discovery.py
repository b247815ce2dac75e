"""Finds what a program left in the working directory, with one call and no listing before."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from code_runner.agentcore.client import TOOL_SECONDS
from code_runner.sandbox_scripts.runner import answer, own_command, run_inside
from sandpiper_contract.errors import InvalidRequest, ServiceFault
from sandpiper_contract.field_types import MAX_NUMBER, MAX_PATH_CHARACTERS, parse_relative_path
from sandpiper_contract.files import SERVICE_FILES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from code_runner.agentcore.client import ToolCalls
    from sandpiper_contract.files import Outputs

MOST_ROWS = 10_000
MOST_NAME_CHARACTERS = 4_096
GIVEN_DIGITS = 32
"""Of an input's SHA-256, sent to recognise it, since a command has room for little."""
MOST_COMMAND_BYTES = 120 * 1024
"""Of the lister's command: Linux takes 128 KiB in one argument of a program, which a shell's line is."""
DIGESTED_BYTES_A_SECOND = 100_000_000
"""What a slow sandbox reads for its digest, so that the listing of gigabytes is given time."""


class Kind(StrEnum):
    """What a path is; `other` is a link, a pipe, a socket or a device."""

    FILE = "file"
    OTHER = "other"
    UNCHOSEN = "unchosen"
    UNREADABLE = "unreadable"
    PATH_TOO_LONG = "path too long"
    CONTROL_CHARACTERS = "control characters"


KINDS = {kind.value: kind for kind in Kind}


@dataclass(frozen=True)
class FoundFile:
    """What the sandbox says of a path. `size` is in bytes; `sha256` is None where the limits leave the file out."""

    path: str
    size: int
    sha256: str | None
    kind: Kind


@dataclass(frozen=True)
class Given:
    """An input as it was written: its length in bytes, and its SHA-256 or when it was put there (µs, sandbox's clock).

    The time is for files of gigabytes, which are not read again only to be known.
    """

    size: int
    mark: str | int


@dataclass(frozen=True)
class Listing:
    """Files by path, and the sandbox's clock when they were looked at, in µs: JSON carries ns inexactly."""

    files: tuple[FoundFile, ...]
    clock: int


def find_files(session: ToolCalls, given: Mapping[str, Given], outputs: Outputs, seen: int) -> Listing:
    """What was made or changed since `seen` or is asked for by name, ordered by path, in one call.

    The service's own folders are not looked into. Raises ServiceFault when there is no listing, and whatever the call
    raises.
    """
    return _listing(run_inside(session, _DOING, LISTER, lister_task(given, outputs, seen), listing_seconds(outputs)))


def listing_seconds(outputs: Outputs) -> float:
    """How long a listing may take."""
    return TOOL_SECONDS + outputs.max_bytes / DIGESTED_BYTES_A_SECOND


LISTER = "list_files"
_DOING = "listing the files that the program left"


def lister_command(given: Mapping[str, Given], outputs: Outputs, seen: int) -> list[str]:
    """The command, by words, whose output `listing` reads."""
    return own_command(LISTER, lister_task(given, outputs, seen))


def can_be_told(given: Mapping[str, Given], outputs: Outputs) -> bool:
    """Whether the lister's command has room for so many inputs."""
    return len(shlex.join(lister_command(given, outputs, 0))) <= MOST_COMMAND_BYTES


def lister_task(given: Mapping[str, Given], outputs: Outputs, seen: int) -> dict[str, object]:
    """What the lister is asked for."""
    return {
        "own": SERVICE_FILES,
        "given": {path: (file.size, _short(file.mark)) for path, file in given.items()},
        "patterns": None if outputs.paths is None else [pattern.regex() for pattern in outputs.paths],
        "maxFiles": outputs.max_files,
        "maxBytes": outputs.max_bytes,
        "mostRows": MOST_ROWS,
        "seen": seen,
    }


def _short(mark: str | int) -> str | int:
    return mark[:GIVEN_DIGITS] if isinstance(mark, str) else mark


def listing(printed: str) -> Listing:
    """Reads the lister's output, strictly: the program could have forged it. Raises ServiceFault."""
    return _listing(answer(_DOING, printed))


def _listing(told: Any) -> Listing:
    match told:
        case {"clock": int(clock), "files": [*rows]} if 0 <= clock <= MAX_NUMBER and len(rows) <= MOST_ROWS + 1:
            found = map(_found, rows)
            return Listing(tuple({file.path: file for file in found}.values()), clock)
        case _:
            raise ServiceFault(f"{_DOING}: the answer is not a listing")


def _found(row: object) -> FoundFile:
    """One row. A path that leads elsewhere is only ever named."""
    match row:
        case [str(path), int(size), str() | None as sha256, str(kind)] if 0 <= size <= MAX_NUMBER and kind in KINDS:
            path = path.encode("utf-8", "backslashreplace").decode()[:MOST_NAME_CHARACTERS]
            known = KINDS[kind]
            return FoundFile(path, size, sha256, _nameable(path) if known is Kind.FILE else known)
        case _:
            raise ServiceFault(f"{_DOING}: a row is not a file")


def _nameable(path: str) -> Kind:
    """A file, or why no result can have one at this path."""
    if len(path) > MAX_PATH_CHARACTERS:
        return Kind.PATH_TOO_LONG
    try:
        parse_relative_path("path", path)
    except InvalidRequest:
        return Kind.CONTROL_CHARACTERS
    return Kind.FILE
