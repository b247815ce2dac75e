"""A session for many calls: the first call starts it, and it is replaced when it has ended.

Not safe for concurrent use by threads.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from code_runner.agent_tools.workspace import download_uploads
from code_runner.agentcore.deadline import Deadline
from code_runner.agentcore.live_sessions import stop_or_report
from code_runner.agentcore.service_errors import session_had_ended
from code_runner.session import start_session
from sandpiper_contract.errors import RunError
from sandpiper_contract.files import InputFile, check_input_paths

if TYPE_CHECKING:
    from collections.abc import Callable

    from code_runner.agentcore.boto_clients import Clients
    from code_runner.session import CodeSession
    from sandpiper_contract.s3_objects import S3Object

SESSION_REPLACED = (
    "The session had expired or was stopped. Variables, files and installed packages of earlier calls are lost. The "
    "new session has the uploaded files, and the workspace still has the saved files."
)

Result = TypeVar("Result")


@dataclass(frozen=True)
class Uploads:
    """The files to write to each new session: `files`, and the objects below an S3 folder."""

    files: tuple[InputFile, ...]
    folder: S3Object | None


@dataclass(frozen=True)
class _StartedSession:
    """A session with the earliest and the latest time at which its lifetime ends."""

    session: CodeSession
    earliest_end: Deadline
    latest_end: Deadline


class RestartingSession:
    """Runs work in a session that it starts, replaces and stops.

    `on_stop_failed` is called with the identifier and the error if a session cannot be stopped.

    Example:
        >>> session = RestartingSession(clients, "aws.codeinterpreter.v1", 900, Uploads((), None), log_stop_failure)
        >>> session.execute(lambda current: current.run(Code("print(1)")), runs_code=True).stdout
        '1'
    """

    def __init__(
        self,
        clients: Clients,
        interpreter_id: str,
        lifetime_seconds: int,
        uploads: Uploads,
        on_stop_failed: Callable[[str, RunError], None],
    ) -> None:
        self._clients = clients
        self._interpreter_id = interpreter_id
        self._lifetime_seconds = lifetime_seconds
        self._uploads = uploads
        self._on_stop_failed = on_stop_failed
        self._open: _StartedSession | None = None
        self._notice: str | None = None

    def execute(self, work: Callable[[CodeSession], Result], *, runs_code: bool = False) -> Result:
        """Runs the work in the session. If the session had already ended, runs it once more in a new session.

        The service returns the same error for code that was interrupted by the end of the lifetime. Code is therefore
        repeated only if the lifetime cannot have ended during the call.

        Args:
            work: A function of the session.
            runs_code: Whether the work runs code, which must not run twice.

        Raises:
            RunError: The work failed.
        """
        if self._open is not None and self._open.latest_end.seconds_left <= 0:
            self._discard()
        current = self._open or self._start()
        try:
            return work(current.session)
        except RunError as error:
            if not session_had_ended(error):
                raise
            self._discard()
            if runs_code and current.earliest_end.seconds_left <= 0:
                raise
        return work(self._start().session)

    def take_notice(self) -> str | None:
        """Returns the notice that the session was replaced, once for each replacement."""
        notice, self._notice = self._notice, None
        return notice

    def stop(self) -> None:
        """Stops the session, if there is one."""
        current, self._open = self._open, None
        if current is not None:
            self._stop(current.session)

    def _discard(self) -> None:
        """Discards a session that has ended and records the notice."""
        self._open, self._notice = None, SESSION_REPLACED

    def _start(self) -> _StartedSession:
        """Starts a session and writes the uploads to it. Stops it if they cannot be written."""
        files = self._uploads.files
        if self._uploads.folder is not None:
            files = (*download_uploads(self._clients.s3, self._uploads.folder), *files)
            check_input_paths(files)
        earliest_end = Deadline.after(self._lifetime_seconds)
        session = start_session(
            self._clients,
            self._interpreter_id,
            timeout_seconds=self._lifetime_seconds,
            deadline=Deadline(math.inf),  # calls have their own timeouts, and the session has its lifetime
            on_stop_failed=self._on_stop_failed,
        )
        latest_end = Deadline.after(self._lifetime_seconds)
        try:
            session.write_inputs(files)
        except BaseException:
            self._stop(session)
            raise
        self._open = _StartedSession(session, earliest_end, latest_end)
        return self._open

    def _stop(self, session: CodeSession) -> None:
        stop_or_report(self._clients, self._interpreter_id, session.session_id, self._on_stop_failed)
