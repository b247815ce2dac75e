"""Puts files into the working directory before the code runs."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from code_runner.changes import Given
from sandpiper_contract.errors import InvalidRequest, PayloadTooLarge

if TYPE_CHECKING:
    from collections.abc import Sequence

    from code_runner.storage import Storage
    from code_runner.tool_calls import ToolCalls
    from sandpiper_contract.files import InputFile

MOST_CALL_BYTES = 70 * 1024 * 1024
"""The service takes requests of 100 MB, and a file is a third longer in base64."""


def write_inputs(session: ToolCalls, inputs: Sequence[InputFile], storage: Storage | None) -> dict[str, Given]:
    """Writes the inputs and says how each was written.

    Raises InvalidRequest for an object elsewhere, PayloadTooLarge for more than a call carries, StorageError when S3
    refuses.
    """
    files: dict[str, bytes] = {}
    left = MOST_CALL_BYTES
    for file in inputs:
        files[file.path] = file.data if file.data is not None else _fetched(file, storage, left)
        left -= len(files[file.path])
    if left < 0:
        raise PayloadTooLarge(f"inputs: more than {MOST_CALL_BYTES:,} bytes in all, which is what one call carries")
    if files:
        session.write_files(files)
    return {path: Given(len(data), hashlib.sha256(data).hexdigest()) for path, data in files.items()}


def _fetched(file: InputFile, storage: Storage | None, most_bytes: int) -> bytes:
    if storage is None:
        raise InvalidRequest("s3Uri: there is no bucket here; allowed: text, base64")
    if file.s3_uri is None:
        raise InvalidRequest("s3Prefix: not built yet")
    return storage.get("s3Uri", file.s3_uri, most_bytes)
