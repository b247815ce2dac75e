"""Compares the interpreters of two templates: which are created, deleted or replaced, why, and which sessions end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandpiper.plan.matching import resource_changes
from sandpiper.plan.model import InterpreterChange, PropertyChange

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from sandpiper.plan.model import Session
    from sandpiper.plan.template import Resource, Template


def compare_interpreters(
    before: Template | None,
    after: Template | None,
    physical_ids: Mapping[str, str],
    list_sessions: Callable[[str], tuple[Session, ...]],
) -> Iterator[InterpreterChange]:
    """Yields the changes of interpreters by key. Unchanged interpreters are omitted.

    Args:
        before: the deployed template.
        after: the template to deploy.
        physical_ids: the identifiers of deployed interpreters by logical ID.
        list_sessions: lists the live sessions of an interpreter.
    """
    old, new = before.interpreters if before else {}, after.interpreters if after else {}
    for key in dict.fromkeys((*new, *old)):
        was, now = old.get(key), new.get(key)
        causes = resource_changes(before, was, after, now) if before and was and after and now else ()
        identifier = physical_ids.get(was.logical_id) if was else None
        if was and now and not causes:
            if was.properties.get("Name") == now.properties.get("Name"):
                continue
            causes = (_name_change(was, now),)
        ends_sessions = now is None or any(one.effect != "in place" for one in causes)
        yield InterpreterChange(
            interpreter=key,
            change="made" if was is None else "deleted" if now is None else "replaced" if ends_sessions else "changed",
            network=network_mode(now or was),
            because=causes,
            identifier=identifier,
            sessions=list_sessions(identifier) if was and ends_sessions and identifier else (),
        )


def network_mode(interpreter: Resource | None) -> str:
    """Returns the network mode of an interpreter, such as `SANDBOX`."""
    return str(interpreter.properties.get("NetworkConfiguration", {}).get("NetworkMode", "")) if interpreter else ""


def _name_change(was: Resource, now: Resource) -> PropertyChange:
    """Returns the change of a name whose cause is not in the template."""
    before, after = (str(one.properties.get("Name")) for one in (was, now))
    return PropertyChange(path="Name", before=before, after=after, effect="replaced")
