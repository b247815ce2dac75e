"""Writes what untrusted code has left into a folder of this machine: its names and contents are that code's choice.

No link below the folder is followed, nothing is written beside it, and a file that is there stays as it is.
"""

from __future__ import annotations

import hashlib
import os
import stat
import uuid
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

_FOLDER = os.O_RDONLY | os.O_DIRECTORY
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
_THERE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
MODE = 0o644


def save(out: Path, path: str, sha256: str, fill: Callable[[IO[bytes]], None], *, overwrite: bool) -> bool:
    """Makes the file `path` below `out`, a checked relative path, has `fill` write it, and returns whether it is there.

    One that is there already is left, and is what was wanted where its content has this SHA-256, in hexadecimal. With
    `overwrite` it is written over once the new one is whole. Raises OSError, and what `fill` raises; then no part of
    the file stays.
    """
    with _folder(out, path) as (folder, name):
        written = f".{uuid.uuid4().hex}.part" if overwrite else name
        try:
            file = os.fdopen(os.open(written, _NEW, MODE, dir_fd=folder), "wb")
        except FileExistsError:
            return _holds(folder, name, sha256)
        try:
            with file:
                fill(file)
            if overwrite:
                os.replace(written, name, src_dir_fd=folder, dst_dir_fd=folder)  # of a link, the link itself
        except BaseException:
            os.unlink(written, dir_fd=folder)
            raise
    return True


@contextmanager
def _folder(out: Path, path: str) -> Generator[tuple[int, str]]:
    """The folder that a file lies in, opened step by step from `out` on, and the file's name in it."""
    out.mkdir(parents=True, exist_ok=True)
    *folders, name = path.split("/")
    here = os.open(out, _FOLDER)
    try:
        for folder in folders:
            with suppress(FileExistsError):
                os.mkdir(folder, dir_fd=here)
            below = os.open(folder, _FOLDER | os.O_NOFOLLOW, dir_fd=here)
            os.close(here)
            here = below
        yield here, name
    finally:
        os.close(here)


def _holds(folder: int, name: str, sha256: str) -> bool:
    """Whether a regular file of this content is there."""
    try:
        there = os.open(name, _THERE, dir_fd=folder)
    except OSError:  # a link, or one that may not be read
        return False
    with os.fdopen(there, "rb") as file:
        return stat.S_ISREG(os.fstat(there).st_mode) and hashlib.file_digest(file, "sha256").hexdigest() == sha256
