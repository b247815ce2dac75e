"""Saves files of a sandbox to the workspace, and reports the files that could not be saved with the reasons."""

from __future__ import annotations

from typing import TYPE_CHECKING

from code_runner.agent_tools.results import FilesPushed, SavedFile, UnsavedFile
from code_runner.agent_tools.specs import ROOT
from code_runner.agent_tools.workspace import workspace_path
from code_runner.agentcore.limits import FUNCTION_TRANSFER_BYTES
from code_runner.files.outputs import CollectedOutputs, OutputSink, collect
from sandpiper_contract.errors import InvalidRequest, StorageError
from sandpiper_contract.files import MAX_FILES, Outputs, SkipReason
from sandpiper_contract.globs import Pattern
from sandpiper_contract.truncation import truncate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from code_runner.agent_tools.workspace import Workspace
    from code_runner.session import CodeSession

MAX_SAVED_BYTES = FUNCTION_TRANSFER_BYTES
"""Maximum total size of the files that one call saves. They are held in memory."""
NOTHING_CHANGED = 2**63 - 1
"""A time of the last scan at which no file counts as changed, so that only the requested files are listed."""
NOT_SAVED: dict[SkipReason, str] = {
    SkipReason.NOT_FOUND: "the sandbox has no such file; use exactly the name that the code wrote",
    SkipReason.NOT_REGULAR: "it is a link, a pipe or a device; save a regular file",
    SkipReason.TOO_MANY_FILES: f"one call saves at most {MAX_FILES:,} files; save it in another call",
    SkipReason.TOO_MANY_BYTES: f"one call saves at most {MAX_SAVED_BYTES:,} bytes in total; save it in another call, "
    "or compress or split it if it exceeds the limit on its own",
}

Saved = tuple[tuple[SavedFile, ...], tuple[UnsavedFile, ...]]
"""The saved files, and the files that could not be saved."""


def check_distinct_names(paths: Sequence[str]) -> None:
    """Raises InvalidRequest if two files would have the same path in the workspace."""
    first: dict[str, int] = {}
    for index, path in enumerate(paths):
        before = first.setdefault(workspace_path(path), index)
        if before != index:
            raise InvalidRequest(
                f"paths[{index}] is {truncate(repr(path))}, and paths[{before}] has the same file name; "
                f"allowed: unique file names, because both would be {workspace_path(path)}. Nothing was saved: rename "
                "one of the files"
            )


def push(session: CodeSession, paths: Sequence[str] | None, workspace: Workspace) -> FilesPushed:
    """Saves these files, or all files in the root folder. Raises RunError if the session has ended."""
    collected = _in_root(session) if paths is None else _by_path(session, paths)
    if any(file.reason is SkipReason.NOT_LISTED for file in collected.skipped):
        session.client.list_files()  # raises if the session has ended
    saved, not_saved = _save(collected, paths or (), workspace)
    return FilesPushed(saved=saved, not_saved=not_saved)


def save(session: CodeSession, path: str, workspace: Workspace) -> Saved:
    """Saves a file after the code that wrote it. Reports errors in the result instead of raising them."""
    return _save(_by_path(session, [path]), [path], workspace)


def _by_path(session: CodeSession, paths: Sequence[str]) -> CollectedOutputs:
    """Collects the files with exactly these paths, whether changed or not."""
    return _collect(session, tuple(Pattern(_escape(path)) for path in paths), NOTHING_CHANGED)


def _in_root(session: CodeSession) -> CollectedOutputs:
    return _collect(session, (Pattern("*"),), 0)


def _collect(session: CodeSession, patterns: tuple[Pattern, ...], scanned_at_us: int) -> CollectedOutputs:
    outputs = Outputs(paths=patterns, max_files=MAX_FILES, max_bytes=MAX_SAVED_BYTES)
    return collect(session.client, {}, outputs, scanned_at_us, OutputSink(None, None))


def _escape(path: str) -> str:
    """Returns the glob pattern that matches only this path."""
    return "".join(f"[{character}]" if character in "*?[" else character for character in path)


def _save(collected: CollectedOutputs, requested: Sequence[str], workspace: Workspace) -> Saved:
    """Saves the collected files. Reports every requested file that was not saved."""
    saved: list[SavedFile] = []
    skipped = (file for file in collected.skipped if file.reason is not SkipReason.NOT_REQUESTED)
    not_saved = [UnsavedFile(path=file.path, reason=NOT_SAVED.get(file.reason, file.reason)) for file in skipped]
    for file in collected.files:
        try:
            saved.append(workspace.save(file.path, file.base64 or b""))
        except StorageError as error:
            not_saved.append(UnsavedFile(path=file.path, reason=str(error)))
    reported = {file.path for file in not_saved} | {file.source for file in saved}
    if ROOT not in reported:
        missing = (path for path in requested if path not in reported)
        not_saved += [UnsavedFile(path=path, reason=NOT_SAVED[SkipReason.NOT_FOUND]) for path in missing]
    return tuple(saved), tuple(not_saved)
