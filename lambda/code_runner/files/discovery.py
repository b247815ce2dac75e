"""Finds the files that a program created or changed in the working directory and reads small ones, with one call."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from code_runner.agentcore.limits import LISTED_CONTENT_BYTES
from code_runner.agentcore.tool_invoker import TOOL_TIMEOUT_SECONDS
from code_runner.sandbox_scripts.runner import MAX_COMMAND_BYTES, run_script, script_command
from sandpiper_contract.errors import InvalidRequest, ServiceFault
from sandpiper_contract.field_types import MAX_NUMBER, MAX_PATH_CHARACTERS, PATH_PATTERN, parse_relative_path
from sandpiper_contract.files import CACHE_FOLDERS, SERVICE_FILES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from code_runner.agentcore.client import CodeInterpreterClient
    from sandpiper_contract.files import Outputs

LIST_FILES = "list_files"
"""The script that lists files inside the sandbox."""
MAX_ROWS = 10_000
MAX_ROW_BYTES = 4 * 1024 * 1024
"""Maximum total size of the rows without content: the service returns the listing twice, in an event of 24 MiB."""
MAX_NAME_CHARACTERS = 4_096
SHA256 = re.compile(r"[0-9a-f]{64}")
SHA256_PREFIX_DIGITS = 32
"""Number of digits of an input's SHA-256 that are sent to recognize it. A prefix keeps the command short."""
DIGEST_BYTES_PER_SECOND = 100_000_000
"""Rate at which a slow sandbox reads files for their digests. The timeout of a listing depends on it."""
_ACTION = "listing the files that the program created"


class FileKind(StrEnum):
    """The kind of a path. `other` is a link, a pipe, a socket or a device; `no figure` is a figure without a file."""

    FILE = "file"
    OTHER = "other"
    NOT_REQUESTED = "not requested"
    UNREADABLE = "unreadable"
    PATH_TOO_LONG = "path too long"
    CONTROL_CHARACTERS = "control characters"
    NO_FIGURE = "no figure"


FILE_KINDS = {kind.value: kind for kind in FileKind}


@dataclass(frozen=True)
class FoundFile:
    """A path as the sandbox reports it.

    Attributes:
        path: The path relative to the working directory.
        size: The size in bytes.
        sha256: The SHA-256 in hexadecimal; None for files beyond the limits.
        kind: The kind of the path.
        content: The content of a small file within the limits.
    """

    path: str
    size: int
    sha256: str | None
    kind: FileKind
    content: bytes | None = None


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
    """Files in the order of `order_key`, and the sandbox's clock at the time of the listing.

    The clock is in µs, because JSON numbers cannot represent ns exactly.
    """

    files: tuple[FoundFile, ...]
    clock: int


def find_files(
    client: CodeInterpreterClient,
    inputs: Mapping[str, WrittenInput],
    outputs: Outputs,
    scanned_at_us: int,
    figures: str | None = None,
) -> Listing:
    """Lists files that were created or changed, or that are requested by name.

    Folders of the service itself and cache folders that are not requested are skipped.

    Args:
        client: The client of the session.
        inputs: Inputs by path; they are left out while they are unchanged.
        outputs: The requested files.
        scanned_at_us: The sandbox's clock, in µs, at the last listing; later changes are listed.
        figures: The folder that figures were saved to. They are moved to the working directory first.

    Raises:
        ServiceFault: The sandbox returned no listing.
        RunError: The call failed.
    """
    task = _list_files_task(inputs, outputs, scanned_at_us, figures)
    seconds = TOOL_TIMEOUT_SECONDS + outputs.max_bytes / DIGEST_BYTES_PER_SECOND
    # The program may prevent every command, so that time must be left to collect the files without one.
    seconds = min(seconds, client.seconds_left / 2)
    return parse_listing(run_script(client, _ACTION, LIST_FILES, task, seconds))


def fits_in_command(inputs: Mapping[str, WrittenInput], outputs: Outputs) -> bool:
    """Returns whether the listing's command has room for all these inputs."""
    return len(script_command(LIST_FILES, _list_files_task(inputs, outputs, 0, None))) <= MAX_COMMAND_BYTES


def _list_files_task(
    inputs: Mapping[str, WrittenInput], outputs: Outputs, scanned_at_us: int, figures: str | None
) -> dict[str, object]:
    return {
        "excluded": SERVICE_FILES,
        "caches": unnamed_caches(outputs),
        "inputs": {path: (file.size, _short(file.version)) for path, file in inputs.items()},
        "patterns": None if outputs.paths is None else [pattern.regex() for pattern in outputs.paths],
        "maxFiles": outputs.max_files,
        "maxBytes": outputs.max_bytes,
        "path": f"{PATH_PATTERN}\\Z",
        "maxPath": MAX_PATH_CHARACTERS,
        "maxRows": MAX_ROWS,
        "maxRowBytes": MAX_ROW_BYTES,
        "contentBytes": LISTED_CONTENT_BYTES,
        "changedSince": scanned_at_us,
        "figures": figures,
    }


def unnamed_caches(outputs: Outputs) -> list[str]:
    """Returns the names of the cache folders that are not searched, because no pattern contains them."""
    named = "\n".join(pattern.glob for pattern in outputs.paths or ())
    return [folder for folder in CACHE_FOLDERS if folder not in named]


def _short(version: str | int) -> str | int:
    return version[:SHA256_PREFIX_DIGITS] if isinstance(version, str) else version


def parse_listing(output: Any) -> Listing:
    """Parses the script's output strictly, because the program could forge it. Raises ServiceFault."""
    match output:
        case {"clock": int(clock), "files": [*rows]} if 0 <= clock <= MAX_NUMBER and len(rows) <= MAX_ROWS + 1:
            found = map(_file_from, rows)
            return Listing(tuple({file.path: file for file in found}.values()), clock)
        case _:
            raise ServiceFault(f"{_ACTION}: the output is not a listing")


def _file_from(row: object) -> FoundFile:
    """Parses one row. A path outside the working directory is listed but never read."""
    match row:
        case [str(path), int(size), str() | None as sha256, str(kind), str() | None as content] if (
            0 <= size <= MAX_NUMBER and kind in FILE_KINDS and (sha256 is None or SHA256.fullmatch(sha256))
        ):
            path = path.encode("utf-8", "backslashreplace").decode()[:MAX_NAME_CHARACTERS]
            reported = FILE_KINDS[kind]
            checked = kind_of_path(path) if reported is FileKind.FILE else reported
            return FoundFile(path, size, sha256, checked, _decode(content))
        case _:
            raise ServiceFault(f"{_ACTION}: a row is not a file")


def _decode(content: str | None) -> bytes | None:
    try:
        return None if content is None else base64.b64decode(content, validate=True)
    except ValueError:
        raise ServiceFault(f"{_ACTION}: a content is not base64") from None


def kind_of_path(path: str) -> FileKind:
    """Returns FILE, or the kind that states why a result cannot contain this path."""
    if len(path) > MAX_PATH_CHARACTERS:
        return FileKind.PATH_TOO_LONG
    try:
        parse_relative_path("path", path)
    except InvalidRequest:
        return FileKind.CONTROL_CHARACTERS
    return FileKind.FILE
