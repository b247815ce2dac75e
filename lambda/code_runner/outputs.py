"""Chooses which files come back and reads them in as few calls as the service's limit for one answer allows."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from code_runner.changes import Kind, find_files
from sandpiper_contract.errors import InvalidRequest, PayloadTooLarge, RunError
from sandpiper_contract.result import SkippedFile, SkipReason

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from code_runner.changes import FoundFile
    from code_runner.session import CodeSession
    from sandpiper_contract.request import OutputLimits

log = logging.getLogger(__name__)

ANSWER_BYTES = 16 * 1024 * 1024
"""File bytes asked for in one call. botocore takes events of 24 MiB, after base64: 17 MiB passed and 18 MiB did not."""


@dataclass(frozen=True)
class ReadFile:
    """A file of the program, whole."""

    path: str
    data: bytes
    sha256: str


def collect(
    session: CodeSession, inputs: Mapping[str, bytes], limits: OutputLimits
) -> tuple[list[ReadFile], list[SkippedFile]]:
    """What the program made or changed: read, or skipped with the reason.

    The code has run, so nothing is raised here: whatever goes wrong costs files and not the result.
    """
    try:
        found = find_files(session, inputs, limits)
    except RunError as error:
        log.warning("files not listed: %s: %s", type(error).__name__, error)
        return [], [SkippedFile(".", 0, SkipReason.NOT_LISTED)]
    chosen, skipped = choose(found, limits)
    files, unread = read(session, chosen)
    return files, [*skipped, *unread]


def choose(files: Sequence[FoundFile], limits: OutputLimits) -> tuple[list[FoundFile], list[SkippedFile]]:
    """The files to read and those to skip, with the reason. A large file leaves its place to a smaller one after it."""
    chosen: list[FoundFile] = []
    skipped: list[SkippedFile] = []
    left = limits.max_bytes
    for file in files:
        if reason := _reason(file, len(chosen), left, limits):
            skipped.append(SkippedFile(file.path, file.size, reason))
        else:
            chosen.append(file)
            left -= file.size
    return chosen, skipped


def _reason(file: FoundFile, taken: int, bytes_left: int, limits: OutputLimits) -> SkipReason | None:
    if file.kind is Kind.OTHER:
        return SkipReason.NOT_REGULAR
    if file.kind is Kind.UNREADABLE:
        return SkipReason.UNREADABLE
    if taken >= limits.max_files:
        return SkipReason.TOO_MANY_FILES
    if file.size > bytes_left:
        return SkipReason.TOO_MANY_BYTES
    return None


def read(session: CodeSession, files: Sequence[FoundFile]) -> tuple[list[ReadFile], list[SkippedFile]]:
    """The files' bytes, checked against what the sandbox said of them; what did not come whole is skipped."""
    kept: list[ReadFile] = []
    skipped: list[SkippedFile] = []
    for batch in _batches(files):
        for file, answer in _read_batch(session, batch):
            if isinstance(answer, SkipReason):
                skipped.append(SkippedFile(file.path, file.size, answer))
            elif len(answer) == file.size and (digest := hashlib.sha256(answer).hexdigest()) == file.sha256:
                kept.append(ReadFile(file.path, answer, digest))
            else:
                skipped.append(SkippedFile(file.path, file.size, SkipReason.CHANGED))
    return kept, skipped


def _batches(files: Sequence[FoundFile]) -> Iterator[list[FoundFile]]:
    batch: list[FoundFile] = []
    size = 0
    for file in files:
        if batch and size + file.size > ANSWER_BYTES:
            yield batch
            batch, size = [], 0
        batch.append(file)
        size += file.size
    if batch:
        yield batch


def _read_batch(session: CodeSession, files: Sequence[FoundFile]) -> Iterator[tuple[FoundFile, bytes | SkipReason]]:
    """One call, or two halves where the service refuses the whole, so that one bad file does not cost the others."""
    answer, reason = _read_once(session, [file.path for file in files])
    if answer is None and len(files) > 1 and reason is not None:
        middle = len(files) // 2
        yield from _read_batch(session, files[:middle])
        yield from _read_batch(session, files[middle:])
        return
    for file in files:
        yield file, (answer or {}).get(file.path, reason or SkipReason.UNREADABLE)


def _read_once(session: CodeSession, paths: list[str]) -> tuple[dict[str, bytes] | None, SkipReason | None]:
    """The answer, or why a smaller question may have one; neither when no question has."""
    try:
        return session.read_files(paths), SkipReason.UNREADABLE
    except PayloadTooLarge:
        return None, SkipReason.TOO_LARGE
    except InvalidRequest:
        return None, SkipReason.UNREADABLE
    except RunError as error:
        log.warning("%d files not read: %s: %s", len(paths), type(error).__name__, error)
        return None, None
