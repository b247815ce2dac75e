"""Script that runs inside the sandbox: exchanges files with S3 by presigned URLs, and splits and joins files.

It does not import other modules of the product and is started with `python3 -I -S`. Links are never followed: a file is
opened one path component at a time. Files are streamed, so their size does not matter for memory.
"""

from __future__ import annotations

import base64
import contextlib
import functools
import hashlib
import http.client
import json
import os
import shutil
import stat
import sys
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from typing import IO, TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterable, Iterator

BLOCK_BYTES = 1 << 20
CONNECTIONS = 8
CONNECT_SECONDS = 5.0
"""How long to try to reach S3, including its name and TLS."""
SILENCE_SECONDS = 60.0
"""How long to wait for S3 to accept or send the next bytes."""
RETRY_DELAYS_SECONDS = (0.5, 2.0)
CONFLICT, PRECONDITION_FAILED = 409, 412

LOCAL = threading.local()
"""The connection of each thread."""


def main(task: dict[str, Any]) -> None:
    """Performs the operation of `task` and prints its result as JSON after a marker."""
    operations = {"split": split, "join": join, "upload": upload, "download": download}
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


def upload(task: dict[str, Any]) -> list[str]:
    """Sends files, each [path, size, start of its SHA-256, content type], to its URL.

    Returns a status for each: `sent`; `exists` if the object exists already; `changed` since the file was listed;
    `unreadable`; `unreachable` if no connection to S3 can be opened; `interrupted`; `late` if no time was left; or the
    error of S3, such as `403 AccessDenied`.
    """

    def send(row: list[Any], url: str) -> str:
        try:
            with open_regular(row[0]) as file:
                return send_file(file, row, url, until)
        except StopError as stop:
            return stop.status
        except OSError:
            return "unreadable"

    until = time.monotonic() + task["seconds"]
    return for_each(send, task)


def send_file(file: IO[bytes], row: list[Any], url: str, until: float) -> str:
    """Sends one file and returns the status. It is read twice, because S3 requires the digest before the content."""
    _, size, sha256, content_type = row
    digest = digest_of(file)
    if file.tell() != size or not digest.hexdigest().startswith(sha256):
        return "changed"
    headers = {
        "Content-Length": str(size),
        "Content-Type": content_type,
        "If-None-Match": "*",
        "x-amz-checksum-sha256": base64.b64encode(digest.digest()).decode(),
        "x-amz-meta-sha256": digest.hexdigest(),
    }

    def blocks() -> Iterator[bytes]:
        file.seek(0)
        sent, remaining = hashlib.sha256(), size
        while block := file.read(min(BLOCK_BYTES, remaining)):
            sent.update(block)
            remaining -= len(block)
            yield block
        if sent.digest() != digest.digest():
            raise StopError("changed")

    def put() -> tuple[int, str]:
        response = exchange("PUT", url, headers, until, blocks())
        return response.status, error_code(response)

    status, code = with_retries(put, until)
    return {200: "sent", PRECONDITION_FAILED: "exists"}.get(status, f"{status} {code}")


