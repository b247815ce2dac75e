"""Request bodies of the embedded AWS, in memory and in files."""

from __future__ import annotations

import asyncio
import copy
import hashlib
import os
import tempfile
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import pytest

from local_aws.ministack import request_body
from local_aws.ministack.gateway import Gateway
from local_aws.ministack.request_body import (
    MEMORY_BYTES,
    MIN_AVAILABLE_BYTES,
    BodyWriter,
    DiskFullError,
    FileBody,
    MemoryFullError,
    digest_of,
    in_file,
    require_memory,
)

if TYPE_CHECKING:
    from pathlib import Path

CONTENT = bytes(range(256)) * (MEMORY_BYTES // 256) + b"end"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The temporary folder of the test."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_large_body_is_in_a_file_without_a_name(folder: Path) -> None:
    body = in_file(CONTENT)
    assert isinstance(body, FileBody)
    assert (bytes(body), len(body), body[:3], body[-3:], body[5]) == (CONTENT, len(CONTENT), b"\0\1\2", b"end", 5)
    assert list(folder.iterdir()) == []
    assert isinstance(body[1:], memoryview)
    assert body[1:] == CONTENT[1:]
    assert copy.deepcopy({"body": body})["body"] is body
    for name in ("md5", "sha256"):
        assert digest_of(body, name) == digest_of(CONTENT, name) == hashlib.new(name, CONTENT).digest()


def test_other_bodies_are_in_memory() -> None:
    assert type(in_file(CONTENT[:MEMORY_BYTES])) is bytes
    writer = BodyWriter(in_file=False)
    writer.write(CONTENT)
    assert type(writer.body()) is bytes
    assert BodyWriter(in_file=True).body() == b""


@pytest.mark.parametrize(("size", "accepted"), [(100, True), (101, False)])
def test_object_that_leaves_too_little_memory_is_refused(
    size: int, accepted: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    info = tmp_path / "meminfo"
    info.write_text(f"MemTotal: 9999999 kB\nMemAvailable: {MIN_AVAILABLE_BYTES // 1024 + 100} kB\nHugePages_Total: 0\n")
    monkeypatch.setattr(request_body, "MEMORY_INFO", info)
    with nullcontext() if accepted else pytest.raises(MemoryFullError):
        require_memory(size * 1024)


@pytest.mark.parametrize(("available", "status"), [(MIN_AVAILABLE_BYTES, 200), (0, 413)])
@pytest.mark.parametrize("method", ["PUT", "GET"])
def test_gateway_holds_no_object_that_leaves_too_little_memory(
    method: str, available: int, status: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    info = tmp_path / "meminfo"
    info.write_text(f"MemAvailable: {available // 1024 + 1} kB\n")
    monkeypatch.setattr(request_body, "MEMORY_INFO", info)
    sent: list[dict[str, Any]] = []

    async def application(_scope: object, _receive: object, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200})

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"content"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    gateway = Gateway(application, 80, lambda _: None, lambda _: None, lambda _: True)
    scope = {"type": "http", "method": method, "path": "/b/k", "raw_path": b"/b/k", "query_string": b""}
    asyncio.run(gateway({**scope, "headers": [(b"host", b"127.0.0.1:80")]}, receive, send))
    assert sent[0]["status"] == (status if method == "PUT" else 200)


def test_body_that_leaves_too_little_space_is_refused(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    space = os.statvfs(folder)
    monkeypatch.setattr(request_body, "MIN_FREE_BYTES", space.f_bavail * space.f_frsize)
    with pytest.raises(DiskFullError):
        in_file(CONTENT)
    assert type(in_file(b"small")) is bytes
