"""Turns what botocore raises into the contract's errors."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    ReadTimeoutError,
)

from sandpiper_contract.errors import (
    AccessDenied,
    DeadlineExceeded,
    InterpreterNotFound,
    InvalidRequest,
    QuotaExceeded,
    RunError,
    ServiceFault,
    SessionLost,
    StorageError,
    Throttled,
)

if TYPE_CHECKING:
    from collections.abc import Generator

# In a stream the same names come in camelCase (botocore's EventStreamError), so the table is read without case.
BY_CODE: dict[str, type[RunError]] = {
    "accessdeniedexception": AccessDenied,
    "resourcenotfoundexception": InterpreterNotFound,
    "throttlingexception": Throttled,
    "servicequotaexceededexception": QuotaExceeded,
    "validationexception": InvalidRequest,
    "conflictexception": SessionLost,
    "internalserverexception": ServiceFault,
}

SESSION_ENDED = "is not active"
"""How the service's ValidationException for an expired or stopped session ends."""


def from_service(doing: str, error: BotoCoreError | ClientError) -> RunError:
    """The contract's error for a failed call to AgentCore; `doing` says which, such as `starting a session`."""
    if isinstance(error, ClientError):
        code = error.response.get("Error", {}).get("Code", "")
        message = error.response.get("Error", {}).get("Message", "")
        kind = BY_CODE.get(code.lower(), ServiceFault)
        if kind is InvalidRequest and message.endswith(SESSION_ENDED):
            kind = SessionLost
        return kind(f"{doing}: {code}: {message}")
    if isinstance(error, ReadTimeoutError):
        return DeadlineExceeded(f"{doing}: no answer in the time there was")
    return ServiceFault(f"{doing}: {error}")


def was_accepted(error: BotoCoreError | ClientError) -> bool:
    """Whether the service may have begun to run the code of a failed Invoke: all but a refusal and a failed connect."""
    if isinstance(error, ClientError):
        return error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 200) not in range(400, 500)
    return not isinstance(error, ConnectTimeoutError | EndpointConnectionError)


@contextmanager
def storage_errors(doing: str, uri: str) -> Generator[None]:
    """Raises StorageError, naming the object, for whatever S3 answers."""
    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise StorageError(f"{doing} {uri}: {error}") from error