def download(task: dict[str, Any]) -> list[int | str]:
    """Writes files: `contents`, each [path, content in base64], and `files`, each [path, size, ETag] from its URL.

    Returns the change time in µs for each, or a status: those of `upload`, or `unwritable` with the cause.
    """
    until, folder = time.monotonic() + task["seconds"], task["folder"]

    def write(path: str, get_content: Callable[[str], None]) -> int | str:
        temporary = f"{folder}/{hashlib.sha256(path.encode()).hexdigest()}"
        try:
            get_content(temporary)
            move(temporary, path)
            return os.lstat(path).st_ctime_ns // 1000
        except StopError as stop:
            return stop.status
        except OSError as error:
            return f"unwritable: {error.strerror}"

    def decode(content: str, temporary: str) -> None:
        with open(temporary, "wb") as file:  # noqa: PTH123
            file.write(base64.b64decode(content))

    shutil.rmtree(folder, ignore_errors=True)
    os.mkdir(folder, 0o700)  # noqa: PTH102
    try:
        written = [write(path, functools.partial(decode, content)) for path, content in task["contents"]]
        return written + for_each(
            lambda row, url: write(row[0], functools.partial(fetch_file, url, row[1], row[2], until)), task
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def fetch_file(url: str, size: int, etag: str, until: float, temporary: str) -> None:
    """Fetches one object to a file. Raises StopError."""
    headers = {"If-Match": etag, "x-amz-checksum-mode": "ENABLED"}

    def get() -> tuple[int, str]:
        response = exchange("GET", url, headers, until)
        if response.status != 200:
            return response.status, error_code(response)
        digest, length = hashlib.sha256(), 0
        with open(temporary, "wb") as file:  # noqa: PTH123
            while block := response.read(BLOCK_BYTES):
                digest.update(block)
                length += len(block)
                write_block(file, block)
                check_time(until)
        # A checksum of parts contains a hyphen and is not that of the content.
        expected = response.getheader("x-amz-checksum-sha256") or "-"
        if length != size or ("-" not in expected and base64.b64decode(expected) != digest.digest()):
            raise http.client.HTTPException("another content")
        return 200, ""

    status, code = with_retries(get, until)
    if status != 200:
        raise StopError("changed" if status == PRECONDITION_FAILED else f"{status} {code}")


class StopError(Exception):
    """Raised when a transfer cannot succeed. `status` is its result."""

    def __init__(self, status: str) -> None:
        super().__init__(status)
        self.status = status


def write_block(file: IO[bytes], block: bytes) -> None:
    """Writes to a file. Its errors are StopError, because they are not those of the connection."""
    try:
        file.write(block)
        file.flush()
    except OSError as error:
        raise StopError(f"unwritable: {error.strerror}") from error


def digest_of(file: IO[bytes]) -> Any:
    """Returns the SHA-256 of the rest of a file, as an object of hashlib."""
    digest = hashlib.sha256()
    while block := file.read(BLOCK_BYTES):
        digest.update(block)
    return digest


def for_each(function: Callable[[list[Any], str], Any], task: dict[str, Any]) -> list[Any]:
    """Calls a function with each row and its URL, several at a time, or returns `unreachable` for all."""
    urls = [task["base"] + tail + task["queries"][query] + signature for tail, query, signature in task["urls"]]
    if urls and not is_reachable(urls[0]):
        return ["unreachable"] * len(urls)
    with ThreadPoolExecutor(CONNECTIONS) as threads:
        return list(threads.map(function, task["files"], urls))


def is_reachable(url: str) -> bool:
    """Returns whether a connection to the host of a URL can be opened within CONNECT_SECONDS."""
    connected = threading.Event()

    def connect() -> None:
        with contextlib.suppress(OSError):
            new_connection(url).connect()
            connected.set()

    # Resolving a name has no timeout. A daemon thread does not prevent the end of the script.
    thread = threading.Thread(target=connect, daemon=True)
    thread.start()
    thread.join(CONNECT_SECONDS)
    return connected.is_set()


def new_connection(url: str) -> http.client.HTTPConnection:
    """Returns a connection to the host of a URL, not yet open. TLS certificates are verified."""
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    return kind(parts.hostname or "", parts.port, timeout=CONNECT_SECONDS, blocksize=BLOCK_BYTES)


def exchange(
    method: str, url: str, headers: dict[str, str], until: float, body: Iterable[bytes] = ()
) -> http.client.HTTPResponse:
    """Sends a request on this thread's connection and returns the response.

    Raises:
        OSError, HTTPException: The connection failed.
        StopError: No time is left, or the body changed.
    """
    if not hasattr(LOCAL, "connection"):
        LOCAL.connection = new_connection(url)
    connection: http.client.HTTPConnection = LOCAL.connection
    try:
        if connection.sock is None:
            connection.connect()
            cast("socket.socket", connection.sock).settimeout(SILENCE_SECONDS)
        parts = urlsplit(url)
        connection.putrequest(method, f"{parts.path}?{parts.query}")
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders()
        try:
            for block in body:
                check_time(until)
                connection.send(block)
        except OSError:  # S3 may reject a request and close the connection before it has read the whole body
            response = connection.getresponse()
            if response.status < 400:
                raise
            del LOCAL.connection
            return response
        return connection.getresponse()
    except BaseException:
        LOCAL.__dict__.pop("connection", None)
        raise


def with_retries(send: Callable[[], tuple[int, str]], until: float) -> tuple[int, str]:
    """Sends a request, and repeats it when S3 failed or did not respond. Returns the response's status and code.

    Raises:
        StopError: There was no response, or no time is left.
    """
    for delay in (*RETRY_DELAYS_SECONDS, None):
        check_time(until)
        try:
            status, code = send()
        except (OSError, http.client.HTTPException):
            LOCAL.__dict__.pop("connection", None)
            if delay is None:
                raise StopError("interrupted") from None
        else:
            if delay is None or (status < 500 and status != CONFLICT):
                return status, code
        time.sleep(delay)
    raise AssertionError("the last delay is None")


def check_time(until: float) -> None:
    """Raises StopError if no time is left."""
    if time.monotonic() > until:
        raise StopError("late")


def error_code(response: http.client.HTTPResponse) -> str:
    """Reads a response of S3 and returns its error code, or an empty text."""
    text = response.read(BLOCK_BYTES).decode("utf-8", "replace")
    return text.partition("<Code>")[2].partition("</Code>")[0][:100]


def move(source: str, path: str) -> None:
    """Moves a finished file to its path below the working directory. A link at the path is replaced, not followed.

    Raises:
        OSError: A parent of the path is a link or a file.
    """
    parent, name = open_parent(path, create=True)
    try:
        os.replace(source, name, dst_dir_fd=parent)
    finally:
        os.close(parent)


def open_parent(path: str, *, create: bool = False) -> tuple[int, str]:
    """Opens the folder of a path below the working directory without following links. Returns it and the name."""
    *folders, name = path.split("/")
    parent = os.open(".", os.O_RDONLY | os.O_DIRECTORY)
    for folder in folders:
        try:
            if create:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(folder, dir_fd=parent)
            child = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
        finally:
            os.close(parent)
        parent = child
    return parent, name


def open_regular(path: str) -> IO[bytes]:
    """Opens a regular file below the working directory without following links. Raises OSError."""
    parent, name = open_parent(path)
    try:
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
