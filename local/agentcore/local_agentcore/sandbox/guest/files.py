"""The files of a session, reached only beneath the working directory: links out of it are never followed.

openat2(2) with RESOLVE_BENEATH resolves a path in the kernel, so there is no moment between check and use.
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
    """Reads, writes, lists and removes beneath one directory. Every failure is an OSError with its errno."""

    def __init__(self, root: str) -> None:
        self._root = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)

    def write(self, path: str, data: bytes) -> None:
        """Writes a whole file, with the folders above it."""
        folder = os.path.dirname(path)  # noqa: PTH120  a text on its way to openat2, not a path to be normalised
        self._make_folders(folder)
        with self._beneath(path, os.O_WRONLY | os.O_CREAT, FILE_MODE) as descriptor:
            _require_regular(descriptor, path)
            os.ftruncate(descriptor, 0)
            with open(descriptor, "wb", closefd=False) as file:
                file.write(data)

    def read(self, path: str, maximum_bytes: int) -> bytes:
        """Returns a file's bytes. EFBIG if there are more than `maximum_bytes`."""
        with self._beneath(path, os.O_RDONLY) as descriptor:
            _require_regular(descriptor, path)
            if os.fstat(descriptor).st_size > maximum_bytes:
                raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), path)
            with open(descriptor, "rb", closefd=False) as file:
                return file.read(maximum_bytes)

    def entries(self, path: str) -> list[tuple[str, bool]]:
        """Returns the names in one folder, sorted, and whether each is a folder itself."""
        with self._beneath(path, os.O_RDONLY | os.O_DIRECTORY) as descriptor, os.scandir(descriptor) as found:
            return sorted((entry.name, entry.is_dir(follow_symlinks=False)) for entry in found)

    def remove(self, path: str) -> None:
        """Removes one file; a link is removed and not what it points to."""
        folder, name = os.path.split(path)
        with self._beneath(folder, os.O_PATH | os.O_DIRECTORY) as descriptor:
            os.unlink(name, dir_fd=descriptor)

    def _make_folders(self, folder: str) -> None:
        made = ""
        for part in (part for part in folder.split("/") if part not in ("", ".")):
            with self._beneath(made, os.O_PATH | os.O_DIRECTORY) as descriptor, suppress(FileExistsError):
                os.mkdir(part, dir_fd=descriptor)
            made = f"{made}/{part}" if made else part

    @contextmanager
    def _beneath(self, path: str, flags: int, mode: int = 0) -> Generator[int, None, None]:
        # Without O_NONBLOCK, opening a FIFO that the code has made would hold the supervisor for ever.
        waiting = 0 if flags & os.O_PATH else os.O_NONBLOCK
        how = struct.pack("QQQ", flags | waiting | os.O_CLOEXEC, mode, RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS)
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
