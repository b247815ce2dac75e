"""Finds what a program left in the working directory, with one command and no listing before."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sandpiper_contract.errors import InvalidRequest, ServiceFault
from sandpiper_contract.request import relative_path

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
# [path, size in bytes, sha256 or null, kind], kind one of file, other, unreadable. Links are named and never followed.
_LISTER = """
import hashlib, json, os, stat, sys
own, largest = set(json.loads(sys.argv[1])), int(sys.argv[2])
found, folders = [], [""]

def digest(path):
    sha256 = hashlib.sha256()
    with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
        while block := file.read(1 << 20):
            sha256.update(block)
    return sha256.hexdigest()

def look(path):
    info = os.lstat(path)
    if stat.S_ISDIR(info.st_mode):
        folders.append(path)
    elif not stat.S_ISREG(info.st_mode):
        found.append([path, info.st_size, None, "other"])
    else:
        found.append([path, info.st_size, digest(path) if info.st_size <= largest else None, "file"])

def tried(path, action):
    try:
        action(path)
    except OSError:
        found.append([path, 0, None, "unreadable"])

while folders:
    folder = folders.pop()
    names = []
    tried(folder, lambda path: names.extend(os.listdir(path or ".")))
    for path in (os.path.join(folder, name) for name in names):
        if path not in own:
            tried(path, look)
for row in found:
    row[0] = os.fsencode(row[0]).decode("utf-8", "backslashreplace")
print(json.dumps(sorted(found)))
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
    doing = "listing the files that the program left"
    if outcome.exit_code:
        raise ServiceFault(f"{doing}: exit code {outcome.exit_code}: {outcome.stderr[-300:]}")
    try:
        return [_found(*row) for row in json.loads(outcome.stdout)]
    except (TypeError, ValueError):
        raise ServiceFault(f"{doing}: the answer is not a listing") from None


def _found(path: str, size: int, sha256: str | None, kind: str) -> FoundFile:
    """One row. The program could have forged it, so a path that leads elsewhere is only ever named."""
    try:
        relative_path("path", path)
    except InvalidRequest:
        kind = "unreadable" if kind == "file" else kind
    return FoundFile(path, int(size), sha256, is_regular=kind != "other", is_readable=kind == "file")
