"""The interpreters that exist: those created here, and the managed one that every account has."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .errors import ConflictError, ResourceNotFoundError, ServiceQuotaExceededError, ValidationError
from .identifiers import MANAGED_INTERPRETER, interpreter_arn, interpreter_id

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from .assumptions import Assumptions
    from .clock import Clock

SANDBOX, PUBLIC, VPC = "SANDBOX", "PUBLIC", "VPC"
MAX_TAGS = 50
"""Of one resource: TagsMap in the model."""


@dataclass(frozen=True)
class Interpreter:
    """One interpreter. `recorded` are members of its request that this emulator answers, but does not act on."""

    number: int
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


ECHOED_MEMBERS = ("description", "executionRoleArn", "certificates", "filesystemConfigurations")


class Interpreters:
    """Creates, finds and deletes interpreters."""

    def __init__(self, *, account: str, region: str, maximum: int, clock: Clock, assumptions: Assumptions) -> None:
        """`maximum` is the quota of custom interpreters."""
        self._account, self._region, self._clock = account, region, clock
        self._maximum, self._assumptions = maximum, assumptions
        self._numbers = itertools.count()
        managed = Interpreter(
            next(self._numbers), MANAGED_INTERPRETER, self._arn(MANAGED_INTERPRETER), assumptions.managed_name, clock()
        )
        self._by_id = {managed.identifier: managed}

    def __len__(self) -> int:
        """Returns how many there are, the managed one included."""
        return len(self._by_id)

    def create(self, parameters: Mapping[str, Any]) -> Interpreter:
        """Creates a custom interpreter from the members of CreateCodeInterpreter.

        Raises:
            ConflictError: the name is taken.
            ValidationError: VPC mode without a VPC.
            ServiceQuotaExceededError: as many as allowed are there.
        """
        name, network = parameters["name"], parameters["networkConfiguration"]
        if any(interpreter.name == name for interpreter in self._by_id.values()):
            raise ConflictError(self._assumptions.name_taken.format(name=name))
        if (network["networkMode"] == VPC) != ("vpcConfig" in network):
            raise ValidationError(self._assumptions.vpc_mismatch)
        if len(self._by_id) > self._maximum:  # the managed one is AWS's, and not counted
            raise ServiceQuotaExceededError(self._assumptions.interpreters_exceeded.format(maximum=self._maximum))
        identifier = interpreter_id(name)
        recorded = {member: parameters[member] for member in ECHOED_MEMBERS if member in parameters}
        tags = dict(parameters.get("tags", {}))
        interpreter = Interpreter(
            next(self._numbers), identifier, self._arn(identifier), name, self._clock(), network, recorded, tags
        )
        self._by_id[identifier] = interpreter
        return interpreter

    def get(self, identifier: str) -> Interpreter:
        """Returns an interpreter by its id or ARN.

        Raises:
            ResourceNotFoundError: there is none.
        """
        found = self._by_id.get(identifier.rpartition("/")[2])
        if found is None or identifier not in (found.identifier, found.arn):
            raise ResourceNotFoundError(self._assumptions.interpreter_not_found.format(identifier=identifier))
        return found

    def described(self, identifier: str) -> tuple[str, Mapping[str, str]]:
        """Returns the ARN that an id or ARN means, and its tags, also where there is no such interpreter."""
        found = self._by_id.get(identifier.rpartition("/")[2])
        arn = identifier if identifier.startswith("arn:") else self._arn(identifier)
        return arn, found.tags if found is not None and found.arn == arn else {}

    def arn_of_one_called(self, name: str) -> str:
        """Returns an ARN such as an interpreter of that name gets."""
        return self._arn(interpreter_id(name))

    def tag(self, interpreter: Interpreter, tags: Mapping[str, str]) -> None:
        """Adds tags, or gives those that are there new values.

        Raises:
            ServiceQuotaExceededError: there would be too many; then none is added.
        """
        if len(interpreter.tags.keys() | tags.keys()) > MAX_TAGS:
            raise ServiceQuotaExceededError(self._assumptions.tags_exceeded.format(maximum=MAX_TAGS))
        interpreter.tags.update(tags)

    def delete(self, interpreter: Interpreter) -> None:
        """Deletes a custom interpreter.

        Raises:
            ValidationError: it is AWS's own.
        """
        if interpreter.is_managed:
            raise ValidationError(self._assumptions.managed_not_deletable.format(identifier=interpreter.identifier))
        del self._by_id[interpreter.identifier]

    def all(self) -> list[Interpreter]:
        """Returns them in the order of their creation."""
        return list(self._by_id.values())

    def _arn(self, identifier: str) -> str:
        return interpreter_arn(identifier, account=self._account, region=self._region)
