"""Transfers a file that is too large for one call in chunks, of which one at a time is in memory."""

from __future__ import annotations

import hashlib
import logging
import secrets
import shlex
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from code_runner.agentcore.limits import BATCH_BYTES
from code_runner.files.errors import FileSkipped
from code_runner.sandbox_scripts.runner import run_script
from sandpiper_contract.errors import RunError, ServiceFault
from sandpiper_contract.files import SkipReason

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator

    from code_runner.agentcore.client import CodeInterpreterClient
    from code_runner.files.discovery import FoundFile

log = logging.getLogger(__name__)

TRANSFER = "transfer"
"""The script that splits, joins, sends and fetches files inside the sandbox."""


@contextmanager
def temporary_folder(client: CodeInterpreterClient) -> Generator[str]:
    """Yields an unused name in the working directory, and deletes the folder of that name afterwards."""
    folder = f".sandpiper-{secrets.token_hex(8)}"
    try:
        yield folder
    finally:
        try:
            client.execute_idempotent_command(shlex.join(["rm", "-rf", "--", folder]))
        except RunError as error:
            log.warning("%s not removed from the sandbox: %s: %s", folder, type(error).__name__, error)


@dataclass(frozen=True)
class Chunks:
    """The chunks of a file in the sandbox. They can be read more than once."""

    client: CodeInterpreterClient
    file: FoundFile
    folder: str

    def read(self) -> Iterator[bytes]:
        """Yields the chunks in order. Raises FileSkipped, at the end, if the file has changed since it was listed."""
        sha256, size = hashlib.sha256(), 0
        for number in range(-(-self.file.size // BATCH_BYTES)):
            path = f"{self.folder}/{number}"
            chunk = (self.client.read_files([path]) or {}).get(path)
            if chunk is None:
                raise FileSkipped(SkipReason.CHANGED)
            sha256.update(chunk)
            size += len(chunk)
            yield chunk
        if (size, sha256.hexdigest()) != (self.file.size, self.file.sha256):
            raise FileSkipped(SkipReason.CHANGED)


@contextmanager
def split(client: CodeInterpreterClient, file: FoundFile) -> Generator[Chunks]:
    """Splits a file into chunks, which exist until the end of the block. Raises RunError."""
    with temporary_folder(client) as folder:
        task = {"operation": "split", "path": file.path, "folder": folder, "chunkBytes": BATCH_BYTES}
        run_script(client, f"splitting {file.path}", TRANSFER, task)
        yield Chunks(client, file, folder)


def write_in_chunks(client: CodeInterpreterClient, path: str, chunks: Iterable[bytes]) -> str:
    """Writes a file from chunks of at most one call each.

    Returns:
        Its SHA-256, which the sandbox has verified.
    """
    sha256, count = hashlib.sha256(), 0
    with temporary_folder(client) as folder:
        for chunk in chunks:
            client.write_files({f"{folder}/{count}": chunk})
            sha256.update(chunk)
            count += 1
        task = {"operation": "join", "path": path, "folder": folder, "chunks": count, "sha256": sha256.hexdigest()}
        if run_script(client, f"joining {path}", TRANSFER, task) is not True:
            raise ServiceFault(
                f"joining {path}: the content in the sandbox differs from the sent content; the code has not run"
            )
    return sha256.hexdigest()
