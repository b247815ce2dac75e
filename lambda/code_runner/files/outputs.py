"""Collects output files: selects them, reads them in as few calls as possible and stores them."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from code_runner.agentcore.concurrency import map_concurrently
from code_runner.agentcore.limits import BATCH_BYTES, FUNCTION_TRANSFER_BYTES, batches
from code_runner.files.batch_reading import read_batch
from code_runner.files.discovery import FileKind, find_files
from code_runner.files.errors import FileSkipped
from code_runner.files.figures import save_open_figures
from code_runner.files.storage import inline_file
from sandpiper_contract.errors import DeadlineExceeded, RunError, ServiceFault, StorageError
from sandpiper_contract.files import SkippedFile, SkipReason

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from code_runner.agentcore.client import CodeInterpreterClient
    from code_runner.files.chunked_transfer import Chunks
    from code_runner.files.discovery import FoundFile, Listing, WrittenInput
    from code_runner.files.storage import Storage
    from sandpiper_contract.files import OutputFile, Outputs

log = logging.getLogger(__name__)

_KIND_REASONS = {
    FileKind.OTHER: SkipReason.NOT_REGULAR,
    FileKind.UNREADABLE: SkipReason.UNREADABLE,
    FileKind.NOT_REQUESTED: SkipReason.NOT_REQUESTED,
    FileKind.PATH_TOO_LONG: SkipReason.PATH_TOO_LONG,
    FileKind.CONTROL_CHARACTERS: SkipReason.CONTROL_CHARACTERS,
    FileKind.NO_FIGURE: SkipReason.NO_FIGURES,
}


@dataclass(frozen=True)
class OutputSink:
    """The destination of outputs: S3, or the result with at most `inline_bytes` of content (None: no limit)."""

    storage: Storage | None
    inline_bytes: int | None


@dataclass
class CollectedOutputs:
    """The collected and skipped files. `clock` is the sandbox's clock at the listing, in µs."""

    files: list[OutputFile] = field(default_factory=list["OutputFile"])
    skipped: list[SkippedFile] = field(default_factory=list[SkippedFile])
    clock: int = 0

    def skip(self, file: FoundFile, reason: SkipReason) -> None:
        """Adds a skipped file."""
        self.skipped.append(SkippedFile(file.path, file.size, reason))


def collect(
    client: CodeInterpreterClient,
    inputs: Mapping[str, WrittenInput],
    outputs: Outputs,
    scanned_at_us: int,
    sink: OutputSink,
    figures: str | None = None,
) -> CollectedOutputs:
    """Collects the files that were created or changed, or that are requested by name.

    The code has already run, so errors are not raised: the affected files are skipped and the result is returned.

    Args:
        client: The client of the session.
        inputs: Inputs by path; they are left out while they are unchanged.
        outputs: The requested files and the limits.
        scanned_at_us: The sandbox's clock, in µs, at the last listing; later changes are collected.
        sink: The destination of the files.
        figures: The folder that the figures of the program were saved to; None if no program has just run.
    """
    collected = CollectedOutputs(clock=scanned_at_us)
    if not outputs.collects_files:
        return collected
    if outputs.figures and figures is None:
        figures = _open_figures(client, collected)
    listing = _list(client, inputs, outputs, scanned_at_us, figures)
    if listing is None:
        collected.skipped.append(SkippedFile(".", 0, SkipReason.NOT_LISTED))
        return collected
    collected.clock = listing.clock
    _skip_missing(listing, outputs, collected)
    selected = select_files(listing.files, outputs, collected)
    listed = [(file, file.content) for file in selected if file.content is not None]
    _store_contents(client, listed, outputs, sink, collected)
    remaining = [file for file in selected if file.content is None]
    if sink.storage is not None and sum(file.size for file in remaining) > BATCH_BYTES:
        remaining = _upload(client, remaining, outputs, sink.storage, collected)
    _store_through_function(client, remaining, outputs, sink, collected)
    order = {file.path: number for number, file in enumerate(selected)}
    collected.files.sort(key=lambda file: order[file.path])
    return collected


def _list(
    client: CodeInterpreterClient,
    inputs: Mapping[str, WrittenInput],
    outputs: Outputs,
    scanned_at_us: int,
    figures: str | None,
) -> Listing | None:
    """Lists the files with a command, or with the service's own tools if the session prevents the command.

    Returns None if the files cannot be listed.
    """
    try:
        return find_files(client, inputs, outputs, scanned_at_us, figures)
    except RunError as error:
        log.warning("files not listed by a command: %s: %s", type(error).__name__, error)
        if not _is_prevented(error):
            return None
    from code_runner.files.tool_listing import find_files_with_tools  # imported here to keep cold starts fast

    try:
        return find_files_with_tools(client, inputs, outputs, scanned_at_us, figures=figures is not None)
    except RunError as error:
        log.warning("files not listed: %s: %s", type(error).__name__, error)
        return None


def _is_prevented(error: RunError) -> bool:
    """Returns whether a command did not end in time, or failed in the session and not because of the service."""
    return isinstance(error, DeadlineExceeded) or (isinstance(error, ServiceFault) and error.__cause__ is None)


def _open_figures(client: CodeInterpreterClient, collected: CollectedOutputs) -> str | None:
    """Saves the figures that are open in the interpreter, and skips them if that fails."""
    try:
        return save_open_figures(client)
    except RunError as error:
        log.warning("figures not saved: %s: %s", type(error).__name__, error)
        collected.skipped.append(SkippedFile("figures", 0, SkipReason.NO_FIGURES))
        return None


