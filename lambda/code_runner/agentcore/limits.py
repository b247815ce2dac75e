"""How large a file is decides its way: with others in one call, in parts, or past the function through S3."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

CALL_BYTES = 16 * 1024 * 1024
"""Of files in one call. botocore takes events of 24 MiB, after base64: 17 MiB passed and 18 MiB did not."""
MOST_CALL_BYTES = 70 * 1024 * 1024
"""Of files that one writeFiles takes: the service takes requests of 100 MB, and a file is a third longer in base64."""
REQUEST_BYTES = 100_000_000
"""The service's limit for what one call carries to it (AgentCore quotas)."""
DIRECT_BYTES = 100_000_000
"""A file above this goes between the sandbox and S3 with the execution role, and never through the function."""


class Sized(Protocol):
    """What has a size in bytes."""

    @property
    def size(self) -> int: ...


S = TypeVar("S", bound=Sized)


def batches(files: Sequence[S]) -> Iterator[list[S]]:
    """Files in their order, as many at a time as one call carries."""
    batch: list[S] = []
    size = 0
    for file in files:
        if batch and size + file.size > CALL_BYTES:
            yield batch
            batch, size = [], 0
        batch.append(file)
        size += file.size
    if batch:
        yield batch
