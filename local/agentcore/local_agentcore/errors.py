"""What can go wrong, as types: the service's errors, and a machine on which code cannot be run safely."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


class SandboxUnavailableError(Exception):
    """Code cannot be isolated on this machine, so none is run.

    Attributes:
        reason: what is missing or refused.
        fix: what to do about it.
    """

    def __init__(self, reason: str, fix: str) -> None:
        super().__init__(f"{reason}. {fix}")
        self.reason = reason
        self.fix = fix


class SandboxEndedError(Exception):
    """The sandbox went away while, or before, it was asked for something."""


@dataclass(frozen=True)
class FieldProblem:
    """One member of a request that breaks the service model."""

    name: str
    message: str


class ServiceError(Exception):
    """An error that the service's model knows, on its way to the caller.

    Attributes:
        code: the exception's name in the service model.
        status: its HTTP status there.
    """

    code = "InternalServerException"
    status = 500

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    def body(self) -> dict[str, object]:
        """Returns the members that go over the wire."""
        return {"message": self.message}


class NotAuthorizedError(ServiceError):
    """The caller is nobody that the account knows, or may not do this."""

    status = 403

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class InternalServerError(ServiceError):
    """The sandbox or the emulator failed, not the request."""


class ResourceNotFoundError(ServiceError):
    """No such interpreter or session."""

    code, status = "ResourceNotFoundException", 404


class ConflictError(ServiceError):
    """The request does not fit the state of what it names."""

    code, status = "ConflictException", 409


class ServiceQuotaExceededError(ServiceError):
    """As many as the quota allows are there already."""

    code, status = "ServiceQuotaExceededException", 402


class ThrottlingError(ServiceError):
    """More calls of an operation a second than its quota allows. Nothing was done."""

    code, status = "ThrottlingException", 429


class InjectedFault(ServiceError):  # noqa: N818  a fault, not a failure of the emulator
    """A fault that was ordered."""

    def __init__(self, code: str, status: int) -> None:
        super().__init__(f"{code} injected by the fault plan")
        self.code, self.status = code, status

    def body(self) -> dict[str, object]:
        """Returns the members that go over the wire; a ValidationException has a reason."""
        reason = {"reason": "FieldValidationFailed"} if self.code == ValidationError.code else {}
        return super().body() | reason


class UnknownOperationError(ServiceError):
    """No operation of the service has this method and path, or it is not emulated."""

    code, status = "UnknownOperationException", 404


class SerializationError(ServiceError):
    """The request cannot be read as its operation's input."""

    code, status = "SerializationException", 400


class ValidationError(ServiceError):
    """The request breaks a rule of the model or of the service.

    Attributes:
        reason: a value of the model's ValidationExceptionReason.
        problems: the members at fault, if known.
    """

    code, status = "ValidationException", 400

    def __init__(
        self, message: str, *, reason: str = "FieldValidationFailed", problems: Sequence[FieldProblem] = ()
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.problems = tuple(problems)

    def body(self) -> dict[str, object]:
        """Returns the members that go over the wire."""
        fields = [{"name": problem.name, "message": problem.message} for problem in self.problems]
        body: dict[str, object] = {"message": self.message, "reason": self.reason}
        return body | {"fieldList": fields} if fields else body
