"""Errors before the code was sent: which are temporary, and become the retryable error NotStarted."""

from __future__ import annotations

import re

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError, ReadTimeoutError

from code_runner.agentcore.service_errors import from_service
from code_runner.not_started import unless_permanent
from sandpiper_constructs.operation_task import RETRIED_ERRORS
from sandpiper_contract.errors import (
    ERRORS,
    RETRYABLE,
    DeadlineExceeded,
    NotStarted,
    RunError,
    SessionLost,
    StorageError,
)

START = "StartCodeInterpreterSession"
URL = "https://s3.example.com"


def response(code: str, status: int) -> ClientError:
    return ClientError(
        {"Error": {"Code": code, "Message": "No."}, "ResponseMetadata": {"HTTPStatusCode": status}},  # pyright: ignore[reportArgumentType]
        START,
    )


def storage(cause: Exception | None) -> StorageError:
    error = StorageError("writing s3://b/k failed")
    error.__cause__ = cause
    return error


TABLE: list[tuple[RunError, str]] = [
    # error before the code was sent, reported error
    (from_service("starting a session", ReadTimeoutError(endpoint_url=URL)), "NotStarted"),
    (from_service("starting a session", EndpointConnectionError(endpoint_url=URL)), "NotStarted"),
    (from_service("starting a session", response("InternalServerException", 500)), "NotStarted"),
    (from_service("starting a session", response("ThrottlingException", 429)), "Throttled"),
    (from_service("starting a session", response("ServiceQuotaExceededException", 402)), "QuotaExceeded"),
    (from_service("starting a session", response("AccessDeniedException", 403)), "AccessDenied"),
    (from_service("starting a session", response("ValidationException", 400)), "InvalidRequest"),
    (from_service("starting a session", response("ResourceNotFoundException", 404)), "InterpreterNotFound"),
    (from_service("starting a session", NoCredentialsError()), "AccessDenied"),
    (DeadlineExceeded("sending the code: 4 s are left"), "NotStarted"),
    (SessionLost("writing the inputs: the session is not active; it has not run"), "NotStarted"),
    (storage(response("NoSuchKey", 404)), "StorageError"),
    (storage(response("AccessDenied", 403)), "StorageError"),
    (storage(ValueError("not a record")), "StorageError"),
    (storage(response("SlowDown", 503)), "NotStarted"),
    (storage(ReadTimeoutError(endpoint_url=URL)), "NotStarted"),
    (storage(EndpointConnectionError(endpoint_url=URL)), "NotStarted"),
    (storage(None), "NotStarted"),
]


@pytest.mark.parametrize(("error", "reported"), TABLE, ids=lambda value: value if isinstance(value, str) else None)
def test_temporary_errors_before_the_code_are_not_started(error: RunError, reported: str) -> None:
    result = unless_permanent(error, "the code has not run")
    assert type(result).__name__ == reported
    assert result.retryable is (reported in ("NotStarted", "Throttled", "QuotaExceeded"))
    if isinstance(result, NotStarted):
        assert str(result).endswith("; the code has not run")
        assert str(result).count("not run") == 1
        assert "Retryable: yes" in str(result.with_remedy())


@pytest.mark.parametrize(("joined", "reported"), [(True, "SessionEnded"), (False, "NotStarted")])
def test_only_an_open_session_that_has_ended_is_not_retried_by_workflows(joined: bool, reported: str) -> None:
    """A retry of any other request starts another session."""
    lost = SessionLost("writing the inputs: the session is not active; it has not run")
    result = unless_permanent(lost, "the code has not run", joined=joined)
    assert (type(result).__name__, result.retryable, reported in RETRIED_ERRORS) == (reported, True, not joined)
    assert str(result).endswith("not active; the code has not run")
    where = r"yes, in another session\. Open another session" if joined else r"yes\. Send the request again"
    assert re.search(f"Retryable: {where}", str(result.with_remedy()))
    temporary = unless_permanent(DeadlineExceeded("4 s are left"), "the code has not run", joined=joined)
    assert type(temporary) is NotStarted


def test_retryable_errors_state_that_the_same_run_can_be_sent_again() -> None:
    retryable = {name for name, error in ERRORS.items() if error.retryable}
    assert retryable == {"Throttled", "QuotaExceeded", "NotStarted", "SessionEnded", "RunUnderWay"}
    assert retryable - set(RETRYABLE) == {"SessionEnded"}
