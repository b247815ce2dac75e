"""Writes files of untrusted code, which chooses their names and contents, into a folder of this machine.

Links below the folder are not followed, nothing is written outside it, and existing files are kept by default.
Names are written in UTF-8, as in the session, in every locale.
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

_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY
_NEW_FILE_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
_EXISTING_FILE_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
MODE = 0o644


def write_file(out: Path, path: str, sha256: str, fill: Callable[[IO[bytes]], None], *, overwrite: bool) -> bool:
    """Creates a file and returns whether it has the content.

    Args:
        out: the folder, which is created if it does not exist.
        path: a validated relative path below the folder.
        sha256: the SHA-256 of the content in hexadecimal. An existing file with this content is kept.
        fill: writes the content into the open file.
        overwrite: whether to replace an existing file with other content, once the new file is complete.

    Raises:
        OSError: The file cannot be written. No partial file remains, even when `fill` raises.
    """
    with _open_folder(out, path) as (folder, name):
        written = f".{uuid.uuid4().hex}.part".encode() if overwrite else name
        try:
            file = os.fdopen(os.open(written, _NEW_FILE_FLAGS, MODE, dir_fd=folder), "wb")
        except FileExistsError:
            return _has_content(folder, name, sha256)
        try:
            with file:
                fill(file)
            if overwrite:
                os.replace(written, name, src_dir_fd=folder, dst_dir_fd=folder)  # replaces a link, not its target
        except BaseException:
            os.unlink(written, dir_fd=folder)
            raise
    return True


def has_content(out: Path, path: str, sha256: str) -> bool:
    """Returns whether a regular file below the folder has this content. No link is followed."""
    try:
        with _open_folder(out, path) as (folder, name):
            return _has_content(folder, name, sha256)
    except OSError:
        return False


@contextmanager
def _open_folder(out: Path, path: str) -> Generator[tuple[int, bytes]]:
    """Opens the folder of a file, one component after the other from `out`, and yields it with the name of the file."""
    out.mkdir(parents=True, exist_ok=True)
    *folders, name = path.encode().split(b"/")
    current = os.open(out, _FOLDER_FLAGS)
    try:
        for folder in folders:
            with suppress(FileExistsError):
                os.mkdir(folder, dir_fd=current)
            child = os.open(folder, _FOLDER_FLAGS | os.O_NOFOLLOW, dir_fd=current)
            os.close(current)
            current = child
        yield current, name
    finally:
        os.close(current)


def _has_content(folder: int, name: bytes, sha256: str) -> bool:
    """Returns whether a regular file with this content exists."""
    try:
        existing = os.open(name, _EXISTING_FILE_FLAGS, dir_fd=folder)
    except OSError:  # a link, or a file without read permission
        return False
    with os.fdopen(existing, "rb") as file:
        return stat.S_ISREG(os.fstat(existing).st_mode) and hashlib.file_digest(file, "sha256").hexdigest() == sha256
