"""The tools of an agent: one sandbox whose state is kept over calls, and a workspace in S3 for what is to stay.

Not for a workflow's runs, which `operations` claims in S3. A call here is sent once; who makes it again runs it again.
"""

from __future__ import annotations

import hashlib
import logging
import math
import threading
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self, TypeVar

from code_runner.clients import AwsClients
from code_runner.content_types import content_type
from code_runner.deadline import Deadline
from code_runner.outputs import Collected, Keeper, collect
from code_runner.programs import Code, Command
from code_runner.service_errors import session_had_ended
from code_runner.session import log_not_stopped, start_session, stop_or_tell
from code_runner.sizes import DIRECT_BYTES, MOST_CALL_BYTES
from code_runner.tool_answers import (
    Answer,
    Changed,
    Entry,
    Failed,
    FilesRead,
    Listed,
    Pushed,
    Ran,
    ReadFile,
    SavedFile,
    UnsavedFile,
    content,
)
from code_runner.tool_specs import ROOT, TOOL_SPECS, TOOLS, read_arguments
from code_runner.workspace import Workspace, address_of, uploaded
from sandpiper_contract.errors import InvalidRequest, PayloadTooLarge, RunError, StorageError
from sandpiper_contract.files import MOST_FILES, NOTHING, InputFile, Outputs, Pattern, SkipReason, refuse_collisions
from sandpiper_contract.kinds import S3Folder, WholeNumber, cut, refuse, relative_path
from sandpiper_contract.requests import SESSION_TIMEOUT_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from code_runner.clients import Clients
    from code_runner.session import CodeSession
    from code_runner.tool_specs import TextFile
    from sandpiper_contract.kinds import S3Object
    from sandpiper_contract.results import RunResult

__all__ = ["TOOL_SPECS", "CodeInterpreterTools"]

log = logging.getLogger(__name__)

SESSION_SECONDS = 900
"""The service's own default for the life of a session."""
MOST_SAVED_BYTES = DIRECT_BYTES
"""Of the files that one call saves, which pass through memory."""
NEVER = 2**63 - 1
"""By the sandbox's clock: with it nothing counts as changed, and only what is asked for is named."""
SESSION_REPLACED = (
    "The session had ended, by its lifetime or because it was stopped: variables, files and installed packages of "
    "earlier calls are gone. The new one has the uploaded files, and what was saved to the workspace is still there."
)
NO_NETWORK = (
    "The code found no network. An interpreter in SANDBOX mode has none: use what is installed (pip list), or files "
    "that were uploaded. Installing packages and fetching from the web need an interpreter in PUBLIC mode."
)
NO_NETWORK_SIGNS = (
    "Name or service not known",
    "Temporary failure in name resolution",
    "Failed to resolve",
    "Could not resolve host",
    "Network is unreachable",
)
"""What glibc, urllib3, curl and the kernel say without a network."""
NOT_SAVED: dict[SkipReason, str] = {
    SkipReason.NOT_FOUND: "the sandbox has no such file; the name must be exactly the one that the code saved",
    SkipReason.NOT_REGULAR: "it is a link, a pipe or a device, which are not followed; save a regular file",
    SkipReason.TOO_MANY_FILES: f"one call saves at most {MOST_FILES:,} files; name it in a further call",
    SkipReason.TOO_MANY_BYTES: f"one call saves at most {MOST_SAVED_BYTES:,} bytes in all; name it in a further call, "
    "or compress or split it where it is larger than that alone",
}

NOT_THERE = "the sandbox has no such file that can be read; the operation list shows what is there"
NOT_CARRIED = "it is larger than one answer of the service carries; read a part of it by execute_code"

Answered = TypeVar("Answered", bound=Answer)
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class _Uploads:
    """What lies in a session before the first call."""

    files: tuple[InputFile, ...]
    folder: S3Object | None


@dataclass(frozen=True)
class _Open:
    """A session, and when its lifetime ends: not before `earliest_end`, surely by `latest_end`."""

    session: CodeSession
    earliest_end: Deadline
    latest_end: Deadline


