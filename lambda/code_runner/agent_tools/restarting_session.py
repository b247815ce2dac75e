"""A session that lasts over many calls: the first starts it, and one that has ended is replaced, which is told.

Not for threads at once: who shares one lets its callers take turns.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from code_runner.agent_tools.workspace import uploaded
from code_runner.agentcore.deadline import Deadline
from code_runner.agentcore.service_errors import session_had_ended
from code_runner.session import start_session, stop_or_report
from sandpiper_contract.errors import RunError
from sandpiper_contract.files import InputFile, check_input_paths

if TYPE_CHECKING:
    from collections.abc import Callable

    from code_runner.agentcore.boto_clients import Clients
    from code_runner.session import CodeSession
    from sandpiper_contract.s3_objects import S3Object

SESSION_REPLACED = (
    "The session had ended, by its lifetime or because it was stopped: variables, files and installed packages of "
    "earlier calls are gone. The new one has the uploaded files, and what was saved to the workspace is still there."
)

Result = TypeVar("Result")


@dataclass(frozen=True)
class Uploads:
    """What lies in each session before its first call: files, and the objects below a folder of S3."""

    files: tuple[InputFile, ...]
    folder: S3Object | None


@dataclass(frozen=True)
class _Open:
    """A session, and when its lifetime ends: not before `earliest_end`, surely by `latest_end`."""

    session: CodeSession
    earliest_end: Deadline
    latest_end: Deadline


class LastingSession:
    """At most one session at a time, of `lifetime_seconds` each.

    One that cannot be stopped is told to `on_stop_failed`.
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
        self._not_stopped = on_stop_failed
        self._open: _Open | None = None
        self._notice: str | None = None

    def do(self, work: Callable[[CodeSession], Result], *, runs_code: bool = False) -> Result:
        """Does the work in the session, which is replaced once if it had ended before the work began.

        Code that was under way when its session's lifetime ended is answered as if it had come too late, so that it is
        sent to the new session only where the old one cannot have taken it. Raises RunError.
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

    def take_notice(self) -> str | None:
        """What the caller must know of the session, said once."""
        notice, self._notice = self._notice, None
        return notice

    def stop(self) -> None:
        """Stops the session, if there is one."""
        current, self._open = self._open, None
        if current is not None:
            self._stop(current.session)

    def _forget(self) -> None:
        """The session has ended."""
        self._open, self._notice = None, SESSION_REPLACED

    def _start(self) -> _Open:
        """A session with the uploads in it. One whose uploads could not be written is stopped again."""
        files = self._uploads.files
        if self._uploads.folder is not None:
            files = (*uploaded(self._clients.s3, self._uploads.folder), *files)
            check_input_paths(files)
        earliest_end = Deadline.after(self._lifetime_seconds)
        session = start_session(
            self._clients,
            self._interpreter_id,
            timeout_seconds=self._lifetime_seconds,
            deadline=Deadline(math.inf),  # each call is bounded by its own time, and the session by its lifetime
            on_stop_failed=self._not_stopped,
        )
        latest_end = Deadline.after(self._lifetime_seconds)
        try:
            session.write_inputs(files)
        except BaseException:
            self._stop(session)
            raise
        self._open = _Open(session, earliest_end, latest_end)
        return self._open

    def _stop(self, session: CodeSession) -> None:
        stop_or_report(self._clients, self._interpreter_id, session.session_id, self._not_stopped)
