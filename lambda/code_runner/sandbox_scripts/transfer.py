"""Runs inside the sandbox, alone: cuts files into parts and joins parts, sends files to S3 and fetches them.

Nothing here imports the product. Started with `python3 -I`. Links are never followed: a file is opened one step of its
path after another. S3 is reached by the AWS CLI, which has the interpreter's execution role.
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
    """Prints the answer to what `task` asks for."""
    does = {"split": split, "join": join, "send": send, "fetch": fetch}
    print("\n" + task["mark"] + json.dumps(does[task["do"]](task)))


def split(task: dict[str, Any]) -> int:
    """Writes a file's parts as 0, 1, … in a new folder; the answer is their number."""
    shutil.rmtree(task["folder"], ignore_errors=True)
    os.mkdir(task["folder"], 0o700)  # noqa: PTH102
    count = 0
    with opened(task["path"]) as source:
        while block := source.read(task["partBytes"]):
            with open(f"{task['folder']}/{count}", "xb") as part:  # noqa: PTH123
                part.write(block)
            count += 1
    return count


def join(task: dict[str, Any]) -> bool:
    """Makes a file of parts and puts it in its place; the answer is whether it has the digest that was said."""
    whole, sha256 = f"{task['folder']}/whole", hashlib.sha256()
    with open(whole, "wb") as target:  # noqa: PTH123
        for number in range(task["parts"]):
            with opened(f"{task['folder']}/{number}") as part:
                while block := part.read(BLOCK_BYTES):
                    sha256.update(block)
                    target.write(block)
    if sha256.hexdigest() != task["sha256"]:
        return False
    put(whole, task["path"])
    return True


def send(task: dict[str, Any]) -> list[str]:
    """Sends files, as [path, size, sha256, where to]; the answer has a word for each.

    They are read once, for their digest and for S3 at the same time, so that what is there is what was looked at.
    """
    return [sent(path, size, sha256, uri, task["region"]) for path, size, sha256, uri in task["files"]]


def sent(path: str, size: int, sha256: str, uri: str, region: str) -> str:
    """`sent`, or why not: `unreadable`, `changed` since it was listed, `refused` by S3 or without a CLI."""
    try:
        file = opened(path)
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
        except OSError:  # no CLI, or one that ended early
            return "refused"
    if process.returncode:
        return "refused"
    return "sent" if length == size and digest.hexdigest() == sha256 else "changed"


def fetch(task: dict[str, Any]) -> list[int | str]:
    """Fetches objects, as [where from, sha256, path]; the answer has the time (µs) of each file's change, or a word."""
    shutil.rmtree(task["folder"], ignore_errors=True)
    os.mkdir(task["folder"], 0o700)  # noqa: PTH102
    return [
        fetched(uri, sha256, path, f"{task['folder']}/{number}", task["region"])
        for number, (uri, sha256, path) in enumerate(task["files"])
    ]


def fetched(uri: str, sha256: str, path: str, whole: str, region: str) -> int | str:
    """When the file changed last, which its last step into place is.

    Or `refused` by S3 or without a CLI, `changed` where what came is not what was put there.
    """
    try:
        command = [*AWS_S3_CP, "--region", region, uri, whole]
        ended = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=sys.stderr, check=False)  # noqa: S603
        if ended.returncode:
            return "refused"
        with open(whole, "rb") as file:  # noqa: PTH123
            digest = hashlib.sha256()
            while block := file.read(BLOCK_BYTES):
                digest.update(block)
    except OSError:
        return "refused"
    if digest.hexdigest() != sha256:
        return "changed"
    put(whole, path)
    return os.lstat(path).st_ctime_ns // 1000


def put(whole: str, path: str) -> None:
    """Moves a finished file into its place. A link that is there is replaced and not followed."""
    folder = os.path.dirname(path)  # noqa: PTH120
    if folder:
        os.makedirs(folder, exist_ok=True)  # noqa: PTH103
    os.replace(whole, path)  # noqa: PTH105


def opened(path: str) -> IO[bytes]:
    """A regular file below the working directory, with no link on the way to it. Raises OSError."""
    *folders, name = path.split("/")
    above = os.open(".", os.O_RDONLY | os.O_DIRECTORY)
    try:
        for folder in folders:
            below = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=above)
            os.close(above)
            above = below
        file = open(os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=above), "rb")  # noqa: PTH123, SIM115
    finally:
        os.close(above)
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(path)
    return file


if __name__ == "__main__":
    main(json.loads(zlib.decompress(base64.b85decode(sys.argv[1]))))
