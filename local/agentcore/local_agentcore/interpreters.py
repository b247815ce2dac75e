"""The emulator's interpreters: custom interpreters, and the managed interpreter that every account has."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .errors import ConflictError, ResourceNotFoundError, ServiceQuotaExceededError, ValidationError
from .identifiers import MANAGED_INTERPRETER, interpreter_arn, new_interpreter_id

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from .assumptions import Assumptions
    from .clock import Clock

SANDBOX, PUBLIC, VPC = "SANDBOX", "PUBLIC", "VPC"
MAX_TAGS = 50
"""Maximum number of tags per resource (TagsMap in the model)."""
ECHOED_MEMBERS = ("description", "executionRoleArn", "certificates", "filesystemConfigurations")
"""Members of CreateCodeInterpreter that GetCodeInterpreter returns unchanged."""


@dataclass(frozen=True)
class Interpreter:
    """One interpreter.

    Attributes:
        number: The order of creation.
        network: The request's `networkConfiguration`.
        echoed: The request's `ECHOED_MEMBERS`.
    """

    number: int
    identifier: str
    arn: str
    name: str
    created: datetime
    network: dict[str, Any] = field(default_factory=lambda: {"networkMode": SANDBOX})
    echoed: dict[str, Any] = field(default_factory=dict[str, Any])
    tags: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def network_mode(self) -> str:
        """Returns SANDBOX, PUBLIC or VPC."""
        return str(self.network["networkMode"])

    @property
    def subnet(self) -> str | None:
        """Returns the first subnet of an interpreter in VPC mode. All its subnets are in the same VPC."""
        subnets: list[str] = self.network.get("vpcConfig", {}).get("subnets", [])
        return subnets[0] if subnets else None

    @property
    def is_managed(self) -> bool:
        """Whether this is AWS's managed interpreter."""
        return self.identifier == MANAGED_INTERPRETER


class Interpreters:
    """Creates, finds and deletes interpreters."""

    def __init__(self, *, account: str, region: str, maximum: int, clock: Clock, assumptions: Assumptions) -> None:
        """Creates the managed interpreter. `maximum` is the quota of custom interpreters."""
        self._account, self._region, self._clock = account, region, clock
        self._maximum, self._assumptions = maximum, assumptions
        self._numbers = itertools.count()
        managed = Interpreter(
            next(self._numbers), MANAGED_INTERPRETER, self._arn(MANAGED_INTERPRETER), assumptions.managed_name, clock()
        )
        self._by_id = {managed.identifier: managed}

    def __len__(self) -> int:
        """Returns the number of interpreters, including the managed one."""
        return len(self._by_id)

    def create(self, parameters: Mapping[str, Any]) -> Interpreter:
        """Creates a custom interpreter from the members of CreateCodeInterpreter.

        Raises:
            ConflictError: An interpreter has this name.
            ValidationError: `vpcConfig` is missing in VPC mode, or present in another mode.
            ServiceQuotaExceededError: The quota of interpreters is used up.
        """
        name, network = parameters["name"], parameters["networkConfiguration"]
        if any(interpreter.name == name for interpreter in self._by_id.values()):
            raise ConflictError(self._assumptions.name_taken.format(name=name))
        if (network["networkMode"] == VPC) != ("vpcConfig" in network):
            raise ValidationError(self._assumptions.vpc_mismatch)
        if len(self._by_id) > self._maximum:  # the managed interpreter does not count
            raise ServiceQuotaExceededError(self._assumptions.interpreters_exceeded.format(maximum=self._maximum))
        identifier = new_interpreter_id(name)
        echoed = {member: parameters[member] for member in ECHOED_MEMBERS if member in parameters}
        tags = dict(parameters.get("tags", {}))
        interpreter = Interpreter(
            next(self._numbers), identifier, self._arn(identifier), name, self._clock(), network, echoed, tags
        )
        self._by_id[identifier] = interpreter
        return interpreter

    def get(self, identifier: str) -> Interpreter:
        """Returns an interpreter by its id or ARN.

        Raises:
            ResourceNotFoundError: No interpreter has this id or ARN.
        """
        interpreter = self._by_id.get(identifier.rpartition("/")[2])
        if interpreter is None or identifier not in (interpreter.identifier, interpreter.arn):
            raise ResourceNotFoundError(self._assumptions.interpreter_not_found.format(identifier=identifier))
        return interpreter

    def arn_and_tags(self, identifier: str) -> tuple[str, Mapping[str, str]]:
        """Returns the ARN of an id or ARN, and its tags. Works for interpreters that do not exist."""
        interpreter = self._by_id.get(identifier.rpartition("/")[2])
        arn = identifier if identifier.startswith("arn:") else self._arn(identifier)
        return arn, interpreter.tags if interpreter is not None and interpreter.arn == arn else {}

    def new_arn(self, name: str) -> str:
        """Returns an ARN in the form that a new interpreter with this name gets."""
        return self._arn(new_interpreter_id(name))

    def tag(self, interpreter: Interpreter, tags: Mapping[str, str]) -> None:
        """Adds tags and overwrites existing ones.

        Raises:
            ServiceQuotaExceededError: The resource would have too many tags. No tag is added.
        """
        if len(interpreter.tags.keys() | tags.keys()) > MAX_TAGS:
            raise ServiceQuotaExceededError(self._assumptions.tags_exceeded.format(maximum=MAX_TAGS))
        interpreter.tags.update(tags)

    def delete(self, interpreter: Interpreter) -> None:
        """Deletes a custom interpreter.

        Raises:
            ValidationError: The interpreter is the managed one.
        """
        if interpreter.is_managed:
            raise ValidationError(self._assumptions.managed_not_deletable.format(identifier=interpreter.identifier))
        del self._by_id[interpreter.identifier]

    def all(self) -> list[Interpreter]:
        """Returns all interpreters in the order of their creation."""
        return list(self._by_id.values())

    def _arn(self, identifier: str) -> str:
        return interpreter_arn(identifier, account=self._account, region=self._region)
