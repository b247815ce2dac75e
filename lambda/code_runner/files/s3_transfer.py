"""Transfers files directly between a sandbox and S3, with one command for all files.

The sandbox needs no permissions: the function gives it a presigned URL for each file. What the sandbox reports is not
trusted: an output exists only if S3 confirms it.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
from base64 import b64encode
from typing import TYPE_CHECKING, Any

from code_runner.agentcore.concurrency import map_concurrently
from code_runner.agentcore.tool_invoker import MAX_CALL_SECONDS, MIN_REMAINING_SECONDS
from code_runner.files.chunked_transfer import TRANSFER
from code_runner.files.content_types import content_type
from code_runner.files.discovery import WrittenInput
from code_runner.files.presigned_urls import shortened
from code_runner.sandbox_scripts.runner import MAX_COMMAND_BYTES, run_script, script_command
from sandpiper_contract.errors import InvalidRequest, RunError, ServiceFault, StorageError
from sandpiper_contract.files import SkipReason

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from code_runner.agentcore.client import CodeInterpreterClient
    from code_runner.files.discovery import FoundFile
    from code_runner.files.input_sources import Source
    from code_runner.files.storage import Storage

log = logging.getLogger(__name__)

SENT_SHA256_DIGITS = 16
"""Number of digits of a file's SHA-256 by which the sandbox recognizes that the file changed. The signature of the URL
covers the whole digest."""
STOP_SECONDS = 10
"""The script stops this long before its call times out, so that it can return what it transferred."""
MAX_CONTENT_BYTES = 64 * 1024
"""Maximum size of the contents in a command of downloads."""
CHANGED = "changed"
UNREADABLE = "unreadable"
UNREACHABLE = "unreachable"
"""The session cannot connect to S3. Nothing was sent."""
FAILED = "failed"
UPLOAD_REASONS = {CHANGED: SkipReason.CHANGED, UNREADABLE: SkipReason.UNREADABLE}
"""The reason for each status of an upload that no other transfer would change."""


def upload(client: CodeInterpreterClient, storage: Storage, files: Sequence[FoundFile]) -> list[str | None]:
    """Sends files to the run's folder, with as few commands as their URLs need: one for about a thousand files.

    Returns:
        For each file None if it is in S3, or the status of the script.
    """
    seconds = _seconds(client)
    rows: Rows = []
    for file in files:
        row = [file.path, file.size, str(file.sha256)[:SENT_SHA256_DIGITS], content_type(file.path)]
        try:
            rows.append((row, storage.put_url(file.path, file.size, str(file.sha256), seconds)))
        except StorageError as error:
            log.warning("%s", error)
    statuses: dict[str, object] = {}
    for batch in _command_batches("upload", rows):
        paths = [row[0] for row, _ in batch]
        try:
            reported = _run(client, f"sending {len(batch)} files to S3", "upload", batch)
        except RunError as error:  # some of the files may have been stored
            log.warning("%d files not sent: %s: %s", len(batch), type(error).__name__, error)
            reported = [FAILED] * len(batch)
        statuses |= zip(paths, reported, strict=True)

    def status(file: FoundFile) -> str | None:
        reported = str(statuses.get(file.path, FAILED))
        may_be_stored = reported not in {CHANGED, UNREADABLE, UNREACHABLE} and file.path in statuses
        return None if may_be_stored and storage.has_output(file.path, file.size, str(file.sha256)) else reported

    return map_concurrently(status, files)


def download(
    client: CodeInterpreterClient, storage: Storage, sources: Sequence[Source]
) -> tuple[dict[str, WrittenInput], dict[str, str]]:
    """Writes inputs, with as few commands as their URLs need. Small contents of the request are part of the command.

    Returns:
        The written inputs by path, and the status of the script for the paths of objects that could not be read.

    Raises:
        StorageError: An object has changed.
        InvalidRequest: A file cannot be written to its path.
        RunError: The call failed.
    """
    seconds = _seconds(client)
    contents = [(source, source.content) for source in sources if isinstance(source.content, bytes)]
    objects = [(source, source.content) for source in sources if not isinstance(source.content, bytes)]
    rows = [([source.path, source.size, at.etag], storage.get_url(at, seconds)) for source, at in objects]
    small = [[source.path, b64encode(data).decode()] for source, data in contents]
    written = {s.path: WrittenInput(s.size, hashlib.sha256(data).hexdigest()) for s, data in contents}
    failed: dict[str, str] = {}
    by_path = {source.path: source for source in sources}
    for batch in _command_batches("download", rows, small):
        reported = _run(client, f"fetching {len(batch)} inputs from S3", "download", batch, small)
        paths = [path for path, _ in small] + [row[0] for row, _ in batch]
        small = []
        for path, result in zip(paths, reported, strict=True):
            source = by_path[path]
            if result == CHANGED:
                raise StorageError(f"{source.location}: the object changed while it was read; run it again")
            if str(result).startswith("unwritable"):
                raise InvalidRequest(f"{source.location}: {path} cannot be written: {result}; correct the path")
            if isinstance(result, int):
                written.setdefault(path, WrittenInput(source.size, result))
            else:
                failed[path] = str(result)
    return written, failed


def fits_in_download(sources: Sequence[Source]) -> bool:
    """Returns whether the contents that the request itself contains fit in a command of downloads."""
    return sum(source.size for source in sources if isinstance(source.content, bytes)) <= MAX_CONTENT_BYTES


def _seconds(client: CodeInterpreterClient) -> float:
    return min(MAX_CALL_SECONDS, client.deadline.seconds_left)


Rows = list[tuple[list[Any], str]]
"""Rows of the script and their URLs."""


def _task(operation: str, rows: Rows, contents: list[list[str]], seconds: float) -> dict[str, Any]:
    folder = f".sandpiper-{secrets.token_hex(8)}"
    files, urls = [row for row, _ in rows], [url for _, url in rows]
    task = {"operation": operation, "seconds": seconds, "files": files, **shortened(urls)}
    return task if operation == "upload" else task | {"folder": folder, "contents": contents}


def _command_batches(operation: str, rows: Rows, contents: Sequence[list[str]] = ()) -> Iterator[Rows]:
    """Groups rows so that each command is short enough. The first batch has room for the contents."""
    command = script_command(TRANSFER, _task(operation, rows, list(contents), 0))
    if len(command) <= MAX_COMMAND_BYTES or len(rows) <= 1:
        if rows or contents:
            yield rows
        return
    middle = len(rows) // 2
    yield from _command_batches(operation, rows[:middle], contents)
    yield from _command_batches(operation, rows[middle:])


def _run(
    client: CodeInterpreterClient, action: str, operation: str, rows: Rows, contents: Sequence[list[str]] = ()
) -> list[object]:
    """Runs the script and returns a result for each of the contents and rows. Raises RunError."""
    seconds = max(_seconds(client) - STOP_SECONDS, MIN_REMAINING_SECONDS)
    output = run_script(client, action, TRANSFER, _task(operation, rows, list(contents), seconds), MAX_CALL_SECONDS)
    match output:
        case [*each] if len(each) == len(rows) + len(contents):
            return each
        case _:
            raise ServiceFault(f"{action}: the script's output does not match the files")
