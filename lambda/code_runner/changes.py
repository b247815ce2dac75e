"""Finds what a program left in the working directory, with one command and no listing before."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sandpiper_contract.errors import ServiceFault

if TYPE_CHECKING:
    from code_runner.session import CodeSession

SERVICE_OWN = (
    ".ipython",
    "log",
    "node_modules",
    "nodejs-js-execution",
    "nodejs-ts-execution",
    "package-lock.json",
    "package.json",
    "run",
)
"""What a fresh session's working directory already holds; seen on the service in 2026-03 and 2026-08."""

# Runs inside the sandbox, isolated (-I) so that a json.py which the program left is not imported. One line of JSON:
# [path, size, sha256 or null, kind], kind one of file, other, unnamed. Links are named and never followed.
_LISTER = """
import hashlib, json, os, stat, sys
own, largest = set(json.loads(sys.argv[1])), int(sys.argv[2])
found = []
def walk(folder):
    for entry in sorted(os.scandir(folder or "."), key=lambda e: e.name):
        path = os.path.join(folder, entry.name)
        if path in own:
            continue
        if entry.is_dir(follow_symlinks=False):
            walk(path)
            continue
        try:
            info = entry.stat(follow_symlinks=False)
            kind = "file" if stat.S_ISREG(info.st_mode) else "other"
            digest = None
            if kind == "file" and info.st_size <= largest:
                with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as f:
                    digest = hashlib.file_digest(f, "sha256").hexdigest() if hasattr(hashlib, "file_digest") \
                        else hashlib.sha256(f.read()).hexdigest()
        except OSError:
            continue
        try:
            path.encode()
        except UnicodeEncodeError:
            path, kind = os.fsencode(path).decode("utf-8", "backslashreplace"), "unnamed"
        found.append([path, info.st_size, digest, kind])
walk("")
print(json.dumps(found))
"""


@dataclass(frozen=True)
class FoundFile:
    """A file below the working directory. `size` is in bytes; `sha256` is None when it was too large to be of use."""

    path: str
    size: int
    sha256: str | None
    is_regular: bool
    is_readable: bool


def find_files(session: CodeSession, largest_bytes: int) -> list[FoundFile]:
    """All files below the working directory except the service's own, ordered by path, in one call.

    Files up to `largest_bytes` come with their digest. Raises ServiceFault when the listing fails.
    """
    arguments = [json.dumps(SERVICE_OWN), str(largest_bytes)]
    outcome = session.execute_command(shlex.join(["python3", "-I", "-c", _LISTER, *arguments]))
    if outcome.exit_code:
        raise ServiceFault(
            f"listing the files that the program left: exit code {outcome.exit_code}: {outcome.stderr[-300:]}"
        )
    try:
        rows: list[list[Any]] = json.loads(outcome.stdout)
        return [FoundFile(path, size, digest, kind != "other", kind == "file") for path, size, digest, kind in rows]
    except ValueError:
        raise ServiceFault("listing the files that the program left: the answer is not JSON") from None
