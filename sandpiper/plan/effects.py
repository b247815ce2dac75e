"""The effects of a deployment on resources, sessions and data.

`sandpiper plan` derives them from templates. `option_effects` lists them for each option of the environment file, which
the option reference prints.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandpiper.plan.model import DataChange, StackPlan


class DeploymentEffect(StrEnum):
    """An effect by its name in the JSON of a plan, from the least to the most severe."""

    IN_PLACE = "in place"
    NEW_STACK = "new stack"
    STACK_REMAINS = "stack remains"
    DATA_REMAINS = "data remains"
    REPLACES = "replaces resources"
    ENDS_SESSIONS = "ends sessions"
    LOSES_DATA = "loses data"


EFFECT_TEXTS: dict[DeploymentEffect, str] = {
    DeploymentEffect.IN_PLACE: "resources are created, deleted or updated; sessions and data are not affected",
    DeploymentEffect.NEW_STACK: "a stack is created, with empty folders",
    DeploymentEffect.STACK_REMAINS: "a stack that the file no longer contains stays deployed",
    DeploymentEffect.DATA_REMAINS: "data of a removed tenant, or a bucket, key or log, stays in the account",
    DeploymentEffect.REPLACES: "resources that hold neither sessions nor data are replaced, such as subnets",
    DeploymentEffect.ENDS_SESSIONS: "an interpreter is replaced or deleted; its sessions end with files and variables",
    DeploymentEffect.LOSES_DATA: "objects or log entries expire earlier, or a bucket, key or log is deleted",
}
"""What each effect means."""
_REMAINING_DATA = ("retained", "left without an end")


def stack_effects(stack: StackPlan) -> tuple[DeploymentEffect, ...]:
    """Returns the effects of deploying one stack, each once. A stack that remains is not deployed."""
    if stack.change == "gone":
        return (DeploymentEffect.STACK_REMAINS,)
    if stack.change == "new":
        return (DeploymentEffect.NEW_STACK,)
    if stack.change == "unchanged":
        return ()
    found = {*_effects(stack)} or {DeploymentEffect.IN_PLACE}
    return tuple(effect for effect in DeploymentEffect if effect in found)


def _effects(stack: StackPlan) -> Iterator[DeploymentEffect]:
    for data in stack.data:
        yield _data_effect(data)
    for interpreter in stack.interpreters:
        yield (
            DeploymentEffect.ENDS_SESSIONS
            if interpreter.change in ("replaced", "deleted")
            else DeploymentEffect.IN_PLACE
        )
    for resource in stack.resources:
        yield DeploymentEffect.REPLACES if resource.change == "replaced" else DeploymentEffect.IN_PLACE
    if stack.permissions or stack.follows:
        yield DeploymentEffect.IN_PLACE


def _data_effect(change: DataChange) -> DeploymentEffect:
    if change.loses_data:
        return DeploymentEffect.LOSES_DATA
    return DeploymentEffect.DATA_REMAINS if change.change in _REMAINING_DATA else DeploymentEffect.IN_PLACE
