"""The closed set of errors that a run can end with, and whether each may be retried.

Step Functions matches errors by the class's name, so a name here is part of the contract. A class's docstring is what
happened, as `docs/contract/errors.md` has it.
"""

from __future__ import annotations

from typing import ClassVar, Self


class RunError(Exception):
    """A run that has no result; the message says what happened and where.

    `retryable` means: the same request may be sent again as it is, for the same run, and no code runs a second time.
    `remedy` is what to do.
    """

    retryable: ClassVar[bool] = False
    remedy: ClassVar[str]

    def with_remedy(self) -> Self:
        """The same error for who sees its message alone, which ends with whether to retry and what to do."""
        return type(self)(f"{self}. Retryable: {'yes' if self.retryable else 'no'}. {self.remedy}")


class InvalidRequest(RunError):  # noqa: N818 - these are names of the contract
    """A field is missing, unknown or out of its limits, or the service refused the call. The code has not run."""

    remedy = "Mend the field that the message names; it says what is allowed."


class AccessDenied(RunError):  # noqa: N818
    """A role may not do what the message names. The code has not run."""

    remedy = "Grant it, then send the request again."


class InterpreterNotFound(RunError):  # noqa: N818
    """There is no interpreter of that key or identifier. The code has not run."""

    remedy = "Deploy it, or name one of those that the message names."


class Throttled(RunError):  # noqa: N818
    """The service refused a call for its rate, before the code ran."""

    retryable = True
    remedy = "Send the request again later."


class QuotaExceeded(RunError):  # noqa: N818
    """The account has as many sessions as it may have. The code has not run."""

    retryable = True
    remedy = "Send the request again when some have ended, or ask AWS for more."


class SessionLost(RunError):  # noqa: N818
    """The session has ended or is not known, or the service accepted the code and no result came.

    The code may have run, unless the message says that it has not.
    """

    remedy = (
        "If the code may have run, look what it has done, and start another execution only if it may run twice; if it "
        "has not, send it to another session."
    )


class RunUnderWay(RunError):  # noqa: N818
    """An earlier attempt of the run may still be at it, and this one could wait no longer. The code may have run."""

    retryable = True
    remedy = "Send the request again for the same run; as another execution the code may run twice."


class PayloadTooLarge(RunError):  # noqa: N818
    """The inputs, or what the program printed, are larger than a call carries. After large inputs nothing has run."""

    remedy = "Give fewer or smaller inputs at a time; write much output to a file instead of printing it."


class DeadlineExceeded(RunError):  # noqa: N818
    """The code did not end in the time there was. It was stopped, or goes on in a session that stays open."""

    remedy = "Give it more time or less work; for more than 15 minutes use `start_command`."


class StorageError(RunError):
    """S3 did not give an input, or did not take the run's claim, which the message names. The code has not run."""

    remedy = "Mend what the message names: the object, its address or the grant."


class ServiceFault(RunError):  # noqa: N818
    """The service failed, or answered what its model does not allow. The code may have run."""

    remedy = "Look what the code has done; start another execution only if it may run twice."


class CodeFailed(RunError):  # noqa: N818
    """The program ended with another exit code than 0, and the request has `failOnError`."""

    remedy = "Mend the program."


ERRORS: dict[str, type[RunError]] = {error.__name__: error for error in RunError.__subclasses__()}
"""Every error of the contract by the name that Step Functions sees."""

RETRYABLE: tuple[str, ...] = tuple(name for name, error in ERRORS.items() if error.retryable)
"""Names of the errors after which the same request may be sent again for the same run: no code runs twice."""
