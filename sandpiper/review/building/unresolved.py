"""Reports values that decide about access and are known only after a deployment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandpiper.plan.resource_types import INTERPRETER
from sandpiper.review.building.types import PROGRAM_ROLES
from sandpiper.review.resolution.conditions import MORE_CHOICES
from sandpiper_policy.model.model import Unresolved
from sandpiper_policy.model.symbols import SYMBOL, symbol

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sandpiper.review.resources import Resource
    from sandpiper_policy.model.location import Location
    from sandpiper_policy.model.model import PolicyModel

_INTERPRETER_VALUES = ("Subnets", "SecurityGroups")


def unresolved_values(
    resources: Sequence[Resource], policies: PolicyModel, reasons: Mapping[str, str]
) -> Iterator[Unresolved]:
    """Yields the unresolved values of policies, roles of programs and networks of interpreters, each once.

    Args:
        resources: The resources.
        policies: The policy model.
        reasons: Why each symbol could not be resolved.
    """
    seen = set[tuple[str, str]]()

    def unresolved(location: Location, text: str) -> Iterator[Unresolved]:
        for name in SYMBOL.findall(text):
            if (location.address, name) not in seen:
                seen.add((location.address, name))
                reason = reasons.get(symbol(name), "the deployment generates it")
                yield Unresolved(location, text, reason)

    for statement in policies.statements:
        if MORE_CHOICES in statement.when:
            yield Unresolved(statement.location, "a statement", f"it depends on {MORE_CHOICES}")
        for text in statement.symbols:
            yield from unresolved(statement.location, text)
    for one in resources:
        if MORE_CHOICES in one.when:
            yield Unresolved(one.location, "a resource", f"it depends on {MORE_CHOICES}")
        if one.type in PROGRAM_ROLES:
            yield from unresolved(one.at(PROGRAM_ROLES[one.type]), str(one.get(PROGRAM_ROLES[one.type], default="")))
        if one.type == INTERPRETER:
            yield from unresolved(
                one.at("NetworkConfiguration", "NetworkMode"), str(one.get("NetworkConfiguration", "NetworkMode"))
            )
            for name in _INTERPRETER_VALUES:
                for value in one.items("NetworkConfiguration", "VpcConfig", name):
                    yield from unresolved(one.at("NetworkConfiguration", "VpcConfig", name), str(value))
