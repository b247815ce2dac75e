"""Chooses which files come back and reads them in as few calls as the service's limit for one answer allows."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sandpiper_contract.errors import PayloadTooLarge
from sandpiper_contract.result import SkippedFile, SkipReason

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from code_runner.changes import FoundFile
    from code_runner.session import CodeSession
    from sandpiper_contract.request import OutputLimits

ANSWER_BYTES = 16 * 1024 * 1024
"""File bytes asked for in one call. botocore takes events of 24 MiB, after base64: 17 MiB passed and 18 MiB did not."""


@dataclass(frozen=True)
class ReadFile:
    """A file of the program, whole."""

    path: str
    data: bytes
    sha256: str


def changed(found: Sequence[FoundFile], inputs: Mapping[str, bytes]) -> list[FoundFile]:
    """What the program made or changed: everything but inputs that are as they were given."""
    given = {path: hashlib.sha256(data).hexdigest() for path, data in inputs.items()}
    return [file for file in found if file.sha256 is None or given.get(file.path) != file.sha256]


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
    if not file.is_regular:
        return SkipReason.NOT_REGULAR
    if not file.is_readable:
        return SkipReason.UNREADABLE
    if taken >= limits.max_files:
        return SkipReason.TOO_MANY_FILES
    if file.size > bytes_left:
        return SkipReason.TOO_MANY_BYTES
    return None


def read(session: CodeSession, files: Sequence[FoundFile]) -> tuple[list[ReadFile], list[SkippedFile]]:
    """The files' bytes, checked against the digest that the sandbox took; what did not come whole is skipped."""
    kept: list[ReadFile] = []
    skipped: list[SkippedFile] = []
    for batch in _batches(files):
        for file, answer in _read_batch(session, batch):
            if isinstance(answer, SkipReason):
                skipped.append(SkippedFile(file.path, file.size, answer))
            elif (digest := hashlib.sha256(answer).hexdigest()) != file.sha256:
                skipped.append(SkippedFile(file.path, file.size, SkipReason.CHANGED))
            else:
                kept.append(ReadFile(file.path, answer, digest))
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
    try:
        answer, reason = session.read_files([file.path for file in files]), SkipReason.UNREADABLE
    except PayloadTooLarge:
        answer, reason = None, SkipReason.TOO_LARGE
    if answer is None and len(files) > 1:
        middle = len(files) // 2
        yield from _read_batch(session, files[:middle])
        yield from _read_batch(session, files[middle:])
        return
    for file in files:
        yield file, (answer or {}).get(file.path, reason)