class CodeInterpreterTools:
    """The tools of one agent, as methods. A context manager: leaving it stops the session.

    A tool never raises for what a model did or the service answered: it returns `Failed`. The first call that needs a
    session starts it. Calls from several threads take turns, since they share one sandbox.
    """

    def __init__(
        self,
        interpreter_id: str,
        *,
        bucket: str,
        prefix: str = "",
        uploads: Mapping[str, bytes] | None = None,
        uploads_uri: str | None = None,
        session_timeout_seconds: int = SESSION_SECONDS,
        clients: Clients | None = None,
        not_stopped: Callable[[str, RunError], None] = log_not_stopped,
    ) -> None:
        """Calls nothing yet. Raises InvalidRequest for what cannot be.

        `bucket` and `prefix` are where the workspace lies, in its folder `code-interpreter/`. `uploads`, bytes by path,
        and the objects below `uploads_uri` (s3://BUCKET/FOLDER/) lie in each session from its start; an archive lies
        there as it is and is not unpacked. `clients` has region and credentials; without it they are boto3's default
        chain's, and `AwsClients(boto3.Session(…))` gives others.
        """
        self._interpreter_id = interpreter_id
        self._clients = clients or AwsClients()
        lifetime = WholeNumber(*SESSION_TIMEOUT_SECONDS, "seconds")
        self._session_seconds = lifetime.read("session_timeout_seconds", session_timeout_seconds)
        folder = None if uploads_uri is None else S3Folder().read("uploads_uri", uploads_uri)
        files = tuple(InputFile.of(relative_path("uploads", path), data) for path, data in (uploads or {}).items())
        refuse_collisions(files)
        self._uploads = _Uploads(files, folder)
        self._bucket = bucket
        self._prefix = f"{prefix.strip('/')}/".lstrip("/")
        self._not_stopped = not_stopped
        self._open: _Open | None = None
        self._notice: str | None = None
        self._closed = False
        self._turn = threading.RLock()

    def __enter__(self) -> Self:
        """The tools."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stops the session."""
        self.close()

    def close(self) -> None:
        """Stops the session, if there is one. One that cannot be stopped is told to `not_stopped`; later calls fail."""
        with self._turn:
            self._closed = True
            current, self._open = self._open, None
            if current is not None:
                self._stop(current.session)

    def call(self, name: str, tool_input: object) -> Answer:
        """Calls a tool by its name with what a model sent for it."""

        def checked() -> dict[str, Any]:
            if name not in TOOLS:
                raise refuse("tool", name, " | ".join(TOOLS))
            return TOOLS[name].checked_names(tool_input)

        try:
            given = checked()
        except InvalidRequest as error:
            return Failed.of(error)
        return getattr(self, name)(**given)

    def execute_code(self, code: str, language: str = "python", output_filename: str = "") -> Ran | Failed:
        """Runs code in the session, once. The file named `output_filename` is saved to the workspace afterwards.

        Without such a file the answer says so in `not_saved`.
        """

        def work() -> Ran:
            text, known_language, path = read_arguments(
                "execute_code", code=code, language=language, output_filename=output_filename
            )

            def run(session: CodeSession) -> Ran:
                ran = _ran(session.run(Code(text, known_language), outputs=NOTHING))
                if not path:
                    return ran
                saved, not_saved = self._save(_named(session, [path]), [path])
                return replace(ran, saved=saved, not_saved=not_saved)

            return self._in_session(run, runs_code=True)

        return self._answer(work)

    def execute_command(self, command: str) -> Ran | Failed:
        """Runs a shell command in the session's working directory, once."""

        def work() -> Ran:
            (line,) = read_arguments("execute_command", command=command)
            return self._in_session(lambda session: _ran(session.run(Command(line), outputs=NOTHING)), runs_code=True)

        return self._answer(work)

    def file_operations(
        self, operation: str, paths: list[str] | None = None, content: list[dict[str, str]] | None = None
    ) -> FilesRead | Changed | Listed | Failed:
        """Reads, writes, lists or removes files of the sandbox. Binary files are read in base64; write takes text."""

        def work() -> FilesRead | Changed | Listed:
            kind, known, entries = read_arguments("file_operations", operation=operation, paths=paths, content=content)
            if kind == "write":
                files = _written(known, entries)
                return self._in_session(lambda session: _write(session, files))
            if kind == "list":
                _refuse_content(kind, entries)
                return self._in_session(lambda session: _list(session, known or (ROOT,)))
            named = _required(kind, known, entries)
            return self._in_session(lambda session: {"read": _read, "remove": _remove}[kind](session, named))

        return self._answer(work)

    def ci_push_to_workspace(self, paths: list[str] | None = None) -> Pushed | Failed:
        """Saves files of the sandbox to the workspace, without `paths` all that lie in its root.

        The workspace is flat: of a path in a subfolder the last part is the name. Two paths of one name are refused
        before anything is saved. The service's own files and subfolders of the root are left out.
        """

        def work() -> Pushed:
            (known,) = read_arguments("ci_push_to_workspace", paths=paths)
            if known == ():
                raise InvalidRequest("paths is a list of 0; allowed: at least one path, or leave it out to save all")
            if known is not None:
                _refuse_same_names(known)

            def push(session: CodeSession) -> Pushed:
                collected = _in_root(session) if known is None else _named(session, known)
                if any(file.reason is SkipReason.NOT_LISTED for file in collected.skipped):
                    session.list_files()  # raises where the session has ended
                saved, not_saved = self._save(collected, known)
                return Pushed(saved=saved, not_saved=not_saved)

            return self._in_session(push)

        return self._answer(work)

    def workspace_read(self, path: str) -> Answer:
        """Reads a saved file whole, by the address that saving it returned: `code-interpreter/NAME`."""
        return self._answer(lambda: self._workspace.read(*read_arguments("workspace_read", path=path)))

    def workspace_list(self, path: str) -> Answer:
        """Lists the saved files; the one folder there is, is `code-interpreter/`."""
        return self._answer(lambda: self._workspace.list(*read_arguments("workspace_list", path=path)))

    @property
    def _workspace(self) -> Workspace:
        return Workspace(self._clients.s3, self._bucket, self._prefix)

    def _answer(self, work: Callable[[], Answered]) -> Answered | Failed:
        """One call's turn: what it answers, or Failed, with what is to be told of the session."""
        with self._turn:
            try:
                if self._closed:
                    raise InvalidRequest("these tools are closed, and their session is stopped; make new ones")
                answer: Answered | Failed = work()
            except RunError as error:
                answer = Failed.of(error)
            notice, self._notice = self._notice, None
            return answer if notice is None else replace(answer, notice=notice)

    def _in_session(self, work: Callable[[CodeSession], _Result], *, runs_code: bool = False) -> _Result:
        """Does the work in the session, which is replaced once if it had ended before the work began.

        Code that was under way when its session's lifetime ended is answered as if it had come too late, so that it is
        sent to the new session only where the old one cannot have taken it.
        """
        if self._open is not None and self._open.latest_end.seconds_left <= 0:
            self._forget()
        current = self._open or self._start()
        try:
            return work(current.session)
        except RunError as error:
            if not session_had_ended(error):
                raise
            self._forget()
            if runs_code and current.earliest_end.seconds_left <= 0:
                raise
        return work(self._start().session)

    def _forget(self) -> None:
        """The session has ended, of which the caller of the next answer is told."""
        self._open, self._notice = None, SESSION_REPLACED

    def _start(self) -> _Open:
        """A session with the uploads in it. One whose uploads could not be written is stopped again."""
        folder = self._uploads.folder
        files = self._uploads.files
        if folder is not None:
            files = (*uploaded(self._clients.s3, folder), *files)
            refuse_collisions(files)
        earliest_end = Deadline.after(self._session_seconds)
        session = start_session(
            self._clients,
            self._interpreter_id,
            timeout_seconds=self._session_seconds,
            deadline=Deadline(math.inf),  # each call is bounded by its own time, and the session by its lifetime
            not_stopped=self._not_stopped,
        )
        latest_end = Deadline.after(self._session_seconds)
        try:
            session.write_inputs(files)
        except BaseException:
            self._stop(session)
            raise
        self._open = _Open(session, earliest_end, latest_end)
        return self._open

    def _stop(self, session: CodeSession) -> None:
        stop_or_tell(self._clients, self._interpreter_id, session.session_id, self._not_stopped)

    def _save(
        self, collected: Collected, asked: Sequence[str] | None
    ) -> tuple[tuple[SavedFile, ...], tuple[UnsavedFile, ...]]:
        """Puts what came back into the workspace; each file that was to be saved and is not is named."""
        saved: list[SavedFile] = []
        skipped = (file for file in collected.skipped if file.reason is not SkipReason.NOT_CHOSEN)
        not_saved = [UnsavedFile(path=file.path, reason=NOT_SAVED.get(file.reason, file.reason)) for file in skipped]
        for file in collected.files:
            try:
                saved.append(self._workspace.save(file.path, file.base64 or b""))
            except StorageError as error:
                not_saved.append(UnsavedFile(path=file.path, reason=str(error)))
        told = {file.path for file in not_saved} | {file.source for file in saved}
        if ROOT not in told:
            missing = (path for path in asked or () if path not in told)
            not_saved += [UnsavedFile(path=path, reason=NOT_SAVED[SkipReason.NOT_FOUND]) for path in missing]
        return tuple(saved), tuple(not_saved)


