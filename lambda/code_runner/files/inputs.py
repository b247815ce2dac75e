"""Writes input files to the working directory before the code runs."""

from __future__ import annotations

import hashlib
import logging
from typing import TYPE_CHECKING

from code_runner.agentcore.limits import BATCH_BYTES, FUNCTION_TRANSFER_BYTES, batches
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

log = logging.getLogger(__name__)


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
    for source in sources:
        if isinstance(source.content, bytes):
            _require_function_size(source, "an object in S3 for a file of this size")
    written: dict[str, WrittenInput] = {}
    if storage is not None and sum(source.size for source in sources) > BATCH_BYTES:
        written = _download(client, sources, storage)
    remaining = [source for source in sources if source.path not in written]
    for batch in batches([source for source in remaining if source.size <= BATCH_BYTES]):
        files = {source.path: source.read(storage, 0, source.size) for source in batch}
        client.write_files(files)
        written |= {path: WrittenInput(len(data), hashlib.sha256(data).hexdigest()) for path, data in files.items()}
    for source in remaining:
        if source.size > BATCH_BYTES:
            sha256 = write_in_chunks(client, source.path, _chunks(source, storage))
            written[source.path] = WrittenInput(source.size, sha256)
    return written


def _download(client: CodeInterpreterClient, sources: Sequence[Source], storage: Storage) -> dict[str, WrittenInput]:
    """Lets the sandbox fetch the objects. Returns what it has written.

    Raises:
        StorageError: A large object could not be fetched, or an object has changed.
    """
    from code_runner.files import s3_transfer  # imported here to keep cold starts fast

    objects = [source for source in sources if not isinstance(source.content, bytes)]
    if not objects:
        return {}
    all_at_once = s3_transfer.fits_in_download(sources)
    written, failed = s3_transfer.download(client, storage, sources if all_at_once else objects)
    for source in objects:
        if (status := failed.get(source.path)) is not None:
            log.warning("%s not fetched by the session: %s", source.location, status)
            _require_function_size(source, f"a session that can fetch it from S3, which returned: {status}")
    return written


def _require_function_size(source: Source, alternative: str) -> None:
    if source.size > FUNCTION_TRANSFER_BYTES:
        raise PayloadTooLarge(
            f"{source.location}: {source.size:,} bytes; allowed: {FUNCTION_TRANSFER_BYTES:,}, or {alternative}"
        )


def _chunks(source: Source, storage: Storage | None) -> Iterator[bytes]:
    for start in range(0, source.size, BATCH_BYTES):
        yield source.read(storage, start, min(start + BATCH_BYTES, source.size))
