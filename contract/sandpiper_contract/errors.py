"""The closed set of errors that a run can end with, and whether each may be retried.

Step Functions matches errors by the class's name, so a name here is part of the contract.
"""

from __future__ import annotations


class RunError(Exception):
    """A run that has no result: what happened, where, and what to do.

    `retryable` means: the code was not accepted by the service, so the same request may be sent again.
    """

    retryable = False


class InvalidRequest(RunError):  # noqa: N818 - these are names of the contract
    """The request is not one: a field is missing, unknown or out of its limits. Mend the request."""


class AccessDenied(RunError):  # noqa: N818
    """The role may not do this. Grant what the message names."""


class InterpreterNotFound(RunError):  # noqa: N818
    """There is no interpreter of that key or identifier. Deploy it or name another."""


class Throttled(RunError):  # noqa: N818
    """The service refused a call for its rate before the code ran. Send the request again later."""

    retryable = True


class QuotaExceeded(RunError):  # noqa: N818
    """The account has as many sessions as it may have. Send the request again when some have ended."""

    retryable = True


class SessionLost(RunError):  # noqa: N818
    """The service accepted the code and no result came. It may have run: look before you send it again."""


class PayloadTooLarge(RunError):  # noqa: N818
    """The inputs, or what the program printed, are larger than one call of the service carries."""


class DeadlineExceeded(RunError):  # noqa: N818
    """The code did not end in the time there was. It was stopped; give it more time or less work."""


class StorageError(RunError):
    """S3 did not give an input or take the run's claim, which the message names. The code has not run."""


class ServiceFault(RunError):  # noqa: N818
    """The service failed, or answered what its model does not allow. The message says whether the code was accepted."""


class CodeFailed(RunError):  # noqa: N818
    """The program ended with another exit code than 0, and the request asked for that to be an error. Mend it."""


ERRORS: dict[str, type[RunError]] = {error.__name__: error for error in RunError.__subclasses__()}
"""Every error of the contract by the name that Step Functions sees."""

RETRYABLE: tuple[str, ...] = tuple(name for name, error in ERRORS.items() if error.retryable)
"""Names of the errors after which the same request may be sent again: its code has not run."""
