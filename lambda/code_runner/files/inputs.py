"""Writes input files to the working directory before the code runs."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from code_runner.agentcore.limits import BATCH_BYTES, DIRECT_TRANSFER_BYTES, batches
from code_runner.files import s3_transfer
from code_runner.files.chunked_transfer import write_in_chunks
from code_runner.files.discovery import WrittenInput
from code_runner.files.input_sources import list_sources
from sandpiper_contract.errors import PayloadTooLarge

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from code_runner.agentcore.client import CodeInterpreterClient
    from code_runner.files.input_sources import Source
    from code_runner.files.storage import Storage
    from sandpiper_contract.files import InputFile


def write_inputs(
    client: CodeInterpreterClient, inputs: Sequence[InputFile], storage: Storage | None
) -> dict[str, WrittenInput]:
    """Writes the inputs. All sizes are checked before the first file is written.

    Args:
        client: The client of the session.
        inputs: The files.
        storage: The storage of inputs in S3; None if the session has no bucket.

    Returns:
        The written inputs by path.

    Raises:
        InvalidRequest: An input is not allowed.
        PayloadTooLarge: An input is too large.
        StorageError: S3 failed.
    """
    sources = list_sources(inputs, storage)
    small = [source for source in sources if source.size <= BATCH_BYTES]
    medium = [source for source in sources if BATCH_BYTES < source.size <= DIRECT_TRANSFER_BYTES]
    large = [source for source in sources if source.size > DIRECT_TRANSFER_BYTES]
    staging = None if storage is None else storage.staging
    for source in large:
        if staging is None:
            raise PayloadTooLarge(f"{source.location}: {source.size:,} bytes; allowed: {DIRECT_TRANSFER_BYTES:,}")
        _ = source.stored
    written: dict[str, WrittenInput] = {}
    for batch in batches(small):
        files = {source.path: source.read(storage, 0, source.size) for source in batch}
        client.write_files(files)
        written |= {path: WrittenInput(len(data), hashlib.sha256(data).hexdigest()) for path, data in files.items()}
    for source in medium:
        sha256 = write_in_chunks(client, source.path, _chunks(source, storage))
        written[source.path] = WrittenInput(source.size, sha256)
    if large and staging is not None:
        written |= s3_transfer.fetch(client, staging, large)
    return written


def _chunks(source: Source, storage: Storage | None) -> Iterator[bytes]:
    for start in range(0, source.size, BATCH_BYTES):
        yield source.read(storage, start, min(start + BATCH_BYTES, source.size))
