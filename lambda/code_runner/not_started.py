"""Names errors before the code was sent, after which a retry is safe."""

from __future__ import annotations

from code_runner.agentcore.service_errors import is_temporary_storage_error
from sandpiper_contract.errors import (
    DeadlineExceeded,
    NotStarted,
    RunError,
    ServiceFault,
    SessionEnded,
    SessionLost,
    StorageError,
)


def unless_permanent(error: RunError, consequence: str, *, joined: bool = False) -> RunError:
    """Returns NotStarted for a temporary failure, and the error itself if a retry without a change would fail too.

    If the request's own session has ended, this is SessionEnded, which workflows do not retry.

    Args:
        error: An error before the code was sent.
        consequence: What the error means for the code.
        joined: Whether the request is for an open session. A retry of other requests starts another session.
    """
    is_temporary = isinstance(error, DeadlineExceeded | ServiceFault | SessionLost) or (
        isinstance(error, StorageError) and is_temporary_storage_error(error)
    )
    if not is_temporary:
        return error
    message = str(error).removesuffix("; it has not run")
    error_type = SessionEnded if joined and isinstance(error, SessionLost) else NotStarted
    return error_type(f"{message}; {consequence}")
