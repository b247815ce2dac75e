"""Carries a file that is too large for one call in parts, of which one at a time is in memory."""

from __future__ import annotations

import hashlib
import logging
import secrets
import shlex
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from code_runner.agentcore.limits import CALL_BYTES
from code_runner.files.errors import NotKeptError
from code_runner.sandbox_scripts.runner import run_inside
from sandpiper_contract.errors import RunError, ServiceFault
from sandpiper_contract.files import SkipReason

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator

    from code_runner.agentcore.client import ToolCalls
    from code_runner.files.discovery import FoundFile

log = logging.getLogger(__name__)

CARRIER = "transfer"
"""The program of this folder that cuts, joins, sends and fetches files inside the sandbox."""


@contextmanager
def hidden_folder(session: ToolCalls) -> Generator[str]:
    """A name in the working directory that nothing has, and that nothing has afterwards."""
    folder = f".sandpiper-{secrets.token_hex(8)}"
    try:
        yield folder
    finally:
        try:
            session.execute_own_command(shlex.join(["rm", "-rf", "--", folder]))
        except RunError as error:
            log.warning("%s not removed from the sandbox: %s: %s", folder, type(error).__name__, error)


@dataclass(frozen=True)
class Parts:
    """A file's parts in the sandbox, to be read one by one and more than once."""

    session: ToolCalls
    file: FoundFile
    folder: str

    def read(self) -> Iterator[bytes]:
        """The parts in their order. Raises NotKeptError, at the end, unless they are the file as it was listed."""
        sha256, size = hashlib.sha256(), 0
        for number in range(-(-self.file.size // CALL_BYTES)):
            path = f"{self.folder}/{number}"
            part = (self.session.read_files([path]) or {}).get(path)
            if part is None:
                raise NotKeptError(SkipReason.CHANGED)
            sha256.update(part)
            size += len(part)
            yield part
        if (size, sha256.hexdigest()) != (self.file.size, self.file.sha256):
            raise NotKeptError(SkipReason.CHANGED)


@contextmanager
def split(session: ToolCalls, file: FoundFile) -> Generator[Parts]:
    """The file in parts, as long as the block lasts. Raises RunError."""
    with hidden_folder(session) as folder:
        task = {"do": "split", "path": file.path, "folder": folder, "partBytes": CALL_BYTES}
        run_inside(session, f"splitting {file.path}", CARRIER, task)
        yield Parts(session, file, folder)


def write_in_parts(session: ToolCalls, path: str, parts: Iterable[bytes]) -> str:
    """Writes a file of parts, each at most one call's, and returns its SHA-256, which was checked inside."""
    sha256, count = hashlib.sha256(), 0
    with hidden_folder(session) as folder:
        for part in parts:
            session.write_files({f"{folder}/{count}": part})
            sha256.update(part)
            count += 1
        task = {"do": "join", "path": path, "folder": folder, "parts": count, "sha256": sha256.hexdigest()}
        if run_inside(session, f"joining {path}", CARRIER, task) is not True:
            raise ServiceFault(f"joining {path}: the sandbox has other bytes than were sent; the code has not run")
    return sha256.hexdigest()
