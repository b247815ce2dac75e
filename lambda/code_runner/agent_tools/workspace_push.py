"""Saves files of a sandbox to the workspace; each that was to be saved and is not is named with its reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

from code_runner.agent_tools.results import Pushed, SavedFile, UnsavedFile
from code_runner.agent_tools.specs import ROOT
from code_runner.agent_tools.workspace import address_of
from code_runner.agentcore.limits import DIRECT_TRANSFER_BYTES
from code_runner.files.outputs import CollectedOutputs, OutputSink, collect
from sandpiper_contract.errors import InvalidRequest, StorageError
from sandpiper_contract.files import MAX_FILES, Outputs, SkipReason
from sandpiper_contract.globs import Pattern
from sandpiper_contract.truncation import truncate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from code_runner.agent_tools.workspace import Workspace
    from code_runner.session import CodeSession

MOST_SAVED_BYTES = DIRECT_TRANSFER_BYTES
"""Of the files that one call saves, which pass through memory."""
NEVER = 2**63 - 1
"""By the sandbox's clock: with it nothing counts as changed, and only what is asked for is named."""
NOT_SAVED: dict[SkipReason, str] = {
    SkipReason.NOT_FOUND: "the sandbox has no such file; the name must be exactly the one that the code saved",
    SkipReason.NOT_REGULAR: "it is a link, a pipe or a device, which are not followed; save a regular file",
    SkipReason.TOO_MANY_FILES: f"one call saves at most {MAX_FILES:,} files; name it in a further call",
    SkipReason.TOO_MANY_BYTES: f"one call saves at most {MOST_SAVED_BYTES:,} bytes in all; name it in a further call, "
    "or compress or split it where it is larger than that alone",
}

Saved = tuple[tuple[SavedFile, ...], tuple[UnsavedFile, ...]]
"""What lies in the workspace now, and what does not."""


def refuse_same_names(paths: Sequence[str]) -> None:
    """Raises InvalidRequest for two paths that would have one address in the workspace."""
    first: dict[str, int] = {}
    for index, path in enumerate(paths):
        before = first.setdefault(address_of(path), index)
        if before != index:
            raise InvalidRequest(
                f"paths[{index}] is {truncate(repr(path))}, and paths[{before}] has the same name: both would be "
                f"{address_of(path)}, since the workspace is flat. Nothing was saved; rename one, or save one at a time"
            )


def push(session: CodeSession, paths: Sequence[str] | None, workspace: Workspace) -> Pushed:
    """Saves these files, or all that lie in the root. Raises RunError where the session has ended."""
    collected = _in_root(session) if paths is None else _named(session, paths)
    if any(file.reason is SkipReason.NOT_LISTED for file in collected.skipped):
        session.client.list_files()  # raises where the session has ended
    saved, not_saved = _save(collected, paths or (), workspace)
    return Pushed(saved=saved, not_saved=not_saved)


def save(session: CodeSession, path: str, workspace: Workspace) -> Saved:
    """Saves one file after the code that made it; nothing is raised."""
    return _save(_named(session, [path]), [path], workspace)


def _named(session: CodeSession, paths: Sequence[str]) -> CollectedOutputs:
    """The files of these very names, changed or not."""
    return _collected(session, tuple(Pattern(_literally(path)) for path in paths), NEVER)


def _in_root(session: CodeSession) -> CollectedOutputs:
    return _collected(session, (Pattern("*"),), 0)


def _collected(session: CodeSession, patterns: tuple[Pattern, ...], scanned_at_us: int) -> CollectedOutputs:
    outputs = Outputs(paths=patterns, max_files=MAX_FILES, max_bytes=MOST_SAVED_BYTES)
    return collect(session.client, {}, outputs, scanned_at_us, OutputSink(None, None))


def _literally(path: str) -> str:
    """The glob that matches this path alone."""
    return "".join(f"[{character}]" if character in "*?[" else character for character in path)


def _save(collected: CollectedOutputs, asked: Sequence[str], workspace: Workspace) -> Saved:
    """Puts what came back into the workspace. Of what was asked for, all is named that is not there now."""
    saved: list[SavedFile] = []
    skipped = (file for file in collected.skipped if file.reason is not SkipReason.NOT_CHOSEN)
    not_saved = [UnsavedFile(path=file.path, reason=NOT_SAVED.get(file.reason, file.reason)) for file in skipped]
    for file in collected.files:
        try:
            saved.append(workspace.save(file.path, file.base64 or b""))
        except StorageError as error:
            not_saved.append(UnsavedFile(path=file.path, reason=str(error)))
    told = {file.path for file in not_saved} | {file.source for file in saved}
    if ROOT not in told:
        missing = (path for path in asked if path not in told)
        not_saved += [UnsavedFile(path=path, reason=NOT_SAVED[SkipReason.NOT_FOUND]) for path in missing]
    return tuple(saved), tuple(not_saved)
