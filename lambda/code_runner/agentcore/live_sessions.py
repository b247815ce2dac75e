"""Lists and stops live sessions."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from code_runner.agentcore.alarms import ALARMS
from code_runner.agentcore.service_errors import AWS_ERRORS, error_code, from_service
from sandpiper_contract.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from typing import Any

    from mypy_boto3_bedrock_agentcore.type_defs import CodeInterpreterSessionSummaryTypeDef

    from code_runner.agentcore.boto_clients import Clients
    from code_runner.agentcore.client import CodeInterpreterClient


log = logging.getLogger(__name__)
STOP_GRACE_SECONDS = 8
"""How long after its deadline a session is stopped in any case: calls to S3 do not end at the deadline."""


def log_stop_failure(session_id: str, error: RunError) -> None:
    """Logs that a session could not be stopped: the default of `on_stop_failed`."""
    log.error("session %s not stopped; it ends when its lifetime expires: %s", session_id, error)


def live_sessions(clients: Clients, interpreter_id: str) -> Iterator[CodeInterpreterSessionSummaryTypeDef]:
    """Yields the live sessions of an interpreter as the service lists them. Raises RunError."""
    token: dict[str, Any] = {}
    while True:
        try:
            page = clients.sessions.list_code_interpreter_sessions(
                codeInterpreterIdentifier=interpreter_id, status="READY", **token
            )
        except AWS_ERRORS as error:
            raise from_service(f"listing the sessions of {interpreter_id}", error) from error
        yield from page["items"]
        if (next_token := page.get("nextToken")) is None:
            return
        token = {"nextToken": next_token}


@contextmanager
def stop_after_deadline(
    client: CodeInterpreterClient, on_stop_failed: Callable[[str, RunError], None]
) -> Generator[None]:
    """Stops the session STOP_GRACE_SECONDS after the client's deadline if the block has not ended by then.

    Lambda ends a function without notice, so the session must be stopped before, even while a call to S3 is waiting.
    """
    seconds = max(client.deadline.seconds_left, 0) + STOP_GRACE_SECONDS
    stop = partial(stop_or_report, client.clients, client.interpreter_id, client.session_id, on_stop_failed)
    alarm = ALARMS.call_after(seconds, stop)
    try:
        yield
    finally:
        alarm.cancel()


def stop_session(clients: Clients, interpreter_id: str, session_id: str) -> bool:
    """Stops a session. Returns False if it had already ended. Raises RunError."""
    try:
        clients.sessions.stop_code_interpreter_session(codeInterpreterIdentifier=interpreter_id, sessionId=session_id)
    except AWS_ERRORS as error:
        if not _had_ended(error):
            raise from_service(f"stopping session {session_id}", error) from error
        return False
    return True


def stop_or_report(
    clients: Clients, interpreter_id: str, session_id: str, on_stop_failed: Callable[[str, RunError], None]
) -> bool:
    """Stops a session; calls `on_stop_failed` instead of raising an error. Returns whether this call ended it."""
    try:
        return stop_session(clients, interpreter_id, session_id)
    except RunError as error:
        on_stop_failed(session_id, error)
        return False


def _had_ended(error: Exception) -> bool:
    """Returns whether the session's lifetime had ended: a stop then fails with ConflictException."""
    return isinstance(error, ClientError) and error_code(error) == "ConflictException"
