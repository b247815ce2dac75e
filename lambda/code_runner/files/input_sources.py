"""The source and size of each input, known before any content is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sandpiper_contract.errors import InvalidRequest, PayloadTooLarge
from sandpiper_contract.field_types import parse_relative_path
from sandpiper_contract.files import MAX_FILE_BYTES, InputFile, check_distinct_paths

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from code_runner.files.s3_objects import StoredObject
    from code_runner.files.storage import Storage


@dataclass(frozen=True)
class Source:
    """One file to write.

    Attributes:
        location: Its field in the request, for error messages.
        path: Its destination, relative to the working directory.
        size: Its size in bytes.
        content: Its bytes, or the object that contains them.
    """

    location: str
    path: str
    size: int
    content: bytes | StoredObject

    def read(self, storage: Storage | None, start: int, end: int) -> bytes:
        """Returns the bytes from `start` up to, but not including, `end`. Raises StorageError."""
        if isinstance(self.content, bytes):
            return self.content[start:end]
        assert storage is not None  # noqa: S101 - an object comes only from a storage
        return storage.read_range(self.content, start, end)


def list_sources(inputs: Sequence[InputFile], storage: Storage | None) -> list[Source]:
    """Returns all files of the inputs. Raises InvalidRequest, PayloadTooLarge or StorageError."""
    found = [source for index, file in enumerate(inputs) for source in _sources_of(f"inputs[{index}]", file, storage)]
    check_distinct_paths((source.location, source.path) for source in found)
    if (size := sum(source.size for source in found)) > MAX_FILE_BYTES:
        raise PayloadTooLarge(f"inputs: {size:,} bytes in all; allowed: {MAX_FILE_BYTES:,}")
    return found


def _sources_of(location: str, file: InputFile, storage: Storage | None) -> Iterator[Source]:
    if file.data is not None:
        yield Source(location, file.path, len(file.data), file.data)
    elif storage is None:
        raise InvalidRequest(f"{location}: this session has no bucket; allowed: text, base64")
    elif file.s3_uri is not None:
        stored = storage.head_input(f"{location}.s3Uri", file.s3_uri)
        yield Source(f"{location}.s3Uri", file.path, stored.size, stored)
    elif file.s3_prefix is not None:
        location = f"{location}.s3Prefix"
        for stored in storage.list_inputs(location, file.s3_prefix):
            name = stored.address.key.removeprefix(file.s3_prefix.key)
            path = parse_relative_path(f"{location}: a file's path", f"{file.path}/{name}")
            yield Source(location, path, stored.size, stored)
