"""Where each input's content is, and how large it is, known before anything is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sandpiper_contract.errors import InvalidRequest, PayloadTooLarge
from sandpiper_contract.field_types import parse_relative_path
from sandpiper_contract.files import MAX_FILE_BYTES, InputFile, check_distinct_paths

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from code_runner.files.storage import Storage, Stored


@dataclass(frozen=True)
class Source:
    """One file that is to be written at `path`: `content` is its bytes, or the object that has them."""

    place: str
    path: str
    size: int
    content: bytes | Stored

    @property
    def stored(self) -> Stored:
        """The object. Raises PayloadTooLarge for bytes, which cannot go past the function."""
        if isinstance(self.content, bytes):
            raise PayloadTooLarge(
                f"{self.place}: {self.size:,} bytes; allowed: an object in S3 for a file of this size"
            )
        return self.content

    def read(self, storage: Storage | None, start: int, end: int) -> bytes:
        """The bytes from `start` to before `end`. Raises StorageError."""
        if isinstance(self.content, bytes):
            return self.content[start:end]
        assert storage is not None  # noqa: S101 - it came from there
        return storage.read(self.content, start, end)


def sources(inputs: Sequence[InputFile], storage: Storage | None) -> list[Source]:
    """All files of the inputs. Raises InvalidRequest, PayloadTooLarge, StorageError."""
    found = [source for index, file in enumerate(inputs) for source in _of(f"inputs[{index}]", file, storage)]
    check_distinct_paths((source.place, source.path) for source in found)
    if (size := sum(source.size for source in found)) > MAX_FILE_BYTES:
        raise PayloadTooLarge(f"inputs: {size:,} bytes in all; allowed: {MAX_FILE_BYTES:,}")
    return found


def _of(place: str, file: InputFile, storage: Storage | None) -> Iterator[Source]:
    if file.data is not None:
        yield Source(place, file.path, len(file.data), file.data)
    elif storage is None:
        raise InvalidRequest(f"{place}: there is no bucket here; allowed: text, base64")
    elif file.s3_uri is not None:
        stored = storage.stored(f"{place}.s3Uri", file.s3_uri)
        yield Source(f"{place}.s3Uri", file.path, stored.size, stored)
    elif file.s3_prefix is not None:
        place = f"{place}.s3Prefix"
        for stored in storage.folder(place, file.s3_prefix):
            name = stored.address.key.removeprefix(file.s3_prefix.key)
            yield Source(
                place, parse_relative_path(f"{place}: a file's path", f"{file.path}/{name}"), stored.size, stored
            )
