"""Which interpreters are made, deleted and replaced, why, and which live sessions that ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandpiper.plan.model import InterpreterChange, PropertyChange
from sandpiper.plan.properties import of_resource

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from sandpiper.plan.model import Session
    from sandpiper.plan.template import Resource, Template


def compare(
    before: Template | None,
    after: Template | None,
    physical_ids: Mapping[str, str],
    sessions_of: Callable[[str], tuple[Session, ...]],
) -> Iterator[InterpreterChange]:
    """Interpreters by their keys, those that stay as they are left out."""
    old, new = before.interpreters if before else {}, after.interpreters if after else {}
    for key in dict.fromkeys((*new, *old)):
        was, will = old.get(key), new.get(key)
        because = of_resource(before, was, after, will) if before and was and after and will else ()
        identifier = physical_ids.get(was.logical_id) if was else None
        if was and will and not because:
            if was.properties.get("Name") == will.properties.get("Name"):
                continue
            because = (_of_its_name(was, will),)
        ends = will is None or any(one.effect != "in place" for one in because)
        yield InterpreterChange(
            interpreter=key,
            change="made" if was is None else "deleted" if will is None else "replaced" if ends else "changed",
            network=network_of(will or was),
            because=because,
            identifier=identifier,
            sessions=sessions_of(identifier) if was and ends and identifier else (),
        )


def network_of(interpreter: Resource | None) -> str:
    """Its network mode."""
    return str(interpreter.properties.get("NetworkConfiguration", {}).get("NetworkMode", "")) if interpreter else ""


def _of_its_name(was: Resource, will: Resource) -> PropertyChange:
    """Another name, for no reason that a template shows."""
    before, after = (str(one.properties.get("Name")) for one in (was, will))
    return PropertyChange(path="Name", before=before, after=after, effect="replaced")
