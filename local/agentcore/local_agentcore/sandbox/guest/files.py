"""File operations below the working directory. Links out of the directory are never followed.

openat2(2) with RESOLVE_BENEATH resolves paths in the kernel, so there is no race between check and use.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import struct
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator

OPENAT2 = 437  # the same on every architecture
RESOLVE_NO_MAGICLINKS = 0x02
RESOLVE_BENEATH = 0x08
FILE_MODE = 0o644

_libc = ctypes.CDLL(None, use_errno=True)


class Files:
    """Reads, writes, lists and removes files below one directory. Every error is an OSError with an errno."""

    def __init__(self, root: str) -> None:
        self._root = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)

    def write(self, path: str, data: bytes) -> None:
        """Writes a file and creates its parent directories."""
        # The string is passed to openat2 and must not be normalized.
        self._make_directories(os.path.dirname(path))  # noqa: PTH120
        with self._open_below(path, os.O_WRONLY | os.O_CREAT, FILE_MODE) as descriptor:
            _require_regular(descriptor, path)
            os.ftruncate(descriptor, 0)
            with open(descriptor, "wb", closefd=False) as file:
                file.write(data)

    def read(self, path: str, max_bytes: int) -> bytes:
        """Returns the bytes of a file. Fails with EFBIG if it has more than `max_bytes`."""
        with self._open_below(path, os.O_RDONLY) as descriptor:
            _require_regular(descriptor, path)
            if os.fstat(descriptor).st_size > max_bytes:
                raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), path)
            with open(descriptor, "rb", closefd=False) as file:
                return file.read(max_bytes)

    def entries(self, path: str) -> list[tuple[str, bool]]:
        """Returns the sorted names in a directory, and whether each is a directory."""
        with self._open_below(path, os.O_RDONLY | os.O_DIRECTORY) as descriptor, os.scandir(descriptor) as found:
            return sorted((entry.name, entry.is_dir(follow_symlinks=False)) for entry in found)

    def remove(self, path: str) -> None:
        """Removes one file. Removes a link, not its target."""
        directory, name = os.path.split(path)
        with self._open_below(directory, os.O_PATH | os.O_DIRECTORY) as descriptor:
            os.unlink(name, dir_fd=descriptor)

    def _make_directories(self, directory: str) -> None:
        parent = ""
        for part in (part for part in directory.split("/") if part not in ("", ".")):
            with self._open_below(parent, os.O_PATH | os.O_DIRECTORY) as descriptor, suppress(FileExistsError):
                os.mkdir(part, dir_fd=descriptor)
            parent = f"{parent}/{part}" if parent else part

    @contextmanager
    def _open_below(self, path: str, flags: int, mode: int = 0) -> Generator[int, None, None]:
        # Without O_NONBLOCK, opening a FIFO of the code would block the supervisor forever.
        nonblocking = 0 if flags & os.O_PATH else os.O_NONBLOCK
        how = struct.pack("QQQ", flags | nonblocking | os.O_CLOEXEC, mode, RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS)
        descriptor = _libc.syscall(OPENAT2, self._root, os.fsencode(path or "."), how, len(how))
        if descriptor < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), path)
        try:
            yield descriptor
        finally:
            os.close(descriptor)


def _require_regular(descriptor: int, path: str) -> None:
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISDIR(mode):
        raise OSError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "not a regular file", path)
