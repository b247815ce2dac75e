"""Runs inside the sandbox, alone: says what lies in the working directory. Nothing here imports the product.

Started with `python3 -I`, so that a json.py which the program left is not imported. Answers with one marked line of
JSON: {"clock": µs, "files": [[path, size in bytes, sha256 or null, kind]]}. Links are named and never followed. Only
what the limits let through is read for its digest, and inputs, which are left out when they are as they were given.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import stat
import sys
import time
import zlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

COARSE = 5
"""CLOCK_REALTIME_COARSE: what the kernel stamps changes with, so that nothing changed later has an earlier time."""


def main(task: dict[str, Any]) -> None:
    """Prints the listing that `task` asks for."""
    clock = time.clock_gettime_ns(COARSE) // 1000
    rows = sorted(walk(set(task["own"])))
    patterns = None if task["patterns"] is None else [re.compile(pattern, re.DOTALL) for pattern in task["patterns"]]
    rows = list(chosen(rows, task, patterns))
    if len(rows) > task["mostRows"]:
        more = len(rows) - task["mostRows"]
        rows[task["mostRows"] :] = [[f"(and {more:,} more)", 0, None, "unreadable"]]
    for row in rows:
        row[0] = os.fsencode(row[0]).decode("utf-8", "backslashreplace")
    print("\n" + task["mark"] + json.dumps({"clock": clock, "files": [row[:4] for row in rows]}))


def walk(own: set[str]) -> Iterator[list[Any]]:
    """Rows of all files: [path, size, sha256, kind, when it changed in µs]."""
    folders = [""]
    while folders:
        folder = folders.pop()
        try:
            names = os.listdir(folder or ".")  # noqa: PTH208 - names alone
        except OSError:
            yield [folder, 0, None, "unreadable", sys.maxsize]
            continue
        for path in (os.path.join(folder, name) for name in names):  # noqa: PTH118
            if path in own:
                continue
            try:
                info = os.lstat(path)
            except OSError:
                yield [path, 0, None, "unreadable", sys.maxsize]
                continue
            if stat.S_ISDIR(info.st_mode):
                folders.append(path)
            else:
                yield [
                    path,
                    info.st_size,
                    None,
                    "file" if stat.S_ISREG(info.st_mode) else "other",
                    info.st_ctime_ns // 1000,
                ]


def chosen(rows: list[list[Any]], task: dict[str, Any], patterns: list[re.Pattern[str]] | None) -> Iterator[list[Any]]:
    """The rows that are new or asked for; those within the limits with their digests."""
    files, size = task["maxFiles"], task["maxBytes"]
    for row in rows:
        path, length, _, kind, changed = row
        wanted = patterns is None or any(pattern.fullmatch(path) for pattern in patterns)
        if kind == "file":
            try:
                asked_for = patterns is not None and wanted
                if not asked_for and (changed < task["seen"] or as_given(row, task["given"])):
                    continue
                if not wanted:
                    row[3] = "unchosen"
                elif files > 0 and length <= size:
                    row[2] = digest(path)
                    files, size = files - 1, size - length
            except OSError:
                row[3] = "unreadable"
        elif changed < task["seen"]:
            continue
        yield row


def as_given(row: list[Any], given: dict[str, Any]) -> bool:
    """Whether an input is as it was written: by its length, and by its digest or the time of its last change."""
    path, length, _, _, changed = row
    if path not in given or given[path][0] != length:
        return False
    mark = given[path][1]
    return mark == changed if isinstance(mark, int) else digest(path).startswith(mark)


def digest(path: str) -> str:
    """The SHA-256 of a regular file."""
    sha256 = hashlib.sha256()
    with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:  # noqa: PTH123
        while block := file.read(1 << 20):
            sha256.update(block)
    return sha256.hexdigest()


if __name__ == "__main__":
    main(json.loads(zlib.decompress(base64.b85decode(sys.argv[1]))))
