"""Script that runs inside the sandbox: splits and joins files, sends files to S3 and fetches them.

It does not import other modules of the product and is started with `python3 -I`. Links are never followed: a file is
opened one path component at a time. S3 is reached with the AWS CLI, which uses the interpreter's execution role.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import stat
import subprocess
import sys
import zlib
from typing import IO, Any, cast

BLOCK_BYTES = 1 << 20
AWS_S3_CP = ["aws", "s3", "cp", "--only-show-errors"]


def main(task: dict[str, Any]) -> None:
    """Performs the operation of `task` and prints its result as JSON after a marker."""
    operations = {"split": split, "join": join, "send": send, "fetch": fetch}
    print("\n" + task["marker"] + json.dumps(operations[task["operation"]](task)))


def split(task: dict[str, Any]) -> int:
    """Writes the chunks of a file as 0, 1, … in a new folder. Returns their number."""
    shutil.rmtree(task["folder"], ignore_errors=True)
    os.mkdir(task["folder"], 0o700)  # noqa: PTH102
    count = 0
    with open_regular(task["path"]) as source:
        while block := source.read(task["chunkBytes"]):
            with open(f"{task['folder']}/{count}", "xb") as chunk:  # noqa: PTH123
                chunk.write(block)
            count += 1
    return count


def join(task: dict[str, Any]) -> bool:
    """Joins chunks and moves the file to its path. Returns whether it has the expected digest."""
    joined, sha256 = f"{task['folder']}/whole", hashlib.sha256()
    with open(joined, "wb") as target:  # noqa: PTH123
        for number in range(task["chunks"]):
            with open_regular(f"{task['folder']}/{number}") as chunk:
                while block := chunk.read(BLOCK_BYTES):
                    sha256.update(block)
                    target.write(block)
    if sha256.hexdigest() != task["sha256"]:
        return False
    move(joined, task["path"])
    return True


def send(task: dict[str, Any]) -> list[str]:
    """Sends files. Each is [path, size, sha256, target URI]. Returns a status for each."""
    return [send_file(path, size, sha256, uri, task["region"]) for path, size, sha256, uri in task["files"]]


def send_file(path: str, size: int, sha256: str, uri: str, region: str) -> str:
    """Sends one file. Reads it once, so that the digest belongs to the content that was sent.

    Returns `sent`; `unreadable`; `changed` since it was listed; or `refused` by S3 or without an AWS CLI.
    """
    try:
        file = open_regular(path)
    except OSError:
        return "unreadable"
    with file:
        if os.fstat(file.fileno()).st_size != size:
            return "changed"
        digest, length = hashlib.sha256(), 0
        try:
            command = [*AWS_S3_CP, "--region", region, "--expected-size", str(size), "-", uri]
            with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=sys.stderr) as process:  # noqa: S603
                pipe = cast("IO[bytes]", process.stdin)
                while block := file.read(BLOCK_BYTES):
                    digest.update(block)
                    length += len(block)
                    pipe.write(block)
        except OSError:  # no AWS CLI, or it ended early
            return "refused"
    if process.returncode:
        return "refused"
    return "sent" if length == size and digest.hexdigest() == sha256 else "changed"


def fetch(task: dict[str, Any]) -> list[int | str]:
    """Fetches objects. Each is [source URI, sha256, path]. Returns the change time in µs, or a status, for each."""
    shutil.rmtree(task["folder"], ignore_errors=True)
    os.mkdir(task["folder"], 0o700)  # noqa: PTH102
    return [
        fetch_file(uri, sha256, path, f"{task['folder']}/{number}", task["region"])
        for number, (uri, sha256, path) in enumerate(task["files"])
    ]


def fetch_file(uri: str, sha256: str, path: str, temporary: str, region: str) -> int | str:
    """Fetches one object and moves it to its path.

    Returns the file's change time in µs; `refused` by S3 or without an AWS CLI; or `changed` if the content is not
    that of the staged object.
    """
    try:
        command = [*AWS_S3_CP, "--region", region, uri, temporary]
        ended = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=sys.stderr, check=False)  # noqa: S603
        if ended.returncode:
            return "refused"
        with open(temporary, "rb") as file:  # noqa: PTH123
            digest = hashlib.sha256()
            while block := file.read(BLOCK_BYTES):
                digest.update(block)
    except OSError:
        return "refused"
    if digest.hexdigest() != sha256:
        return "changed"
    move(temporary, path)
    return os.lstat(path).st_ctime_ns // 1000


def move(source: str, path: str) -> None:
    """Moves a finished file to its path. A link at the path is replaced, not followed."""
    folder = os.path.dirname(path)  # noqa: PTH120
    if folder:
        os.makedirs(folder, exist_ok=True)  # noqa: PTH103
    os.replace(source, path)  # noqa: PTH105


def open_regular(path: str) -> IO[bytes]:
    """Opens a regular file below the working directory without following links. Raises OSError."""
    *folders, name = path.split("/")
    parent = os.open(".", os.O_RDONLY | os.O_DIRECTORY)
    try:
        for folder in folders:
            child = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
            os.close(parent)
            parent = child
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
        file = open(os.open(name, flags, dir_fd=parent), "rb")  # noqa: PTH123, SIM115
    finally:
        os.close(parent)
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(path)
    return file


if __name__ == "__main__":
    main(json.loads(zlib.decompress(base64.b85decode(sys.argv[1]))))
