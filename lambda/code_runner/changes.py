"""Finds what a program left in the working directory, with one call and no listing before."""

from __future__ import annotations

import base64
import json
import shlex
import zlib
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from sandpiper_contract.errors import InvalidRequest, ServiceFault
from sandpiper_contract.files import SERVICE_OWN
from sandpiper_contract.kinds import relative_path

if TYPE_CHECKING:
    from collections.abc import Mapping

    from code_runner.tool_calls import ToolCalls
    from sandpiper_contract.files import Outputs

MOST_ROWS = 10_000
MARK = "sandpiper-files:"
MOST_NAME_CHARACTERS = 4_096
GIVEN_DIGITS = 32
"""Of an input's SHA-256, sent to recognise it: a command's text has room for 128 KiB."""


class Kind(StrEnum):
    """What a path is; `other` is a link, a pipe, a socket or a device."""

    FILE = "file"
    OTHER = "other"
    UNCHOSEN = "unchosen"
    UNREADABLE = "unreadable"


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
    """An input as it was written: its length in bytes and its SHA-256."""

    size: int
    sha256: str


@dataclass(frozen=True)
class Listing:
    """Files by path, and the sandbox's clock when they were looked at, in µs: JSON carries ns inexactly."""

    files: tuple[FoundFile, ...]
    clock: int


@cache
def _lister() -> str:
    return (Path(__file__).parent / "lister.py").read_text()


def find_files(session: ToolCalls, given: Mapping[str, Given], outputs: Outputs, seen: int) -> Listing:
    """What was made or changed since `seen` or is asked for by name, ordered by path, in one call.

    The service's own folders are not looked into. Raises ServiceFault when there is no listing, and whatever the call
    raises.
    """
    outcome = session.execute_own_command(shlex.join(lister_command(given, outputs, seen)))
    if outcome.exit_code:
        raise ServiceFault(f"{_DOING}: exit code {outcome.exit_code}")
    return listing(outcome.stdout)


_DOING = "listing the files that the program left"


def lister_command(given: Mapping[str, Given], outputs: Outputs, seen: int) -> list[str]:
    """The command, by words, whose output `listing` reads."""
    task = {
        "own": SERVICE_OWN,
        "given": {path: (file.size, file.sha256[:GIVEN_DIGITS]) for path, file in given.items()},
        "patterns": None if outputs.paths is None else [pattern.expression() for pattern in outputs.paths],
        "maxFiles": outputs.max_files,
        "maxBytes": outputs.max_bytes,
        "mostRows": MOST_ROWS,
        "seen": seen,
        "mark": MARK,
    }
    packed = base64.b85encode(zlib.compress(json.dumps(task).encode())).decode()
    return ["python3", "-I", "-c", _lister(), packed]


def listing(printed: str) -> Listing:
    """Reads the lister's output, strictly: the program could have forged it. Raises ServiceFault."""
    try:
        answer = json.loads(printed.rpartition(MARK)[2])
    except (ValueError, RecursionError):
        answer = None
    match answer:
        case {"clock": int(clock), "files": [*rows]} if clock >= 0 and len(rows) <= MOST_ROWS + 1:
            found = map(_found, rows)
            return Listing(tuple({file.path: file for file in found}.values()), clock)
        case _:
            raise ServiceFault(f"{_DOING}: the answer is not a listing")


def _found(row: object) -> FoundFile:
    """One row. A path that leads elsewhere is only ever named."""
    match row:
        case [str(path), int(size), str() | None as sha256, str(kind)] if size >= 0 and kind in KINDS:
            path = path.encode("utf-8", "backslashreplace").decode()[:MOST_NAME_CHARACTERS]
            return FoundFile(path, size, sha256, KINDS[kind] if _can_be_named(path) else Kind.UNREADABLE)
        case _:
            raise ServiceFault(f"{_DOING}: a row is not a file")


def _can_be_named(path: str) -> bool:
    try:
        relative_path("path", path)
    except InvalidRequest:
        return False
    return True
