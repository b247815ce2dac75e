"""Converts the exceptions of calls to AWS into the contract's errors.

The hierarchy of the contract's errors is in `sandpiper_contract.errors`.
"""

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

AWS_ERRORS = (BotoCoreError, ClientError, HTTPError, ParserError)
"""All exceptions that a call can raise. While botocore reads a stream, it does not convert the errors of urllib3 and
of its parser."""

CREDENTIAL_ERRORS = (
    CredentialRetrievalError,
    NoCredentialsError,
    PartialCredentialsError,
    SSOError,
    TokenRetrievalError,
)
NOT_SENT_ERRORS = (
    ConnectTimeoutError,
    EndpointConnectionError,
    NoRegionError,
    ParamValidationError,
    *CREDENTIAL_ERRORS,
)
"""Exceptions that botocore raises before it sends a request."""

# Error codes in a stream are in camelCase (botocore's EventStreamError), so the lookup ignores case.
ERRORS_BY_CODE: dict[str, type[RunError]] = {
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

SESSION_ENDED_SUFFIX = "is not active"
"""End of the message of the ValidationException for an expired or stopped session."""
START_OPERATION = "StartCodeInterpreterSession"
"""For this operation, ResourceNotFoundException means the interpreter; for the others it means the session."""
STOPPED_DURING_CALL = "conflictexception"
"""Error code of a call whose session is stopped during the call."""


def from_service(action: str, error: Exception) -> RunError:
    """Returns the contract's error for a failed call to AgentCore.

    Args:
        action: What was attempted, for the message, such as `starting a session`.
        error: One of AWS_ERRORS.
    """
    match error:
        case ClientError():
            return _from_client_error(action, error)
        case ReadTimeoutError() | BodyReadTimeoutError():
            return DeadlineExceeded(f"{action}: no response within the available time")
        case NoRegionError():
            return InvalidRequest(f"{action}: no Region; set AWS_DEFAULT_REGION or pass a boto3.Session to AwsClients")
        case _ if isinstance(error, CREDENTIAL_ERRORS):
            return AccessDenied(f"{action}: {_clause(error)}; set AWS_PROFILE or pass a boto3.Session to AwsClients")
        case ParamValidationError():
            return InvalidRequest(f"{action}: {_clause(error)}")
        case InvalidPayloadLength():
            return PayloadTooLarge(f"{action}: {_clause(error)}")
        case _:
            return ServiceFault(f"{action}: {_clause(error)}")


def _from_client_error(action: str, error: ClientError) -> RunError:
    code, message = error_code(error), _message(error)
    error_type = ERRORS_BY_CODE.get(code.lower(), ServiceFault)
    if error_type is InvalidRequest and message.endswith(SESSION_ENDED_SUFFIX):
        error_type = SessionLost
    if error_type is InterpreterNotFound and error.operation_name != START_OPERATION:
        error_type = SessionLost
    return error_type(f"{action}: {code}: {_clause(message)}")


def _clause(message: object) -> str:
    """Returns a message without the full stop at its end, because other clauses follow it."""
    return str(message).rstrip(". ")


def was_accepted(error: Exception) -> bool:
    """Returns whether the service may have acted on a failed call.

    False for rejections (HTTP 4xx) and for requests that were not sent. The error for an ended session is not a
    rejection: the session may have ended during the call.
    """
    if isinstance(error, ClientError):
        if error_code(error).lower() == STOPPED_DURING_CALL or _message(error).endswith(SESSION_ENDED_SUFFIX):
            return True
        # An error in the stream has no status; its request was accepted.
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 200)
        return status not in range(400, 500)
    return not isinstance(error, NOT_SENT_ERRORS)


def is_access_denied(error: RunError) -> bool:
    """Returns whether AgentCore or S3 denied access.

    False for the 403 of HeadObject, which S3 also returns for a missing object.
    """
    cause = error.__cause__
    return isinstance(error, AccessDenied) or (isinstance(cause, ClientError) and error_code(cause) == "AccessDenied")


def error_code(error: ClientError) -> str:
    """Returns the error code of a response, such as `AccessDeniedException`."""
    return error.response.get("Error", {}).get("Code", "")


def _message(error: ClientError) -> str:
    return error.response.get("Error", {}).get("Message", "")


@contextmanager
def storage_errors(action: str, uri: str) -> Generator[None]:
    """Converts every error of S3 in the block into StorageError, with the action and the object's URI."""
    try:
        yield
    except AWS_ERRORS as error:
        raise StorageError(f"{action} {uri}: {_clause(error)}") from error


def is_temporary_storage_error(error: StorageError) -> bool:
    """Returns whether S3 may succeed later: it failed or did not respond, or other attempts wrote at the same time.

    A rejection (HTTP 4xx), such as a missing object, and an object with invalid content are permanent.
    """
    cause = error.__cause__
    if isinstance(cause, ConnectTimeoutError | EndpointConnectionError):
        return True
    return cause is None or (isinstance(cause, AWS_ERRORS) and was_accepted(cause))


def session_had_ended(error: BaseException | None) -> bool:
    """Returns whether the service reports that the session has ended, for the error or one of its causes.

    The service reports this for a call after the session's end and for a call during which the lifetime ended, but not
    for a call during which the session was stopped.
    """
    while error is not None:
        if (
            isinstance(error, ClientError)
            and error_code(error) == "ValidationException"
            and _message(error).endswith(SESSION_ENDED_SUFFIX)
        ):
            return True
        error = error.__cause__
    return False