def _ran(result: RunResult) -> Ran:
    printed = result.stderr + result.stdout
    without_network = result.exit_code != 0 and any(sign in printed for sign in NO_NETWORK_SIGNS)
    return Ran(
        stdout=result.stdout,
        stderr=result.stderr,
        exit_code=result.exit_code,
        execution_time_ms=result.execution_time_ms,
        hint=NO_NETWORK if without_network else None,
    )


def _named(session: CodeSession, paths: Sequence[str]) -> Collected:
    """The files of these very names, changed or not."""
    return _collected(session, tuple(Pattern(_literally(path)) for path in paths), NEVER)


def _in_root(session: CodeSession) -> Collected:
    return _collected(session, (Pattern("*"),), 0)


def _collected(session: CodeSession, patterns: tuple[Pattern, ...], seen: int) -> Collected:
    outputs = Outputs(paths=patterns, max_files=MOST_FILES, max_bytes=MOST_SAVED_BYTES)
    return collect(session, {}, outputs, seen, Keeper(None, None, Deadline(math.inf)))


def _literally(path: str) -> str:
    """The glob that matches this path alone."""
    return "".join(f"[{character}]" if character in "*?[" else character for character in path)


def _refuse_same_names(paths: Sequence[str]) -> None:
    first: dict[str, int] = {}
    for index, path in enumerate(paths):
        before = first.setdefault(address_of(path), index)
        if before != index:
            raise InvalidRequest(
                f"paths[{index}] is {cut(repr(path))}, and paths[{before}] has the same name: both would be "
                f"{address_of(path)}, since the workspace is flat. Nothing was saved; rename one, or save one at a time"
            )


