"""Starts, joins and stops the sessions of one run, which its idempotency record contains."""

from __future__ import annotations

import hashlib
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from code_runner.agentcore.client import CodeInterpreterClient
from code_runner.agentcore.deadline import Deadline
from code_runner.agentcore.live_sessions import stop_after_deadline, stop_or_report
from code_runner.session import COLLECTION_SECONDS, CodeSession, Files, start_session
from sandpiper_contract.errors import RunError
from sandpiper_contract.handles import SessionHandle

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from code_runner.agentcore.boto_clients import Clients
    from code_runner.idempotency.record import IdempotencyRecord
    from code_runner.tenant_config import TenantConfig

MIN_REMAINING_SECONDS = 10
"""A run does not begin, and no earlier session is stopped, when less time remains."""
SESSION_NAME_PREFIX = "sandpiper-"


def session_name(execution: str) -> str:
    """Returns the name of all sessions of an execution: `sandpiper-` and 40 hexadecimal digits."""
    return f"{SESSION_NAME_PREFIX}{hashlib.sha256(execution.encode()).hexdigest()[:40]}"


@dataclass(frozen=True, eq=False, repr=False)
class RunSessions:
    """The sessions of one run.

    Attributes:
        clients: The boto clients.
        tenant: The tenant's configuration.
        name: The name of new sessions.
        deadline: When the last call of a session must have ended.
        files: The storage of inputs and outputs.
        on_stop_failed: Called with the session id and the error when a session could not be stopped.
    """

    clients: Clients
    tenant: TenantConfig
    name: str
    deadline: Deadline
    files: Files
    on_stop_failed: Callable[[str, RunError], None]

    @contextmanager
    def start(self, record: IdempotencyRecord, interpreter: str, timeout_seconds: int) -> Generator[CodeSession]:
        """Starts a session that stays open, and stops it only if the block raises an error.

        Args:
            record: The record of the run.
            interpreter: The interpreter's key.
            timeout_seconds: The lifetime of the session.
        """
        interpreter_id = self.tenant.interpreters[interpreter]
        on_stop_failed = self.stop_failure_callback(record)
        session = start_session(
            self.clients,
            interpreter_id,
            timeout_seconds=timeout_seconds,
            deadline=self.deadline,
            on_stop_failed=on_stop_failed,
            files=self.files,
            client_token=record.client_token,
            name=self.name,
        )
        try:
            with stop_after_deadline(session.client, on_stop_failed):
                yield session
        except BaseException:
            stop_or_report(self.clients, interpreter_id, session.session_id, on_stop_failed)
            raise

    def join(self, handle: SessionHandle) -> CodeSession:
        """Returns the open session of a handle."""
        key = self.tenant.interpreter_key(handle.interpreter)
        client = CodeInterpreterClient(
            self.clients,
            self.tenant.interpreters[key],
            handle.session_id,
            self.deadline,
            lifetime=None if handle.ends is None else Deadline.after(handle.ends - time.time()),
        )
        return CodeSession(client, files=self.files, scanned_at_us=handle.seen)

    def stop_abandoned(self, record: IdempotencyRecord, interpreter_id: str, timeout_seconds: int) -> None:
        """Stops sessions that earlier attempts may have left.

        A start with the earlier clientToken returns that session or a new one, which is then stopped. A failure, also
        for lack of time, does not fail the run: it is reported, and the session ends when its lifetime expires.
        """
        on_stop_failed = self.stop_failure_callback(record)
        for token in record.abandoned_tokens:
            try:
                self.deadline.earlier(COLLECTION_SECONDS).require(MIN_REMAINING_SECONDS, "stopping an earlier session")
                session = start_session(
                    self.clients,
                    interpreter_id,
                    timeout_seconds=timeout_seconds,
                    deadline=self.deadline,
                    on_stop_failed=_ignore_stop_failure,
                    client_token=token,
                    name=self.name,
                )
            except RunError as error:
                on_stop_failed("unknown", error)
            else:
                stop_or_report(self.clients, interpreter_id, session.session_id, on_stop_failed)

    def stop_failure_callback(self, record: IdempotencyRecord) -> Callable[[str, RunError], None]:
        """Returns a callback that reports a session that could not be stopped and notes it in the record."""

        def on_stop_failed(session_id: str, error: RunError) -> None:
            record.session_may_be_live = True
            self.on_stop_failed(session_id, error)

        return on_stop_failed


def session_handle(interpreter: str, session: CodeSession, started: float) -> SessionHandle:
    """Returns the handle of a session, for later operations.

    Args:
        interpreter: The interpreter's key.
        session: The session, which was started here.
        started: When it was started, in seconds since 1970.
    """
    lifetime = session.client.lifetime
    ends = None if lifetime is None else int(time.time() + lifetime.seconds_left)
    return SessionHandle(interpreter, session.session_id, session.scanned_at_us, ends, round(started, 3))


def _ignore_stop_failure(session_id: str, error: RunError) -> None:
    """Does nothing, because the caller handles the error of the start."""
