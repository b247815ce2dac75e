"""Request bodies. A large object that is uploaded to S3 is held in a file, and everything else in memory.

MiniStack keeps the body of an object as `bytes`. `FileBody` can be used in the same way.
"""

from __future__ import annotations

import errno
import hashlib
import mmap
import os
import tempfile
from pathlib import Path
from typing import IO, Any, cast

from local_aws.settings import MIN_FREE_BYTES

MEBIBYTE = 1024 * 1024
MEMORY_BYTES = 16 * MEBIBYTE
"""Larger objects are held in a file, and larger parts of an object are views of it."""
SPACE_CHECK_BYTES = 64 * MEBIBYTE
"""Number of bytes after which the free space is checked again."""
MIN_AVAILABLE_BYTES = 512 * MEBIBYTE
"""Memory of the machine that objects have to leave, so that code in a sandbox cannot exhaust it by uploads."""
MEMORY_INFO = Path("/proc/meminfo")
HASHES = ("md5", "sha256")
"""The hashes that are computed while a body arrives: S3 stores an MD5, and clients sign a SHA-256."""


class DiskFullError(Exception):
    """The disk of the temporary folder has less free space than uploads have to leave (`MIN_FREE_BYTES`)."""


class MemoryFullError(Exception):
    """The machine has less available memory than objects have to leave (`MIN_AVAILABLE_BYTES`)."""


class FileBody(mmap.mmap):
    """The content of a file without a name, which the system deletes when it is no longer used.

    Attributes:
        digests: The digest of the content for each of `HASHES`.
    """

    digests: dict[str, bytes]

    def __getitem__(self, index: Any) -> Any:
        """Returns an integer, or the bytes of a slice. A slice over `MEMORY_BYTES` is a view and not a copy."""
        part = cast("Any", memoryview(self)[index])
        return bytes(part) if isinstance(index, slice) and len(part) <= MEMORY_BYTES else part

    def __deepcopy__(self, _: object) -> FileBody:
        """Returns itself: the content does not change."""
        return self

    def decode(self, *arguments: str) -> str:
        """Decodes the content like `bytes.decode`."""
        return bytes(self).decode(*arguments)


Body = bytes | FileBody


class BodyWriter:
    """Collects the chunks of a body.

    Args:
        in_file: Whether a body over `MEMORY_BYTES` is written to a file.
    """

    def __init__(self, *, in_file: bool) -> None:
        self._in_file = in_file
        self._file: IO[bytes] | None = None
        self._memory, self._unchecked_bytes = bytearray(), 0
        self._hashes = {name: hashlib.new(name, usedforsecurity=False) for name in HASHES}

    def write(self, chunk: bytes) -> None:
        """Adds a chunk.

        Raises:
            DiskFullError: The disk has too little free space.
        """
        if self._file is None:
            self._memory += chunk
            if not self._in_file or len(self._memory) <= MEMORY_BYTES:
                return
            self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed in `body`
            chunk, self._memory = bytes(self._memory), bytearray()
            self._unchecked_bytes = SPACE_CHECK_BYTES
        self._write(self._file, chunk)

    def _write(self, file: IO[bytes], chunk: bytes) -> None:
        self._unchecked_bytes += len(chunk)
        if self._unchecked_bytes > SPACE_CHECK_BYTES:
            self._unchecked_bytes = 0
            space = os.fstatvfs(file.fileno())
            if space.f_bavail * space.f_frsize < MIN_FREE_BYTES + SPACE_CHECK_BYTES:
                raise DiskFullError
        for digest in self._hashes.values():
            digest.update(chunk)
        try:
            file.write(chunk)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise DiskFullError from None
            raise

    def body(self) -> Body:
        """Returns the complete body."""
        if self._file is None:
            return bytes(self._memory)
        with self._file:
            self._file.flush()
            body = FileBody(self._file.fileno(), 0, access=mmap.ACCESS_READ)
        body.digests = {name: digest.digest() for name, digest in self._hashes.items()}
        return body


def in_file(content: bytes) -> Body:
    """Moves content over `MEMORY_BYTES` to a file.

    Raises:
        DiskFullError: The disk has too little free space.
    """
    writer = BodyWriter(in_file=True)
    for start in range(0, len(content), MEBIBYTE):
        writer.write(content[start : start + MEBIBYTE])
    return writer.body()


def digest_of(body: Body, name: str) -> bytes:
    """Returns the MD5 or SHA-256 digest of a body."""
    return body.digests[name] if isinstance(body, FileBody) else hashlib.new(name, body, usedforsecurity=False).digest()


def require_memory(size: int = 0) -> None:
    """Checks that the machine has memory for `size` more bytes.

    Raises:
        MemoryFullError: It has too little.
    """
    fields = dict(line.split(":") for line in MEMORY_INFO.read_text().splitlines())
    if int(fields["MemAvailable"].split()[0]) * 1024 < MIN_AVAILABLE_BYTES + size:
        raise MemoryFullError
