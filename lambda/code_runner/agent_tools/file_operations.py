"""Implements the tool `file_operations`: reads, writes, lists and removes files of the sandbox."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from typing import TYPE_CHECKING

from code_runner.agent_tools.results import Entry, FilesChanged, FilesListed, FilesRead, ReadFile, UnsavedFile, content
from code_runner.agent_tools.specs import ROOT
from code_runner.agentcore.limits import MAX_WRITE_BYTES
from code_runner.files.content_types import content_type
from sandpiper_contract.errors import InvalidRequest, PayloadTooLarge
from sandpiper_contract.truncation import truncate

if TYPE_CHECKING:
    from collections.abc import Callable

    from code_runner.agent_tools.specs import TextFile
    from code_runner.session import CodeSession

NOT_FOUND = "the sandbox has no readable file with this path; use the operation list to see the files"
TOO_LARGE = "the file exceeds the size limit of a response; read a part of it with execute_code"


def file_operation(
    operation: str, paths: tuple[str, ...] | None, entries: tuple[TextFile, ...] | None
) -> Callable[[CodeSession], FilesRead | FilesChanged | FilesListed]:
    """Returns the operation as a function of a session.

    Raises:
        InvalidRequest: The arguments are not valid for the operation.
        PayloadTooLarge: The files to write exceed the size limit of a call.
    """
    if operation == "write":
        return _write(paths, entries)
    if entries is not None:
        raise InvalidRequest(f"content is set for the operation {operation}; allowed: only with write")
    if operation == "list":
        return lambda session: _list(session, paths or (ROOT,))
    if not paths or ROOT in paths:
        raise InvalidRequest(
            f"paths is missing or has no file; allowed: at least one file path for the operation {operation}"
        )
    return lambda session: {"read": _read, "remove": _remove}[operation](session, paths)


def _write(
    paths: tuple[str, ...] | None, entries: tuple[TextFile, ...] | None
) -> Callable[[CodeSession], FilesChanged]:
    if paths is not None or not entries:
        raise InvalidRequest(
            "paths is set or content is missing; allowed with write: content only, such as "
            '[{"path": "out.txt", "text": "hello"}]'
        )
    files: dict[str, bytes] = {}
    for index, entry in enumerate(entries):
        if entry.path in files:
            raise InvalidRequest(
                f"content[{index}].path is {truncate(repr(entry.path))}, a duplicate; allowed: unique paths"
            )
        files[entry.path] = entry.text
    if (size := sum(map(len, files.values()))) > MAX_WRITE_BYTES:
        raise PayloadTooLarge(f"content has {size:,} bytes in total; allowed: {MAX_WRITE_BYTES:,} in one call")

    def write(session: CodeSession) -> FilesChanged:
        session.client.write_files(files)
        return FilesChanged(operation="write", paths=tuple(files))

    return write


def _remove(session: CodeSession, paths: tuple[str, ...]) -> FilesChanged:
    session.client.remove_files(paths)
    return FilesChanged(operation="remove", paths=paths)


def _list(session: CodeSession, folders: tuple[str, ...]) -> FilesListed:
    entries: list[Entry] = []
    for folder in folders:
        prefix = "" if folder == ROOT else f"{folder}/"
        files = session.client.list_files("" if folder == ROOT else folder)
        entries += [Entry(path=f"{prefix}{file.name}", kind=file.kind) for file in files]
    return FilesListed(entries=tuple(entries))


def _read(session: CodeSession, paths: tuple[str, ...]) -> FilesRead:
    """Reads the files in one call, or one by one if they are too large together."""
    contents: dict[str, bytes] = {}
    if len(paths) > 1:
        with suppress(PayloadTooLarge):
            contents = session.client.read_files(paths) or {}
    files: list[ReadFile] = []
    not_read: list[UnsavedFile] = []
    for path in paths:
        result = contents[path] if path in contents else _read_one(session, path)
        if isinstance(result, bytes):
            files.append(_read_file(path, result))
        else:
            not_read.append(UnsavedFile(path=path, reason=result))
    if not files:
        raise InvalidRequest("; ".join(f"{file.path}: {file.reason}" for file in not_read))
    return FilesRead(files=tuple(files), not_read=tuple(not_read))


def _read_one(session: CodeSession, path: str) -> bytes | str:
    """Returns the content, or the reason why it cannot be read."""
    try:
        return (session.client.read_files([path]) or {}).get(path, NOT_FOUND)
    except PayloadTooLarge:
        return TOO_LARGE


def _read_file(path: str, data: bytes) -> ReadFile:
    text, base64 = content(data)
    sha256 = hashlib.sha256(data).hexdigest()
    return ReadFile(path=path, content_type=content_type(path), size=len(data), sha256=sha256, text=text, base64=base64)
