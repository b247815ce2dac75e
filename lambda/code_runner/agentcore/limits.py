"""Size limits of calls and files, and the grouping of files into calls.

A file's size decides how it is transferred: with the listing, with others in one call, or directly between the sandbox
and S3.
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
FUNCTION_TRANSFER_BYTES = 100_000_000
"""Maximum size of a file that passes through the session function, in chunks, when the session cannot reach S3."""
LISTED_CONTENT_BYTES = 3 * 1024 * 1024
"""Maximum total size of the files that the listing returns instead of a further call.

The listing is standard output, which the service returns twice, and base64 makes content a third longer: 3 MiB need
8 MiB of an event of 24 MiB. botocore joins the event in quadratic time. Compared with a further call, 2, 3 and 4 MiB
took 19, 47 and 87 ms more CPU in a measurement (2 cores, x86-64), and AWS publishes 70 to 240 ms for a call."""


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