def _upload(
    client: CodeInterpreterClient,
    files: Sequence[FoundFile],
    outputs: Outputs,
    storage: Storage,
    collected: CollectedOutputs,
) -> list[FoundFile]:
    """Lets the sandbox send files to S3. Returns the files that were not stored."""
    from code_runner.files import s3_transfer  # imported here to keep cold starts fast

    remaining: list[FoundFile] = []
    for file, status in zip(files, s3_transfer.upload(client, storage, files), strict=True):
        if status is None:
            stored = storage.output_file(file.path, file.size, str(file.sha256), outputs.link_seconds)
            collected.files.append(stored)
        elif status in s3_transfer.UPLOAD_REASONS:
            collected.skip(file, s3_transfer.UPLOAD_REASONS[status])
        else:
            log.warning("%s not sent to S3 by the session: %s", file.path, status)
            remaining.append(file)
    return remaining


def _store_through_function(
    client: CodeInterpreterClient,
    files: Sequence[FoundFile],
    outputs: Outputs,
    sink: OutputSink,
    collected: CollectedOutputs,
) -> None:
    for batch in batches([file for file in files if file.size <= BATCH_BYTES]):
        read = zip(batch, read_batch(client, [file.path for file in batch]), strict=True)
        _store_contents(client, [(file, content) for file, (_, content) in read], outputs, sink, collected)
    for file in files:
        if file.size > FUNCTION_TRANSFER_BYTES:
            collected.skip(file, SkipReason.TOO_LARGE)
        elif file.size > BATCH_BYTES:
            _store_in_chunks(client, file, outputs, sink, collected)


def _skip_missing(listing: Listing, outputs: Outputs, collected: CollectedOutputs) -> None:
    listed = {file.path for file in listing.files}
    for pattern in outputs.paths or ():
        if pattern.is_literal and pattern.glob not in listed:
            collected.skipped.append(SkippedFile(pattern.glob, 0, SkipReason.NOT_FOUND))


def select_files(files: Sequence[FoundFile], outputs: Outputs, collected: CollectedOutputs) -> list[FoundFile]:
    """Returns the files to read and skips the others. After a file that is too large, a smaller one may be selected."""
    selected: list[FoundFile] = []
    bytes_left = outputs.max_bytes
    for file in files:
        if reason := _skip_reason(file, len(selected), bytes_left, outputs):
            collected.skip(file, reason)
        else:
            selected.append(file)
            bytes_left -= file.size
    return selected


def _skip_reason(file: FoundFile, selected: int, bytes_left: int, outputs: Outputs) -> SkipReason | None:
    if file.kind in _KIND_REASONS:
        return _KIND_REASONS[file.kind]
    if selected >= outputs.max_files:
        return SkipReason.TOO_MANY_FILES
    if file.size > bytes_left:
        return SkipReason.TOO_MANY_BYTES
    return None if file.sha256 else SkipReason.UNREADABLE  # the listing has the digest of every file within the limits


def _store_contents(
    client: CodeInterpreterClient,
    contents: Sequence[tuple[FoundFile, bytes | SkipReason]],
    outputs: Outputs,
    sink: OutputSink,
    collected: CollectedOutputs,
) -> None:
    """Verifies the contents against the listing and stores them, several at the same time."""

    def put(item: tuple[FoundFile, bytes | SkipReason]) -> OutputFile | SkipReason | None:
        file, content = item
        if isinstance(content, SkipReason):
            return content
        sha256 = hashlib.sha256(content).hexdigest()
        if len(content) != file.size or sha256 != file.sha256:
            return SkipReason.CHANGED
        if sink.storage is None:
            return None
        try:
            return sink.storage.put_output(file.path, content, sha256, client.deadline, outputs.link_seconds)
        except (StorageError, DeadlineExceeded) as error:
            log.warning("%s", error)
            return None

    for (file, content), stored in zip(contents, map_concurrently(put, contents), strict=True):
        if isinstance(stored, SkipReason):
            collected.skip(file, stored)
        elif stored is not None:
            collected.files.append(stored)
        elif isinstance(content, bytes) and _fits_inline(file, sink, collected):
            collected.files.append(inline_file(file.path, content, str(file.sha256)))
        else:
            collected.skip(file, SkipReason.NOT_STORED)


def _fits_inline(file: FoundFile, sink: OutputSink, collected: CollectedOutputs) -> bool:
    """Returns whether the result has room for the file's content."""
    used = sum(len(other.base64 or b"") for other in collected.files)
    return sink.inline_bytes is None or used + file.size <= sink.inline_bytes


def _store_in_chunks(
    client: CodeInterpreterClient, file: FoundFile, outputs: Outputs, sink: OutputSink, collected: CollectedOutputs
) -> None:
    """Stores a file that is too large for one call."""
    from code_runner.files.chunked_transfer import split  # imported here to keep cold starts fast

    try:
        with split(client, file) as chunks:
            collected.files.append(_store_chunks(client, file, chunks, outputs, sink, collected))
    except FileSkipped as error:
        collected.skip(file, error.reason)
    except RunError as error:
        log.warning("%s not read: %s: %s", file.path, type(error).__name__, error)
        collected.skip(file, SkipReason.UNREADABLE)


def _store_chunks(
    client: CodeInterpreterClient,
    file: FoundFile,
    chunks: Chunks,
    outputs: Outputs,
    sink: OutputSink,
    collected: CollectedOutputs,
) -> OutputFile:
    sha256 = str(file.sha256)
    if sink.storage is not None:
        try:
            return sink.storage.put_output_chunks(
                file.path, chunks.read(), sha256, client.deadline, outputs.link_seconds
            )
        except (StorageError, DeadlineExceeded) as error:
            log.warning("%s", error)
    if not _fits_inline(file, sink, collected):
        raise FileSkipped(SkipReason.NOT_STORED)
    return inline_file(file.path, b"".join(chunks.read()), sha256)
