"""Script that runs inside the sandbox, lists the files in the working directory and returns the content of small ones.

It does not import other modules of the product. It is started with `python3 -I -S`, so that modules that the program
left in the working directory or in its packages are not imported. It prints one line of JSON after a marker:
{"clock": µs, "files": [[path, size in bytes, sha256 or null, kind, content in base64 or null]]}. Links are listed and
never followed. Content is read only for files within the limits and for inputs. Unchanged inputs are left out.

Processes of the program may still run and change or create files at any time. So no file can make this script wait
forever, and a figure that cannot be moved does not prevent the listing.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import re
import stat
import sys
import time
import zlib
from typing import IO, TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Iterator

CLOCK_REALTIME_COARSE = 5
"""The kernel uses this clock for change times, so no later change has an earlier time."""
CLOCK_TICK_SECONDS = 0.01
"""The longest interval of that clock."""
BLOCK_BYTES = 1 << 20
MAX_SIZE = 2**53
"""Larger sizes, of files with holes, are returned as this one, because JSON numbers cannot represent them."""
TOOL_FOLDERS = ("node_modules", "site-packages")
"""Folders that hold installed packages. Tools write their other files to hidden folders, such as `.git` and `.venv`."""
FIGURE = re.compile(r"([0-9]{1,18})\.png")
"""The names of saved figures."""


def main(task: dict[str, Any]) -> None:
    """Prints the listing for `task`."""
    figures, figure_rows = take_figures(task["figures"]) if task["figures"] else (set[str](), list[list[Any]]())
    clock = time.clock_gettime_ns(CLOCK_REALTIME_COARSE) // 1000
    rows = sorted(
        walk(set(task["excluded"]), set(task["caches"]), task["changedSince"]), key=lambda row: order_key(row[0])
    )
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


def order_key(path: str) -> tuple[bool, list[Any], str]:
    """Returns a key that sorts files of tools last, so that they do not use up the limits before the results."""
    parts = path.split("/")
    return any(part.startswith(".") or part in TOOL_FOLDERS for part in parts), natural_key(path), path


def natural_key(path: str) -> list[Any]:
    """Returns a key that sorts `figure-2.png` before `figure-10.png`."""
    parts: list[Any] = re.split("([0-9]+)", path)
    parts[1::2] = [(len(number.lstrip("0")), number.lstrip("0")) for number in parts[1::2]]
    return parts


def walk(excluded: set[str], caches: set[str], changed_since: int) -> Iterator[list[Any]]:
    """Yields a row for each file: [path, size, sha256, kind, change time in µs].

    The change time of a file in a moved folder is that of the folder at least: moving it does not change its files.

    Args:
        excluded: Paths that are left out.
        caches: Names of folders that are left out.
        changed_since: The time of the previous listing in µs.
    """
    folders = [("", 0)]
    while folders:
        folder, moved = folders.pop()
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
                    folders.append((path, max(moved, move_time(info, changed_since))))
            else:
                kind = "file" if stat.S_ISREG(info.st_mode) else "other"
                yield [path, min(info.st_size, MAX_SIZE), None, kind, max(info.st_ctime_ns // 1000, moved)]


def move_time(folder: os.stat_result, changed_since: int) -> int:
    """Returns when a folder was moved, in µs, or 0 if it was not moved since the previous listing.

    Moving a folder changes its change time only; creating and removing files in it also changes its modification time.
    """
    changed = folder.st_ctime_ns // 1000
    return changed if changed >= changed_since > 0 and folder.st_ctime_ns != folder.st_mtime_ns else 0


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
                    row[2], content = read(path, size, keep=size <= content_left)
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
    return version == changed if isinstance(version, int) else read(path, size)[0].startswith(version)


def read(path: str, size: int, *, keep: bool = False) -> tuple[str, bytes | None]:
    """Returns the SHA-256 of a regular file, and with `keep` its content if it still has exactly `size` bytes.

    At most one byte more than `size` is read, because another process may write without end.
    """
    sha256, blocks, remaining = hashlib.sha256(), list[bytes](), size + 1
    with open_regular(path) as file:
        while block := file.read(min(BLOCK_BYTES, remaining)):
            sha256.update(block)
            remaining -= len(block)
            if keep:
                blocks.append(block)
    return sha256.hexdigest(), b"".join(blocks) if keep and remaining == 1 else None


def open_regular(path: str) -> IO[bytes]:
    """Opens a regular file. Another process may have replaced it. Raises OSError for any other file."""
    file = open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb")  # noqa: PTH123, SIM115
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(path)
    return file


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
    record = f"{folder}/moved"
    moved = read_record(record)
    failed = [f"figure-{name.removesuffix('.failed')}.png" for name in names if name.endswith(".failed")]
    for number in sorted(int(match[1]) for match in map(FIGURE.fullmatch, names) if match):
        path, copy = f"figure-{number}.png", 1
        while os.path.lexists(path):
            copy += 1
            path = f"figure-{number}-{copy}.png"
        try:
            write_record(record, [*moved, path])
            move(f"{folder}/{number}.png", path)
        except OSError:  # the disk is full, or the program has removed permissions or replaced files
            failed.append(f"figure-{number}.png")
        else:
            moved.append(path)
    time.sleep(CLOCK_TICK_SECONDS)  # so that the figures are older than this listing
    if "done" not in names:
        failed.append("figures")
    return set(moved), [[path, 0, None, "no figure"] for path in failed]


def read_record(path: str) -> list[str]:
    """Returns the paths that an earlier call recorded, or none if there is no valid record."""
    try:
        with open_regular(path) as file:
            paths: Any = json.load(file)
    except (OSError, ValueError, RecursionError):
        return []
    if not isinstance(paths, list):
        return []
    return [item for item in cast("list[Any]", paths) if isinstance(item, str)]


def write_record(path: str, paths: list[str]) -> None:
    """Replaces the record. Raises OSError."""
    new = f"{path}.new"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(new)  # noqa: PTH108
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:  # noqa: PTH123
        json.dump(paths, file)
    os.replace(new, path)  # noqa: PTH105


def move(source: str, path: str) -> None:
    """Moves a regular file to an unused path, or leaves no file there and raises OSError."""
    import shutil  # imported here because most listings have no figures

    if not stat.S_ISREG(os.lstat(source).st_mode):
        raise OSError(source)
    try:
        shutil.move(source, path)
        os.chmod(path, 0o644)  # noqa: PTH101 - the program's umask may have removed all permissions
    except OSError:
        if os.path.lexists(source):
            with contextlib.suppress(OSError):
                os.unlink(path)  # noqa: PTH108 - an incomplete copy
        raise


if __name__ == "__main__":
    main(json.loads(zlib.decompress(base64.b85decode(sys.argv[1]))))
