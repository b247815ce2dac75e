"""Turns what calls to AWS raise into the contract's errors."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from botocore.eventstream import InvalidPayloadLength, ParserError
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    NoCredentialsError,
    NoRegionError,
    ParamValidationError,
    PartialCredentialsError,
    ReadTimeoutError,
    SSOError,
    TokenRetrievalError,
)
from urllib3.exceptions import HTTPError
from urllib3.exceptions import ReadTimeoutError as BodyReadTimeoutError

from sandpiper_contract.errors import (
    AccessDenied,
    DeadlineExceeded,
    InterpreterNotFound,
    InvalidRequest,
    PayloadTooLarge,
    QuotaExceeded,
    RunError,
    ServiceFault,
    SessionLost,
    StorageError,
    Throttled,
)

if TYPE_CHECKING:
    from collections.abc import Generator

FAILURES = (BotoCoreError, ClientError, HTTPError, ParserError)
"""All that a call can raise. While a stream is read, urllib3's errors and botocore's parser's come as they are."""

NO_CREDENTIALS = (
    CredentialRetrievalError,
    NoCredentialsError,
    PartialCredentialsError,
    SSOError,
    TokenRetrievalError,
)
NOT_SENT = (ConnectTimeoutError, EndpointConnectionError, NoRegionError, ParamValidationError, *NO_CREDENTIALS)
"""What botocore raises before a request has left this machine."""

# In a stream the same names come in camelCase (botocore's EventStreamError), so the table is read without case.
BY_CODE: dict[str, type[RunError]] = {
    "accessdeniedexception": AccessDenied,
    "expiredtokenexception": AccessDenied,
    "invalidsignatureexception": AccessDenied,
    "unrecognizedclientexception": AccessDenied,
    "resourcenotfoundexception": InterpreterNotFound,
    "throttlingexception": Throttled,
    "servicequotaexceededexception": QuotaExceeded,
    "validationexception": InvalidRequest,
    "conflictexception": SessionLost,
    "internalserverexception": ServiceFault,
}

SESSION_ENDED = "is not active"
"""How the service's ValidationException for an expired or stopped session ends."""
START = "StartCodeInterpreterSession"
"""The one call for which what is not there is the interpreter; for the others it is the session."""
ENDED_UNDER_WAY = "conflictexception"
"""What a call gets whose session is stopped while the call is under way."""


def from_service(doing: str, error: Exception) -> RunError:
    """The contract's error for a failed call to AgentCore; `doing` says which, such as `starting a session`."""
    match error:
        case ClientError():
            return _from_answer(doing, error)
        case ReadTimeoutError() | BodyReadTimeoutError():
            return DeadlineExceeded(f"{doing}: no answer in the time there was")
        case NoRegionError():
            return InvalidRequest(f"{doing}: no region; set AWS_DEFAULT_REGION, or give AwsClients a boto3.Session")
        case _ if isinstance(error, NO_CREDENTIALS):
            return AccessDenied(f"{doing}: {error}; set AWS_PROFILE, or give AwsClients a boto3.Session")
        case ParamValidationError():
            return InvalidRequest(f"{doing}: {error}")
        case InvalidPayloadLength():
            return PayloadTooLarge(f"{doing}: {error}")
        case _:
            return ServiceFault(f"{doing}: {error}")


def _from_answer(doing: str, error: ClientError) -> RunError:
    answer = error.response.get("Error", {})
    code, message = answer.get("Code", ""), answer.get("Message", "")
    kind = BY_CODE.get(code.lower(), ServiceFault)
    if kind is InvalidRequest and message.endswith(SESSION_ENDED):
        kind = SessionLost
    if kind is InterpreterNotFound and error.operation_name != START:
        kind = SessionLost
    return kind(f"{doing}: {code}: {message}")


def was_accepted(error: Exception) -> bool:
    """Whether the service may have acted on a failed call: everything but a refusal and what was not sent.

    The answer for a session that has ended is no refusal: it may have ended while the call was under way.
    """
    if isinstance(error, ClientError):
        answer = error.response.get("Error", {})
        if answer.get("Code", "").lower() == ENDED_UNDER_WAY or answer.get("Message", "").endswith(SESSION_ENDED):
            return True
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 200)  # none: it came in the stream
        return status not in range(400, 500)
    return not isinstance(error, NOT_SENT)


def error_code(error: ClientError) -> str:
    """The service's word for what is wrong."""
    return error.response.get("Error", {}).get("Code", "")


@contextmanager
def storage_errors(doing: str, uri: str) -> Generator[None]:
    """Raises StorageError, naming the object, for whatever S3 answers."""
    try:
        yield
    except FAILURES as error:
        raise StorageError(f"{doing} {uri}: {error}") from error


def session_had_ended(error: BaseException | None) -> bool:
    """Whether the service says that the call's session is over, looking through what the error was raised from.

    It says so of a call that came too late, and of one that was under way when the lifetime ended, too; not of one that
    was under way when its session was stopped.
    """
    while error is not None:
        if isinstance(error, ClientError):
            answer = error.response.get("Error", {})
            if answer.get("Code") == "ValidationException" and answer.get("Message", "").endswith(SESSION_ENDED):
                return True
        error = error.__cause__
    return False