def _required(operation: str, paths: tuple[str, ...] | None, entries: object) -> tuple[str, ...]:
    _refuse_content(operation, entries)
    if not paths or ROOT in paths:
        raise InvalidRequest(f"{operation} needs paths, a list of at least one file path")
    return paths


def _refuse_content(operation: str, entries: object) -> None:
    if entries is not None:
        raise InvalidRequest(f"content is for write alone, and the operation is {operation}")


def _written(paths: tuple[str, ...] | None, entries: tuple[TextFile, ...] | None) -> dict[str, bytes]:
    if paths is not None or not entries:
        raise InvalidRequest('write needs content alone, a list such as [{"path": "out.txt", "text": "hello"}]')
    files: dict[str, bytes] = {}
    for index, entry in enumerate(entries):
        if entry.path in files:
            raise InvalidRequest(f"content[{index}].path is {cut(repr(entry.path))} again; allowed: each path once")
        files[entry.path] = entry.text
    if (size := sum(map(len, files.values()))) > MOST_CALL_BYTES:
        raise PayloadTooLarge(f"content: {size:,} bytes in all; one call carries {MOST_CALL_BYTES:,}")
    return files


def _write(session: CodeSession, files: Mapping[str, bytes]) -> Changed:
    session.write_files(files)
    return Changed(operation="write", paths=tuple(files))


def _remove(session: CodeSession, paths: tuple[str, ...]) -> Changed:
    session.remove_files(paths)
    return Changed(operation="remove", paths=paths)


def _list(session: CodeSession, folders: tuple[str, ...]) -> Listed:
    entries: list[Entry] = []
    for folder in folders:
        below = "" if folder == ROOT else f"{folder}/"
        found = session.list_files("" if folder == ROOT else folder)
        entries += [Entry(path=f"{below}{file.name}", kind=file.kind) for file in found]
    return Listed(entries=tuple(entries))


def _read(session: CodeSession, paths: tuple[str, ...]) -> FilesRead:
    """In one call, or one by one where that is refused, so that one file does not cost the others."""
    found: dict[str, bytes] = {}
    if len(paths) > 1:
        with suppress(PayloadTooLarge):
            found = session.read_files(paths) or {}
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
        return (session.read_files([path]) or {}).get(path, NOT_THERE)
    except PayloadTooLarge:
        return NOT_CARRIED


def _whole(path: str, data: bytes) -> ReadFile:
    text, base64 = content(data)
    sha256 = hashlib.sha256(data).hexdigest()
    return ReadFile(path=path, content_type=content_type(path), size=len(data), sha256=sha256, text=text, base64=base64)
