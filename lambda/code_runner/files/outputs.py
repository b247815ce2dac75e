"""Chooses which files come back, reads them in as few calls as one answer's limit allows, and keeps them."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from code_runner.agentcore.limits import CALL_BYTES, DIRECT_BYTES, batches
from code_runner.files.discovery import Kind, find_files
from code_runner.files.errors import NotKeptError
from code_runner.files.figures import find_files_and_figures
from code_runner.files.storage import inline
from sandpiper_contract.errors import DeadlineExceeded, InvalidRequest, PayloadTooLarge, RunError, StorageError
from sandpiper_contract.files import SkippedFile, SkipReason

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from code_runner.agentcore.client import ToolCalls
    from code_runner.agentcore.deadline import Deadline
    from code_runner.files.chunked_transfer import Parts
    from code_runner.files.discovery import FoundFile, Given, Listing
    from code_runner.files.storage import Storage, Stored
    from sandpiper_contract.files import OutputFile, Outputs

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Keeper:
    """Where files go: S3, or the result itself, which has room for `inline_bytes` (None: any number)."""

    storage: Storage | None
    inline_bytes: int | None
    deadline: Deadline


@dataclass
class Collected:
    """What came back and what did not. `clock` is the sandbox's, in µs, at the time that the files were looked at."""

    files: list[OutputFile] = field(default_factory=list["OutputFile"])
    skipped: list[SkippedFile] = field(default_factory=list[SkippedFile])
    clock: int = 0

    def skip(self, file: FoundFile, reason: SkipReason) -> None:
        """Names a file that does not come back."""
        self.skipped.append(SkippedFile(file.path, file.size, reason))


def collect(session: ToolCalls, given: Mapping[str, Given], outputs: Outputs, seen: int, keeper: Keeper) -> Collected:
    """What was made or changed since `seen`, or is asked for: kept, or skipped with the reason.

    The code has run, so nothing is raised here: whatever goes wrong costs files and not the result.
    """
    collected = Collected(clock=seen)
    if not outputs.collects_files:
        return collected
    try:
        found = _listing(session, given, outputs, seen, collected)
    except RunError as error:
        log.warning("files not listed: %s: %s", type(error).__name__, error)
        collected.skipped.append(SkippedFile(".", 0, SkipReason.NOT_LISTED))
        return collected
    collected.clock = found.clock
    _note_missing(found, outputs, collected)
    chosen = choose(found.files, outputs, collected)
    for batch in batches([file for file in chosen if file.size <= CALL_BYTES]):
        for file, answer in _read_batch(session, batch):
            _keep(file, answer, outputs, keeper, collected)
    for file in chosen:
        if CALL_BYTES < file.size <= DIRECT_BYTES:
            _keep_in_parts(session, file, outputs, keeper, collected)
    if large := [file for file in chosen if file.size > DIRECT_BYTES]:
        _keep_directly(session, large, outputs, keeper, collected)
    collected.files.sort(key=lambda file: file.path)
    return collected


def _listing(
    session: ToolCalls, given: Mapping[str, Given], outputs: Outputs, seen: int, collected: Collected
) -> Listing:
    """With the figures kept before, where they are asked for and can be."""
    if outputs.figures:
        try:
            return find_files_and_figures(session, given, outputs, seen)
        except RunError as error:
            log.warning("figures not kept: %s: %s", type(error).__name__, error)
            collected.skipped.append(SkippedFile("figures", 0, SkipReason.NO_FIGURES))
    return find_files(session, given, outputs, seen)


def _note_missing(found: Listing, outputs: Outputs, collected: Collected) -> None:
    there = {file.path for file in found.files}
    for pattern in outputs.paths or ():
        if pattern.is_literal and pattern.glob not in there:
            collected.skipped.append(SkippedFile(pattern.glob, 0, SkipReason.NOT_FOUND))


def choose(files: Sequence[FoundFile], outputs: Outputs, collected: Collected) -> list[FoundFile]:
    """The files to read; the others are skipped. A large file leaves its place to a smaller one after it."""
    chosen: list[FoundFile] = []
    left = outputs.max_bytes
    for file in files:
        if reason := _reason(file, len(chosen), left, outputs):
            collected.skip(file, reason)
        else:
            chosen.append(file)
            left -= file.size
    return chosen


_BY_KIND = {
    Kind.OTHER: SkipReason.NOT_REGULAR,
    Kind.UNREADABLE: SkipReason.UNREADABLE,
    Kind.UNCHOSEN: SkipReason.NOT_CHOSEN,
    Kind.PATH_TOO_LONG: SkipReason.PATH_TOO_LONG,
    Kind.CONTROL_CHARACTERS: SkipReason.CONTROL_CHARACTERS,
}


