"""The interpreters that exist: those created here, and the managed one that every account has."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .errors import ConflictError, ResourceNotFoundError, ValidationError
from .identifiers import MANAGED_INTERPRETER, interpreter_arn, interpreter_id

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from .clock import Clock

SANDBOX, PUBLIC, VPC = "SANDBOX", "PUBLIC", "VPC"


@dataclass(frozen=True)
class Interpreter:
    """One interpreter. `recorded` are members of its request that this emulator answers, but does not act on."""

    identifier: str
    arn: str
    name: str
    created: datetime
    network: dict[str, Any] = field(default_factory=lambda: {"networkMode": SANDBOX})
    recorded: dict[str, Any] = field(default_factory=dict[str, Any])
    tags: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def network_mode(self) -> str:
        """Returns SANDBOX, PUBLIC or VPC."""
        return str(self.network["networkMode"])

    @property
    def is_managed(self) -> bool:
        """Whether it is AWS's own."""
        return self.identifier == MANAGED_INTERPRETER


RECORDED_MEMBERS = ("description", "executionRoleArn", "certificates", "filesystemConfigurations")


class Interpreters:
    """Creates, finds and deletes interpreters."""

    def __init__(self, *, account: str, region: str, clock: Clock) -> None:
        self._account, self._region, self._clock = account, region, clock
        managed = Interpreter(MANAGED_INTERPRETER, self._arn(MANAGED_INTERPRETER), MANAGED_INTERPRETER, self._clock())
        self._by_id = {managed.identifier: managed}

    def __len__(self) -> int:
        """Returns how many there are, the managed one included."""
        return len(self._by_id)

    def create(self, parameters: Mapping[str, Any]) -> Interpreter:
        """Creates a custom interpreter from the members of CreateCodeInterpreter.

        Raises:
            ConflictError: the name is taken.
            ValidationError: VPC mode without a VPC.
        """
        name, network = parameters["name"], parameters["networkConfiguration"]
        if any(interpreter.name == name for interpreter in self._by_id.values()):
            raise ConflictError(f"A code interpreter with the name {name} already exists in this account")
        if (network["networkMode"] == VPC) != ("vpcConfig" in network):
            raise ValidationError("vpcConfig is required for the network mode VPC, and allowed for no other")
        identifier = interpreter_id(name)
        recorded = {member: parameters[member] for member in RECORDED_MEMBERS if member in parameters}
        tags = dict(parameters.get("tags", {}))
        interpreter = Interpreter(identifier, self._arn(identifier), name, self._clock(), network, recorded, tags)
        self._by_id[identifier] = interpreter
        return interpreter

    def get(self, identifier: str) -> Interpreter:
        """Returns an interpreter by its id or ARN.

        Raises:
            ResourceNotFoundError: there is none.
        """
        found = self._by_id.get(identifier.rpartition("/")[2])
        if found is None or identifier not in (found.identifier, found.arn):
            raise ResourceNotFoundError(f"Code interpreter {identifier} not found")
        return found

    def described(self, identifier: str) -> tuple[str, Mapping[str, str]]:
        """Returns the ARN that an id or ARN means, and its tags, also where there is no such interpreter."""
        found = self._by_id.get(identifier.rpartition("/")[2])
        arn = identifier if identifier.startswith("arn:") else self._arn(identifier)
        return arn, found.tags if found is not None and found.arn == arn else {}

    def delete(self, interpreter: Interpreter) -> None:
        """Deletes a custom interpreter.

        Raises:
            ValidationError: it is AWS's own.
        """
        if interpreter.is_managed:
            raise ValidationError(f"{interpreter.identifier} is managed by AWS and cannot be deleted")
        del self._by_id[interpreter.identifier]

    def all(self) -> list[Interpreter]:
        """Returns them in the order of their creation."""
        return list(self._by_id.values())

    def _arn(self, identifier: str) -> str:
        return interpreter_arn(identifier, account=self._account, region=self._region)
