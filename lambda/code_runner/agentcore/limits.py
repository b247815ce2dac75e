"""Size limits of calls and files, and the grouping of files into calls.

A file's size decides how it is transferred: with others in one call, in chunks, or directly between S3 and the sandbox.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

BATCH_BYTES = 16 * 1024 * 1024
"""Total size of the files in one call. botocore accepts events of 24 MiB after base64: 17 MiB of content passed in
measurements and 18 MiB failed."""
MAX_WRITE_BYTES = 70 * 1024 * 1024
"""Maximum total size of the files of one writeFiles call: the service accepts requests of 100 MB, and base64 makes
content a third longer."""
MAX_REQUEST_BYTES = 100_000_000
"""The service's limit for the payload of one call (AgentCore quotas)."""
DIRECT_TRANSFER_BYTES = 100_000_000
"""Larger files are transferred between the sandbox and S3 with the execution role, not through the session function."""


class Sized(Protocol):
    """An item with a size in bytes."""

    @property
    def size(self) -> int:
        """The size in bytes."""
        ...


S = TypeVar("S", bound=Sized)


def batches(files: Sequence[S]) -> Iterator[list[S]]:
    """Groups files, in order, into batches of at most BATCH_BYTES; a larger file forms its own batch."""
    batch: list[S] = []
    size = 0
    for file in files:
        if batch and size + file.size > BATCH_BYTES:
            yield batch
            batch, size = [], 0
        batch.append(file)
        size += file.size
    if batch:
        yield batch
