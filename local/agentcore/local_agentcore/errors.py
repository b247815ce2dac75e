"""Error types of the emulator.

```
Exception
├── SandboxUnavailableError        code cannot be isolated on this machine
├── SandboxEndedError              the sandbox ended before or during a call
└── ServiceError                   an error response of the service
    ├── InternalServerError        500 InternalServerException
    ├── ThrottlingError            429 ThrottlingException
    ├── ServiceQuotaExceededError  402 ServiceQuotaExceededException
    ├── ValidationError            400 ValidationException
    ├── AccessDeniedError          403 AccessDeniedException, or a code of the authorizer
    ├── ConflictError              409 ConflictException
    ├── ResourceNotFoundError      404 ResourceNotFoundException
    ├── UnknownOperationError      404 UnknownOperationException
    ├── SerializationError         400 SerializationException
    └── InjectedFault              code and status of a fault plan
```
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class SandboxUnavailableError(Exception):
    """Code cannot be isolated on this machine, so no code runs.

    Attributes:
        reason: What is missing or denied.
        fix: The remedy.
    """

    def __init__(self, reason: str, fix: str) -> None:
        super().__init__(f"{reason}. {fix}")
        self.reason = reason
        self.fix = fix


class SandboxEndedError(Exception):
    """The sandbox ended before or during a call."""


@dataclass(frozen=True)
class FieldProblem:
    """One member of a request that violates the service model."""

    name: str
    message: str


class ServiceError(Exception):
    """An error response of the service.

    Attributes:
        code: The exception's name in the service model.
        status: The exception's HTTP status in the service model.
    """

    code = "InternalServerException"
    status = 500

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    def body(self) -> dict[str, object]:
        """Returns the members of the response body."""
        return {"message": self.message}


class AccessDeniedError(ServiceError):
    """The caller is unknown to the account, or no policy allows the action."""

    code, status = "AccessDeniedException", 403

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class InternalServerError(ServiceError):
    """The sandbox or the emulator failed; the request is valid."""


class ResourceNotFoundError(ServiceError):
    """The interpreter or session does not exist."""

    code, status = "ResourceNotFoundException", 404


class ConflictError(ServiceError):
    """The request conflicts with the state of its resource."""

    code, status = "ConflictException", 409


class ServiceQuotaExceededError(ServiceError):
    """The quota is used up."""

    code, status = "ServiceQuotaExceededException", 402


class ThrottlingError(ServiceError):
    """The call rate of an operation exceeds its quota. The call had no effect."""

    code, status = "ThrottlingException", 429


class UnknownOperationError(ServiceError):
    """No emulated operation has this method and path."""

    code, status = "UnknownOperationException", 404


class SerializationError(ServiceError):
    """The request cannot be parsed as its operation's input."""

    code, status = "SerializationException", 400


class ValidationError(ServiceError):
    """The request violates a rule of the model or of the service.

    Attributes:
        reason: A value of the model's ValidationExceptionReason.
        problems: The invalid members, if known.
    """

    code, status = "ValidationException", 400

    def __init__(
        self, message: str, *, reason: str = "FieldValidationFailed", problems: Sequence[FieldProblem] = ()
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.problems = tuple(problems)

    def body(self) -> dict[str, object]:
        """Returns the members of the response body, with `fieldList` if the members are known."""
        fields = [{"name": problem.name, "message": problem.message} for problem in self.problems]
        body: dict[str, object] = {"message": self.message, "reason": self.reason}
        return body | {"fieldList": fields} if fields else body


MODEL_STATUSES: Mapping[str, int] = {
    error.code: error.status
    for error in (
        InternalServerError,
        ThrottlingError,
        ServiceQuotaExceededError,
        ValidationError,
        AccessDeniedError,
        ConflictError,
        ResourceNotFoundError,
    )
}
"""The error codes that the service models define for code interpreters, with their HTTP statuses."""


class InjectedFault(ServiceError):  # noqa: N818  a fault that a test injected, not a failure of the emulator
    """An error that a fault plan injects.

    Args:
        code: One of `MODEL_STATUSES`.
    """

    def __init__(self, code: str) -> None:
        super().__init__(f"{code} injected by the fault plan")
        self.code, self.status = code, MODEL_STATUSES[code]

    def body(self) -> dict[str, object]:
        """Returns the members of the response body; a ValidationException has a reason."""
        reason = {"reason": "FieldValidationFailed"} if self.code == ValidationError.code else {}
        return super().body() | reason
