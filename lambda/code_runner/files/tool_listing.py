"""Lists and reads files with the service's own tools, for sessions in which no command runs to its end.

A program can prevent every command of its session: its children use up all processes, or one of them stops or ends each
new process. The service's file tools need no process. But they report neither sizes nor change times, so files of
earlier programs are listed again, and only files that one response returns can be read.
"""

from __future__ import annotations

import hashlib
import logging
import re
from itertools import islice
from typing import TYPE_CHECKING

from code_runner.files.batch_reading import read_batch
from code_runner.files.discovery import FileKind, FoundFile, Listing, kind_of_path, unnamed_caches
from code_runner.sandbox_scripts.list_files import order_key
from sandpiper_contract.errors import InvalidRequest, RunError
from sandpiper_contract.files import SERVICE_FILES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from code_runner.agentcore.client import CodeInterpreterClient
    from code_runner.files.discovery import WrittenInput
    from sandpiper_contract.files import Outputs

log = logging.getLogger(__name__)

MAX_FOLDERS = 50
"""Maximum number of folders that are listed, each with one call."""
MAX_PATHS = 100
"""Maximum number of files that are requested in one call."""
MAX_BYTES = 48 * 1024 * 1024
"""Maximum size of the files that are read, in all: they are in the function's memory."""


def find_files_with_tools(
    client: CodeInterpreterClient,
    inputs: Mapping[str, WrittenInput],
    outputs: Outputs,
    scanned_at_us: int,
    *,
    figures: bool,
) -> Listing:
    """Lists all files that are not unchanged inputs, or those that are requested by name.

    Args:
        client: The client of the session.
        inputs: Inputs by path; they are left out if they are unchanged or were fetched from S3.
        outputs: The requested files.
        scanned_at_us: The clock of the listing, because the sandbox's clock is not known.
        figures: Whether figures were saved, which these tools cannot reach.

    Raises:
        RunError: The working directory cannot be listed.
    """
    found = list(_walk(client, unnamed_caches(outputs)))
    files = [file for file in found if file.kind is FileKind.FILE]
    requested = [file.path for file in files if _is_requested(file.path, inputs, outputs)]
    rows = [file for file in found if file.kind is not FileKind.FILE]
    if outputs.paths is not None:
        others = (file.path for file in files if file.path not in {*requested, *inputs})
        rows += [FoundFile(path, 0, None, FileKind.NOT_REQUESTED) for path in others]
    rows += _read(client, requested, inputs, outputs)
    rows.sort(key=lambda file: order_key(file.path))
    if figures:
        rows.append(FoundFile("figures", 0, None, FileKind.NO_FIGURE))
    return Listing(tuple(rows), scanned_at_us)


def _is_requested(path: str, inputs: Mapping[str, WrittenInput], outputs: Outputs) -> bool:
    if outputs.paths is not None:
        return any(re.fullmatch(pattern.regex(), path, re.DOTALL) for pattern in outputs.paths)
    return path not in inputs or isinstance(inputs[path].version, str)


def _walk(client: CodeInterpreterClient, caches: Sequence[str]) -> Iterator[FoundFile]:
    """Yields the files of the working directory and of its folders, and the folders that are not listed."""
    folders, listed = [""], 0
    while folders:
        folder = folders.pop()
        try:
            entries = client.list_files(folder) if listed < MAX_FOLDERS else None
            listed += 1
        except RunError as error:
            if not folder:
                raise
            log.warning("folder not listed: %s: %s", type(error).__name__, error)
            entries = None
            listed += 1 if isinstance(error, InvalidRequest) else MAX_FOLDERS  # other errors recur for each folder
        if entries is None:
            yield FoundFile(folder, 0, None, FileKind.UNREADABLE)
            continue
        for entry in entries:
            path = f"{folder}/{entry.name}" if folder else entry.name
            if path in SERVICE_FILES or (entry.kind == "folder" and entry.name in caches):
                continue
            if entry.kind == "folder":
                folders.append(path)
            else:
                yield FoundFile(path, 0, None, kind_of_path(path))


def _read(
    client: CodeInterpreterClient, paths: Sequence[str], inputs: Mapping[str, WrittenInput], outputs: Outputs
) -> Iterator[FoundFile]:
    """Yields files with their contents within the limits, without unchanged inputs, and the others without."""
    ordered = iter(sorted(paths, key=order_key))
    files_left, bytes_left = outputs.max_files, min(outputs.max_bytes, MAX_BYTES)
    while batch := list(islice(ordered, min(files_left, MAX_PATHS))):
        for path, content in read_batch(client, batch):
            if not isinstance(content, bytes):
                yield FoundFile(path, 0, None, FileKind.UNREADABLE)
                continue
            sha256, size = hashlib.sha256(content).hexdigest(), len(content)
            if outputs.paths is None and path in inputs and inputs[path].version == sha256:
                continue
            if size > bytes_left:
                yield FoundFile(path, size, None, FileKind.FILE)
                continue
            files_left, bytes_left = files_left - 1, bytes_left - size
            yield FoundFile(path, size, sha256, FileKind.FILE, content)
    for path in ordered:
        yield FoundFile(path, 0, None, FileKind.FILE)
