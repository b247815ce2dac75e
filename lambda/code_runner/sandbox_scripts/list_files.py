"""Script that runs inside the sandbox, lists the files in the working directory and returns the content of small ones.

It does not import other modules of the product. It is started with `python3 -I -S`, so that modules that the program
left in the working directory or in its packages are not imported. It prints one line of JSON after a marker:
{"clock": µs, "files": [[path, size in bytes, sha256 or null, kind, content in base64 or null]]}. Links are listed and
never followed. Content is read only for files within the limits and for inputs. Unchanged inputs are left out.
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
CLOCK_TICK_SECONDS = 0.01
"""The longest interval of that clock."""


def main(task: dict[str, Any]) -> None:
    """Prints the listing for `task`."""
    figures, figure_rows = take_figures(task["figures"]) if task["figures"] else (set[str](), list[list[Any]]())
    clock = time.clock_gettime_ns(CLOCK_REALTIME_COARSE) // 1000
    rows = sorted(walk(set(task["excluded"]), set(task["caches"])), key=lambda row: (natural_key(row[0]), row[0]))
    patterns = None if task["patterns"] is None else [re.compile(pattern, re.DOTALL) for pattern in task["patterns"]]
    listed, size = list[str](), 0
    rows = [*select(rows, task, patterns, figures), *figure_rows]
    for row in rows:
        row[0] = display(row[0])
        content = row[5] if len(row) > 5 else None
        text = json.dumps([*row[:4], content])
        size += len(text) - len(content or "")
        if len(listed) == task["maxRows"] or size > task["maxRowBytes"]:
            listed.append(json.dumps([f"(and {len(rows) - len(listed):,} more)", 0, None, "unreadable", None]))
            break
        listed.append(text)
    print(f'\n{task["marker"]}{{"clock": {clock}, "files": [{", ".join(listed)}]}}')


def display(path: str) -> str:
    """Returns a path as text, in which bytes that are not UTF-8 are escaped."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def is_returnable(path: str, task: dict[str, Any]) -> bool:
    """Returns whether a result can contain this path."""
    return len(path) <= task["maxPath"] and re.match(task["path"], path) is not None


def natural_key(path: str) -> list[Any]:
    """Returns a key that sorts `figure-2.png` before `figure-10.png`."""
    parts: list[Any] = re.split("([0-9]+)", path)
    parts[1::2] = [(len(number.lstrip("0")), number.lstrip("0")) for number in parts[1::2]]
    return parts


def walk(excluded: set[str], caches: set[str]) -> Iterator[list[Any]]:
    """Yields a row for each file: [path, size, sha256, kind, change time in µs].

    Args:
        excluded: Paths that are left out.
        caches: Names of folders that are left out.
    """
    folders = [""]
    while folders:
        folder = folders.pop()
        try:
            names = os.listdir(folder or ".")  # noqa: PTH208 - only names are needed
        except OSError:
            yield [folder or ".", 0, None, "unreadable", sys.maxsize]
            continue
        for name in names:
            path = os.path.join(folder, name)  # noqa: PTH118
            if path in excluded:
                continue
            try:
                info = os.lstat(path)
            except OSError:
                yield [path, 0, None, "unreadable", sys.maxsize]
                continue
            if stat.S_ISDIR(info.st_mode):
                if name not in caches:
                    folders.append(path)
            else:
                kind = "file" if stat.S_ISREG(info.st_mode) else "other"
                yield [path, info.st_size, None, kind, info.st_ctime_ns // 1000]


def select(
    rows: list[list[Any]], task: dict[str, Any], patterns: list[re.Pattern[str]] | None, figures: set[str]
) -> Iterator[list[Any]]:
    """Yields the rows that are new or requested; those within the limits with digest and, if small, content."""
    files_left, bytes_left, content_left = task["maxFiles"], task["maxBytes"], task["contentBytes"]
    for row in rows:
        path, size, _, kind, changed = row
        matches = patterns is None or path in figures or any(pattern.fullmatch(path) for pattern in patterns)
        if kind == "file":
            try:
                requested = path in figures or (patterns is not None and matches)
                if not requested and (changed < task["changedSince"] or is_unchanged(row, task["inputs"])):
                    continue
                if not matches:
                    row[3] = "not requested"
                elif display(path) != path:
                    row[3] = "unreadable"  # by the service, whose tools take paths as text
                elif files_left > 0 and size <= bytes_left and is_returnable(path, task):
                    row[2], content = read(path, size if size <= content_left else -1)
                    files_left, bytes_left = files_left - 1, bytes_left - size
                    if content is not None:
                        content_left -= size
                        row.append(base64.b64encode(content).decode())
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
    return version == changed if isinstance(version, int) else read(path)[0].startswith(version)


def read(path: str, size: int = -1) -> tuple[str, bytes | None]:
    """Returns the SHA-256 of a regular file, and its content if it has exactly `size` bytes."""
    with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:  # noqa: PTH123
        content = file.read(size + 1) if size >= 0 else b""
        sha256 = hashlib.sha256(content)
        if len(content) == size:
            return sha256.hexdigest(), content
        while block := file.read(1 << 20):
            sha256.update(block)
    return sha256.hexdigest(), None


def take_figures(folder: str) -> tuple[set[str], list[list[Any]]]:
    """Moves the figures that the hook of `save_figures` left in a folder to unused names in the working directory.

    A repeated call returns the same names.

    Returns:
        The paths of the figures, and a row for each figure that could not be saved.
    """
    try:
        names = os.listdir(folder)  # noqa: PTH208 - only names are needed
    except OSError:
        return set(), [["figures", 0, None, "no figure"]]
    import shutil  # imported here because most listings have no figures

    record = f"{folder}/moved"
    moved: list[str] = json.loads(open(record).read()) if "moved" in names else []  # noqa: PTH123, SIM115
    numbers = sorted(int(name.removesuffix(".png")) for name in names if name.endswith(".png"))
    for number in numbers:
        path, copy = f"figure-{number}.png", 1
        while os.path.lexists(path):
            copy += 1
            path = f"figure-{number}-{copy}.png"
        moved.append(path)
        with open(record, "w") as file:  # noqa: PTH123
            json.dump(moved, file)
        shutil.move(f"{folder}/{number}.png", path)
        os.chmod(path, 0o644)  # noqa: PTH101 - the program's umask may have removed all permissions
    time.sleep(CLOCK_TICK_SECONDS)  # so that the figures are older than this listing
    failed = [f"figure-{name.removesuffix('.failed')}.png" for name in names if name.endswith(".failed")]
    if "done" not in names:
        failed.append("figures")
    return set(moved), [[path, 0, None, "no figure"] for path in failed]


if __name__ == "__main__":
    main(json.loads(zlib.decompress(base64.b85decode(sys.argv[1]))))
