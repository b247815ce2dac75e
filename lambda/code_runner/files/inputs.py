"""Puts files into the working directory before the code runs."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from code_runner.agentcore.limits import CALL_BYTES, DIRECT_BYTES, batches
from code_runner.files import s3_transfer
from code_runner.files.chunked_transfer import write_in_parts
from code_runner.files.discovery import Given
from code_runner.files.input_sources import sources
from sandpiper_contract.errors import PayloadTooLarge

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from code_runner.agentcore.client import ToolCalls
    from code_runner.agentcore.deadline import Deadline
    from code_runner.files.input_sources import Source
    from code_runner.files.storage import Storage
    from sandpiper_contract.files import InputFile


def write_inputs(
    session: ToolCalls, inputs: Sequence[InputFile], storage: Storage | None, deadline: Deadline
) -> dict[str, Given]:
    """Writes the inputs and says how each was written.

    Raises InvalidRequest for what is not an input, PayloadTooLarge for what cannot be carried, StorageError when S3
    refuses. All sizes are known, and judged, before the first file is written.
    """
    found = sources(inputs, storage)
    small = [source for source in found if source.size <= CALL_BYTES]
    medium = [source for source in found if CALL_BYTES < source.size <= DIRECT_BYTES]
    large = [source for source in found if source.size > DIRECT_BYTES]
    staging = None if storage is None else storage.staging
    for source in large:
        if staging is None:
            raise PayloadTooLarge(f"{source.place}: {source.size:,} bytes; allowed: {DIRECT_BYTES:,}")
        _ = source.stored
    given: dict[str, Given] = {}
    for batch in batches(small):
        files = {source.path: source.read(storage, 0, source.size) for source in batch}
        session.write_files(files)
        given |= {path: Given(len(data), hashlib.sha256(data).hexdigest()) for path, data in files.items()}
    for source in medium:
        given[source.path] = Given(source.size, write_in_parts(session, source.path, _parts(source, storage)))
    if large and staging is not None:
        given |= s3_transfer.fetch(session, staging, large, deadline)
    return given


def _parts(source: Source, storage: Storage | None) -> Iterator[bytes]:
    for start in range(0, source.size, CALL_BYTES):
        yield source.read(storage, start, min(start + CALL_BYTES, source.size))
