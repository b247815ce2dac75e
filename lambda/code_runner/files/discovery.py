"""Finds the files that a program created or changed in the working directory, with one call."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from code_runner.agentcore.client import TOOL_TIMEOUT_SECONDS
from code_runner.sandbox_scripts.runner import parse_output, run_script, script_command
from sandpiper_contract.errors import InvalidRequest, ServiceFault
from sandpiper_contract.field_types import MAX_NUMBER, MAX_PATH_CHARACTERS, parse_relative_path
from sandpiper_contract.files import SERVICE_FILES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from code_runner.agentcore.client import CodeInterpreterClient
    from sandpiper_contract.files import Outputs

LIST_FILES = "list_files"
"""The script that lists files inside the sandbox."""
MAX_ROWS = 10_000
MAX_NAME_CHARACTERS = 4_096
SHA256_PREFIX_DIGITS = 32
"""Number of digits of an input's SHA-256 that are sent to recognise it. A prefix keeps the command short."""
MAX_COMMAND_BYTES = 120 * 1024
"""Maximum size of the script's command: Linux limits one argument of a program to 128 KiB."""
DIGEST_BYTES_PER_SECOND = 100_000_000
"""Rate at which a slow sandbox reads files for their digests. The timeout of a listing depends on it."""
_ACTION = "listing the files that the program created"


class FileKind(StrEnum):
    """The kind of a path. `other` is a link, a pipe, a socket or a device."""

    FILE = "file"
    OTHER = "other"
    NOT_REQUESTED = "not requested"
    UNREADABLE = "unreadable"
    PATH_TOO_LONG = "path too long"
    CONTROL_CHARACTERS = "control characters"


FILE_KINDS = {kind.value: kind for kind in FileKind}


@dataclass(frozen=True)
class FoundFile:
    """A path as the sandbox reports it. `size` is in bytes; `sha256` is None for files beyond the limits."""

    path: str
    size: int
    sha256: str | None
    kind: FileKind


@dataclass(frozen=True)
class WrittenInput:
    """The size and version of an input when it was written.

    Attributes:
        size: Its size in bytes.
        version: Its SHA-256, or its change time (µs, the sandbox's clock), so that files of gigabytes need not be read
            again.
    """

    size: int
    version: str | int


@dataclass(frozen=True)
class Listing:
    """Files in the order of their paths, and the sandbox's clock at the time of the listing.

    The clock is in µs, because JSON numbers cannot represent ns exactly.
    """

    files: tuple[FoundFile, ...]
    clock: int


def find_files(
    client: CodeInterpreterClient, inputs: Mapping[str, WrittenInput], outputs: Outputs, scanned_at_us: int
) -> Listing:
    """Lists files that were created or changed, or that are requested by name.

    The folders of the service itself are skipped.

    Args:
        client: The client of the session.
        inputs: Inputs by path; they are left out while they are unchanged.
        outputs: The requested files.
        scanned_at_us: The sandbox's clock, in µs, at the last listing; later changes are listed.

    Raises:
        ServiceFault: The sandbox returned no listing.
        RunError: The call failed.
    """
    task = _list_files_task(inputs, outputs, scanned_at_us)
    return _listing_from(run_script(client, _ACTION, LIST_FILES, task, listing_timeout_seconds(outputs)))


def listing_timeout_seconds(outputs: Outputs) -> float:
    """Returns the timeout of a listing in seconds."""
    return TOOL_TIMEOUT_SECONDS + outputs.max_bytes / DIGEST_BYTES_PER_SECOND


def list_files_command(inputs: Mapping[str, WrittenInput], outputs: Outputs, scanned_at_us: int) -> list[str]:
    """Returns the command, as a list of words, whose output `parse_listing` reads."""
    return script_command(LIST_FILES, _list_files_task(inputs, outputs, scanned_at_us))


def fits_in_command(inputs: Mapping[str, WrittenInput], outputs: Outputs) -> bool:
    """Returns whether the listing's command has room for all these inputs."""
    return len(shlex.join(list_files_command(inputs, outputs, 0))) <= MAX_COMMAND_BYTES


def _list_files_task(inputs: Mapping[str, WrittenInput], outputs: Outputs, scanned_at_us: int) -> dict[str, object]:
    return {
        "excluded": SERVICE_FILES,
        "inputs": {path: (file.size, _short(file.version)) for path, file in inputs.items()},
        "patterns": None if outputs.paths is None else [pattern.regex() for pattern in outputs.paths],
        "maxFiles": outputs.max_files,
        "maxBytes": outputs.max_bytes,
        "maxRows": MAX_ROWS,
        "changedSince": scanned_at_us,
    }


def _short(version: str | int) -> str | int:
    return version[:SHA256_PREFIX_DIGITS] if isinstance(version, str) else version


def parse_listing(stdout: str) -> Listing:
    """Parses the script's output strictly, because the program could forge it. Raises ServiceFault."""
    return _listing_from(parse_output(_ACTION, stdout))


def _listing_from(output: Any) -> Listing:
    match output:
        case {"clock": int(clock), "files": [*rows]} if 0 <= clock <= MAX_NUMBER and len(rows) <= MAX_ROWS + 1:
            found = map(_file_from, rows)
            return Listing(tuple({file.path: file for file in found}.values()), clock)
        case _:
            raise ServiceFault(f"{_ACTION}: the output is not a listing")


def _file_from(row: object) -> FoundFile:
    """Parses one row. A path outside the working directory is listed but never read."""
    match row:
        case [str(path), int(size), str() | None as sha256, str(kind)] if (
            0 <= size <= MAX_NUMBER and kind in FILE_KINDS
        ):
            path = path.encode("utf-8", "backslashreplace").decode()[:MAX_NAME_CHARACTERS]
            reported = FILE_KINDS[kind]
            return FoundFile(path, size, sha256, _check_path(path) if reported is FileKind.FILE else reported)
        case _:
            raise ServiceFault(f"{_ACTION}: a row is not a file")


def _check_path(path: str) -> FileKind:
    """Returns FILE, or the kind that states why a result cannot contain this path."""
    if len(path) > MAX_PATH_CHARACTERS:
        return FileKind.PATH_TOO_LONG
    try:
        parse_relative_path("path", path)
    except InvalidRequest:
        return FileKind.CONTROL_CHARACTERS
    return FileKind.FILE
