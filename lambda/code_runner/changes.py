"""Finds what a program left in the working directory, with one command and no listing before."""

from __future__ import annotations

import hashlib
import json
import shlex
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, cast

from sandpiper_contract.errors import InvalidRequest, ServiceFault
from sandpiper_contract.request import SERVICE_OWN, relative_path

if TYPE_CHECKING:
    from collections.abc import Mapping

    from code_runner.session import CodeSession
    from sandpiper_contract.request import OutputLimits

MOST_ROWS = 10_000
MARK = "sandpiper-files:"
MOST_NAME_CHARACTERS = 4_096

# Runs inside the sandbox, isolated (-I) so that a json.py which the program left is not imported. One marked line of
# JSON: [path, size in bytes, sha256 or null, kind]. Links are named and never followed. Only what the limits let
# through is read, for its digest, and inputs, which are left out when they are as they were given.
_LISTER = """
import hashlib, json, os, stat, sys
task = json.loads(sys.argv[1])
own, given = set(task["own"]), task["given"]
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
    else:
        found.append([path, info.st_size, None, "file" if stat.S_ISREG(info.st_mode) else "other"])

def tried(row, action):
    try:
        action(row)
    except OSError:
        return False
    return True

while folders:
    folder = folders.pop()
    names = []
    if not tried(folder, lambda path: names.extend(os.listdir(path or "."))):
        found.append([folder, 0, None, "unreadable"])
    for path in (os.path.join(folder, name) for name in names):
        if path not in own and not tried(path, look):
            found.append([path, 0, None, "unreadable"])

def take(row):
    global files, size
    path = row[0]
    as_given = given.get(path)
    if as_given and as_given[0] == row[1] and digest(path) == as_given[1]:
        row[3] = "unchanged"
    elif files > 0 and row[1] <= size:
        row[2] = digest(path)
        files, size = files - 1, size - row[1]

files, size = task["maxFiles"], task["maxBytes"]
found.sort(key=lambda row: row[0])
for row in found:
    if row[3] == "file" and not tried(row, take):
        row[3] = "unreadable"
    row[0] = os.fsencode(row[0]).decode("utf-8", "backslashreplace")
rows = [row for row in found if row[3] != "unchanged"]
more = len(rows) - task["mostRows"]
if more > 0:
    rows[task["mostRows"]:] = [["(and %d more)" % more, 0, None, "unreadable"]]
print("\\n" + task["mark"] + json.dumps(rows))
"""


class Kind(StrEnum):
    """What a path is; `other` is a link, a pipe, a socket or a device."""

    FILE = "file"
    OTHER = "other"
    UNREADABLE = "unreadable"


KINDS = {kind.value: kind for kind in Kind}


@dataclass(frozen=True)
class FoundFile:
    """What the sandbox says of a path. `size` is in bytes; `sha256` is None where the limits leave the file out."""

    path: str
    size: int
    sha256: str | None
    kind: Kind


def find_files(session: CodeSession, inputs: Mapping[str, bytes], limits: OutputLimits) -> list[FoundFile]:
    """What the program made or changed, ordered by path, in one call; the service's own folders are not looked into.

    Raises ServiceFault when there is no listing, and whatever the call raises.
    """
    task = {
        "own": SERVICE_OWN,
        "given": {path: (len(data), hashlib.sha256(data).hexdigest()) for path, data in inputs.items()},
        "maxFiles": limits.max_files,
        "maxBytes": limits.max_bytes,
        "mostRows": MOST_ROWS,
        "mark": MARK,
    }
    outcome = session.execute_command(
        shlex.join(["python3", "-I", "-c", _LISTER, json.dumps(task, ensure_ascii=False)])
    )
    doing = "listing the files that the program left"
    if outcome.exit_code:
        raise ServiceFault(f"{doing}: exit code {outcome.exit_code}")
    try:
        rows = json.loads(outcome.stdout.rpartition(MARK)[2])
    except (ValueError, RecursionError):
        rows = None
    if not isinstance(rows, list) or len(cast("list[object]", rows)) > MOST_ROWS + 1:
        raise ServiceFault(f"{doing}: the answer is not a listing")
    return list({file.path: file for file in map(_found, cast("list[object]", rows))}.values())


def _found(row: object) -> FoundFile:
    """One row, taken strictly: the program could have forged it. A path that leads elsewhere is only ever named."""
    match row:
        case [str(path), int(size), str() | None as sha256, str(kind)] if size >= 0 and kind in KINDS:
            path = path.encode("utf-8", "backslashreplace").decode()[:MOST_NAME_CHARACTERS]
            return FoundFile(path, size, sha256, KINDS[kind] if _can_be_named(path) else Kind.UNREADABLE)
        case _:
            raise ServiceFault("listing the files that the program left: a row is not a file")


def _can_be_named(path: str) -> bool:
    try:
        relative_path("path", path)
    except InvalidRequest:
        return False
    return True
