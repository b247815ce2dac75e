"""What the tool `file_operations` does: it reads, writes, lists and removes files of the sandbox."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from typing import TYPE_CHECKING

from code_runner.agent_tools.results import Changed, Entry, FilesRead, Listed, ReadFile, UnsavedFile, content
from code_runner.agent_tools.specs import ROOT
from code_runner.agentcore.limits import MAX_WRITE_BYTES
from code_runner.files.content_types import content_type
from sandpiper_contract.errors import InvalidRequest, PayloadTooLarge
from sandpiper_contract.truncation import truncate

if TYPE_CHECKING:
    from collections.abc import Callable

    from code_runner.agent_tools.specs import TextFile
    from code_runner.session import CodeSession

NOT_THERE = "the sandbox has no such file that can be read; the operation list shows what is there"
NOT_CARRIED = "it is larger than one answer of the service carries; read a part of it by execute_code"


def file_operation(
    operation: str, paths: tuple[str, ...] | None, entries: tuple[TextFile, ...] | None
) -> Callable[[CodeSession], FilesRead | Changed | Listed]:
    """What is to be done in a session. Raises InvalidRequest, PayloadTooLarge for what cannot be done in any."""
    if operation == "write":
        return _write(paths, entries)
    if entries is not None:
        raise InvalidRequest(f"content is for write alone, and the operation is {operation}")
    if operation == "list":
        return lambda session: _list(session, paths or (ROOT,))
    if not paths or ROOT in paths:
        raise InvalidRequest(f"{operation} needs paths, a list of at least one file path")
    return lambda session: {"read": _read, "remove": _remove}[operation](session, paths)


def _write(paths: tuple[str, ...] | None, entries: tuple[TextFile, ...] | None) -> Callable[[CodeSession], Changed]:
    if paths is not None or not entries:
        raise InvalidRequest('write needs content alone, a list such as [{"path": "out.txt", "text": "hello"}]')
    files: dict[str, bytes] = {}
    for index, entry in enumerate(entries):
        if entry.path in files:
            raise InvalidRequest(
                f"content[{index}].path is {truncate(repr(entry.path))} again; allowed: each path once"
            )
        files[entry.path] = entry.text
    if (size := sum(map(len, files.values()))) > MAX_WRITE_BYTES:
        raise PayloadTooLarge(f"content: {size:,} bytes in all; one call carries {MAX_WRITE_BYTES:,}")

    def write(session: CodeSession) -> Changed:
        session.client.write_files(files)
        return Changed(operation="write", paths=tuple(files))

    return write


def _remove(session: CodeSession, paths: tuple[str, ...]) -> Changed:
    session.client.remove_files(paths)
    return Changed(operation="remove", paths=paths)


def _list(session: CodeSession, folders: tuple[str, ...]) -> Listed:
    entries: list[Entry] = []
    for folder in folders:
        below = "" if folder == ROOT else f"{folder}/"
        found = session.client.list_files("" if folder == ROOT else folder)
        entries += [Entry(path=f"{below}{file.name}", kind=file.kind) for file in found]
    return Listed(entries=tuple(entries))


def _read(session: CodeSession, paths: tuple[str, ...]) -> FilesRead:
    """In one call, or one by one where that is refused, so that one file does not cost the others."""
    found: dict[str, bytes] = {}
    if len(paths) > 1:
        with suppress(PayloadTooLarge):
            found = session.client.read_files(paths) or {}
    files: list[ReadFile] = []
    not_read: list[UnsavedFile] = []
    for path in paths:
        answer = found[path] if path in found else _read_alone(session, path)
        if isinstance(answer, bytes):
            files.append(_whole(path, answer))
        else:
            not_read.append(UnsavedFile(path=path, reason=answer))
    if not files:
        raise InvalidRequest("; ".join(f"{file.path}: {file.reason}" for file in not_read))
    return FilesRead(files=tuple(files), not_read=tuple(not_read))


def _read_alone(session: CodeSession, path: str) -> bytes | str:
    """The file, or why there is none."""
    try:
        return (session.client.read_files([path]) or {}).get(path, NOT_THERE)
    except PayloadTooLarge:
        return NOT_CARRIED


def _whole(path: str, data: bytes) -> ReadFile:
    text, base64 = content(data)
    sha256 = hashlib.sha256(data).hexdigest()
    return ReadFile(path=path, content_type=content_type(path), size=len(data), sha256=sha256, text=text, base64=base64)
