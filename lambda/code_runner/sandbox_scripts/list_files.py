"""Script that runs inside the sandbox and lists the files in the working directory.

It does not import other modules of the product. It is started with `python3 -I`, so that a json.py in the working
directory is not imported. It prints one line of JSON after a marker:
{"clock": µs, "files": [[path, size in bytes, sha256 or null, kind]]}. Links are listed and never followed. Content is
read for its digest only for files within the limits and for inputs. Unchanged inputs are left out.
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

CLOCK_REALTIME_COARSE = 5
"""The kernel uses this clock for change times, so no later change has an earlier time."""


def main(task: dict[str, Any]) -> None:
    """Prints the listing for `task`."""
    clock = time.clock_gettime_ns(CLOCK_REALTIME_COARSE) // 1000
    rows = sorted(walk(set(task["excluded"])))
    patterns = None if task["patterns"] is None else [re.compile(pattern, re.DOTALL) for pattern in task["patterns"]]
    rows = list(select(rows, task, patterns))
    if len(rows) > task["maxRows"]:
        more = len(rows) - task["maxRows"]
        rows[task["maxRows"] :] = [[f"(and {more:,} more)", 0, None, "unreadable"]]
    for row in rows:
        row[0] = os.fsencode(row[0]).decode("utf-8", "backslashreplace")
    print("\n" + task["marker"] + json.dumps({"clock": clock, "files": [row[:4] for row in rows]}))


def walk(excluded: set[str]) -> Iterator[list[Any]]:
    """Yields a row for each file: [path, size, sha256, kind, change time in µs]."""
    folders = [""]
    while folders:
        folder = folders.pop()
        try:
            names = os.listdir(folder or ".")  # noqa: PTH208 - only names are needed
        except OSError:
            yield [folder, 0, None, "unreadable", sys.maxsize]
            continue
        for path in (os.path.join(folder, name) for name in names):  # noqa: PTH118
            if path in excluded:
                continue
            try:
                info = os.lstat(path)
            except OSError:
                yield [path, 0, None, "unreadable", sys.maxsize]
                continue
            if stat.S_ISDIR(info.st_mode):
                folders.append(path)
            else:
                kind = "file" if stat.S_ISREG(info.st_mode) else "other"
                yield [path, info.st_size, None, kind, info.st_ctime_ns // 1000]


def select(rows: list[list[Any]], task: dict[str, Any], patterns: list[re.Pattern[str]] | None) -> Iterator[list[Any]]:
    """Yields the rows that are new or requested by name; those within the limits with their digests."""
    files_left, bytes_left = task["maxFiles"], task["maxBytes"]
    for row in rows:
        path, size, _, kind, changed = row
        matches = patterns is None or any(pattern.fullmatch(path) for pattern in patterns)
        if kind == "file":
            try:
                requested = patterns is not None and matches
                if not requested and (changed < task["changedSince"] or is_unchanged(row, task["inputs"])):
                    continue
                if not matches:
                    row[3] = "not requested"
                elif files_left > 0 and size <= bytes_left:
                    row[2] = digest(path)
                    files_left, bytes_left = files_left - 1, bytes_left - size
            except OSError:
                row[3] = "unreadable"
        elif changed < task["changedSince"]:
            continue
        yield row


def is_unchanged(row: list[Any], inputs: dict[str, Any]) -> bool:
    """Returns whether a file is an input as it was written, by its size and its digest or change time."""
    path, size, _, _, changed = row
    if path not in inputs or inputs[path][0] != size:
        return False
    version = inputs[path][1]
    return version == changed if isinstance(version, int) else digest(path).startswith(version)


def digest(path: str) -> str:
    """Returns the SHA-256 of a regular file."""
    sha256 = hashlib.sha256()
    with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:  # noqa: PTH123
        while block := file.read(1 << 20):
            sha256.update(block)
    return sha256.hexdigest()


if __name__ == "__main__":
    main(json.loads(zlib.decompress(base64.b85decode(sys.argv[1]))))