def _reason(file: FoundFile, taken: int, bytes_left: int, outputs: Outputs) -> SkipReason | None:
    if file.kind in _BY_KIND:
        return _BY_KIND[file.kind]
    if taken >= outputs.max_files:
        return SkipReason.TOO_MANY_FILES
    if file.size > bytes_left:
        return SkipReason.TOO_MANY_BYTES
    return None


def _keep(file: FoundFile, answer: bytes | SkipReason, outputs: Outputs, keeper: Keeper, collected: Collected) -> None:
    """Checks a file's bytes against what the sandbox said of them, and keeps them."""
    if isinstance(answer, SkipReason):
        collected.skip(file, answer)
        return
    sha256 = hashlib.sha256(answer).hexdigest()
    if len(answer) != file.size or sha256 != file.sha256:
        collected.skip(file, SkipReason.CHANGED)
        return
    if keeper.storage is not None:
        try:
            kept = keeper.storage.keep(file.path, answer, sha256, keeper.deadline, outputs.link_seconds)
        except (StorageError, DeadlineExceeded) as error:
            log.warning("%s", error)
        else:
            collected.files.append(kept)
            return
    if _has_room(file, keeper, collected):
        collected.files.append(inline(file.path, answer, sha256))
    else:
        collected.skip(file, SkipReason.NOT_STORED)


def _has_room(file: FoundFile, keeper: Keeper, collected: Collected) -> bool:
    """Whether the result itself can carry the file."""
    taken = sum(len(other.base64 or b"") for other in collected.files)
    return keeper.inline_bytes is None or taken + file.size <= keeper.inline_bytes


def _keep_in_parts(session: ToolCalls, file: FoundFile, outputs: Outputs, keeper: Keeper, collected: Collected) -> None:
    """Keeps a file that is too large for one call."""
    from code_runner.files.chunked_transfer import (
        split,
    )  # here and below, so that a function's start does not pay for large files

    try:
        with split(session, file) as parts:
            collected.files.append(_kept_parts(file, parts, outputs, keeper, collected))
    except NotKeptError as error:
        collected.skip(file, error.reason)
    except RunError as error:
        log.warning("%s not read: %s: %s", file.path, type(error).__name__, error)
        collected.skip(file, SkipReason.UNREADABLE)


def _kept_parts(file: FoundFile, parts: Parts, outputs: Outputs, keeper: Keeper, collected: Collected) -> OutputFile:
    sha256 = str(file.sha256)
    if keeper.storage is not None:
        try:
            return keeper.storage.keep_parts(file.path, parts.read(), sha256, keeper.deadline, outputs.link_seconds)
        except (StorageError, DeadlineExceeded) as error:
            log.warning("%s", error)
    if not _has_room(file, keeper, collected):
        raise NotKeptError(SkipReason.NOT_STORED)
    return inline(file.path, b"".join(parts.read()), sha256)


def _keep_directly(
    session: ToolCalls, files: Sequence[FoundFile], outputs: Outputs, keeper: Keeper, collected: Collected
) -> None:
    """Keeps files that are too large for the function, where the interpreter has a role that reaches S3."""
    storage = keeper.storage
    if storage is None or storage.staging is None:
        for file in files:
            collected.skip(file, SkipReason.TOO_LARGE)
        return
    from code_runner.files import s3_transfer

    copying = storage.staging.clients.copying

    def keep(file: FoundFile, staged: Stored) -> OutputFile:
        return storage.keep_staged(file.path, staged, str(file.sha256), copying, keeper.deadline, outputs.link_seconds)

    left = list(files)
    try:
        for file, kept in s3_transfer.send(session, storage.staging, files, keep, keeper.deadline):
            left.remove(file)
            if isinstance(kept, SkipReason):
                collected.skip(file, kept)
            else:
                collected.files.append(kept)
    except RunError as error:
        log.warning("%d large files not sent: %s: %s", len(left), type(error).__name__, error)
        for file in left:
            collected.skip(file, SkipReason.UNREADABLE)


def _read_batch(session: ToolCalls, files: Sequence[FoundFile]) -> Iterator[tuple[FoundFile, bytes | SkipReason]]:
    """One call, or two halves where the service refuses the whole, so that one bad file does not cost the others."""
    answer, reason = _read_once(session, [file.path for file in files])
    if answer is None and len(files) > 1 and reason is not None:
        middle = len(files) // 2
        yield from _read_batch(session, files[:middle])
        yield from _read_batch(session, files[middle:])
        return
    for file in files:
        yield file, (answer or {}).get(file.path, reason or SkipReason.UNREADABLE)


def _read_once(session: ToolCalls, paths: list[str]) -> tuple[dict[str, bytes] | None, SkipReason | None]:
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
