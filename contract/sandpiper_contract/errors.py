"""The errors that a run can end with.

Step Functions matches errors by class name, so the names are part of the contract. `docs/contract/errors.md` shows the
docstring of each class as the description of the error.

RunError
├── InvalidRequest
├── AccessDenied
├── InterpreterNotFound
├── Throttled             retryable
├── QuotaExceeded         retryable
├── NotStarted            retryable
│   └── SessionEnded      retryable in another session
├── SessionLost
├── RunUnderWay           retryable
├── PayloadTooLarge
├── DeadlineExceeded
├── StorageError
├── ServiceFault
├── CodeFailed
└── BatchFailed
"""

from __future__ import annotations

from typing import ClassVar, Self


class RunError(Exception):
    """Base class of the errors of runs. The message states the problem and its location.

    Attributes:
        retryable: Whether the same request can be sent again for the same run without running the code twice.
        needs_other_session: Whether that fails again unless the request is sent to another session.
        is_author_fault: Whether the author of the request or of the program has to correct it, and not the platform
            team. Such an error triggers no alarm.
        remedy: What to do about the error.
    """

    retryable: ClassVar[bool] = False
    needs_other_session: ClassVar[bool] = False
    is_author_fault: ClassVar[bool] = False
    remedy: ClassVar[str]

    def with_remedy(self) -> Self:
        """Returns the same error with a message that ends with whether to retry and what to do.

        Example:
            >>> Throttled("starting a session: rate exceeded").with_remedy()
            Throttled('starting a session: rate exceeded. Retryable: yes. Send the request again later.')
        """
        return type(self)(f"{str(self).rstrip('.')}. Retryable: {self.retryable_text()}. {self.remedy}")

    @classmethod
    def retryable_text(cls) -> str:
        """Returns whether the request can be sent again, as text."""
        where = ", in another session" if cls.needs_other_session else ""
        return f"yes{where}" if cls.retryable else "no"


class InvalidRequest(RunError):  # noqa: N818 - the names are part of the contract
    """A field is missing, unknown or not valid, or the service rejected the call. The code has not run."""

    is_author_fault = True
    remedy = "Correct the field named in the message."


class AccessDenied(RunError):  # noqa: N818
    """A role lacks the permission named in the message. The code has not run."""

    remedy = "Grant the permission, then send the request again."


class InterpreterNotFound(RunError):  # noqa: N818
    """No interpreter has this key or identifier. The code has not run."""

    is_author_fault = True
    remedy = "Deploy the interpreter, or use one of those named in the message."


class Throttled(RunError):  # noqa: N818
    """The service throttled a call before the code ran."""

    retryable = True
    remedy = "Send the request again later."


class QuotaExceeded(RunError):  # noqa: N818
    """The account has reached its quota of concurrent sessions. The code has not run."""

    retryable = True
    remedy = "Send the request again when other sessions have ended, or request a quota increase from AWS."


class NotStarted(RunError):  # noqa: N818
    """A temporary failure before the code was sent. The code has not run.

    The session did not start, the service or S3 failed, or too little time was left. If the message states only that
    this attempt sent no code, an earlier attempt of the same run may have sent it.
    """

    retryable = True
    remedy = "Send the request again for the same run."


class SessionEnded(NotStarted):
    """The session of the request has ended or does not exist. The code has not run."""

    needs_other_session = True
    is_author_fault = True
    remedy = "Open another session and send the request to it. In the same session it fails again."


class SessionLost(RunError):  # noqa: N818
    """The session has ended or does not exist, or the service accepted the code and returned no result.

    The code may have run, unless the message states that it has not.
    """

    remedy = (
        "If the code may have run, check for side effects before you start another execution. If it has not run, send "
        "it to another session."
    )


class RunUnderWay(RunError):  # noqa: N818
    """Another attempt may be running or has sent the code, and this attempt could not wait for its result.

    The code may have run.
    """

    retryable = True
    remedy = "Send the request again for the same run. A new execution may run the code twice."


class PayloadTooLarge(RunError):  # noqa: N818
    """The program or its inputs exceed the size limit of a call. The code has not run."""

    is_author_fault = True
    remedy = "Send fewer or smaller inputs in one call, or let the code read them from S3."


class DeadlineExceeded(RunError):  # noqa: N818
    """The code did not finish in time. It was stopped, or is still running in a session that remains open."""

    is_author_fault = True
    remedy = "Allow more time or reduce the work. Use `start_command` for more than 15 minutes."


class StorageError(RunError):
    """S3 did not return an input or did not store the idempotency record. The code has not run."""

    remedy = "Correct the object, the address or the permission named in the message."


class ServiceFault(RunError):  # noqa: N818
    """The service failed, or its response does not match its model. The code may have run."""

    remedy = "Check for side effects before you start another execution."


class CodeFailed(RunError):  # noqa: N818
    """The program ended with a non-zero exit code, and the request has `failOnError`."""

    is_author_fault = True
    remedy = "Correct the program."


class BatchFailed(RunError):  # noqa: N818
    """More items of a batch failed than `toleratedFailures` allows. The results and the summary are stored."""

    is_author_fault = True
    remedy = "Read the errors in the results, correct their causes, and start a batch with the failed items."


ERRORS: dict[str, type[RunError]] = {
    error.__name__: error for direct in RunError.__subclasses__() for error in (direct, *direct.__subclasses__())
}
"""The errors by the name that Step Functions matches."""

RETRYABLE: tuple[str, ...] = tuple(
    name for name, error in ERRORS.items() if error.retryable and not error.needs_other_session
)
"""Names of the errors that a workflow retries: the same request can be sent again for the same run without running code
twice, and may succeed."""

APPROVAL_TIMED_OUT = "ApprovalTimedOut"
APPROVAL_REJECTED = "ApprovalRejected"
APPROVAL_ERRORS: dict[str, str] = {
    APPROVAL_TIMED_OUT: "An approval was not answered in its time. The session is closed.",
    APPROVAL_REJECTED: "An approval was rejected. The session is closed.",
}
"""The errors that only `run-session` fails with, with their causes."""

TOLERATED_EXCEEDED = "States.ExceedToleratedFailureThreshold"
"""The error of a Distributed Map that stops before its end: more items have failed than `toleratedFailures` allows.

https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html
"""
AUTHOR_FAULTS: tuple[str, ...] = (
    *(name for name, error in ERRORS.items() if error.is_author_fault),
    TOLERATED_EXCEEDED,
    *APPROVAL_ERRORS,
)
"""Names of the errors that are not faults of the platform: the author of a request or of a program has to correct them,
or a person did not approve."""
