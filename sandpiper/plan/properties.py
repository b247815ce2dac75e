"""What differs between two resources: property by property, and which two of two templates are the same resource."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

from sandpiper.plan.create_only import effect
from sandpiper.plan.model import PropertyChange

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sandpiper.plan.template import Resource, Template

Pair = tuple["Resource | None", "Resource | None"]


def pairs(before: Template | None, after: Template | None) -> list[tuple[str, Pair]]:
    """Each resource by its label, before and after: the same by its logical id, or else made anew under its label."""
    old, new = (dict(one.resources) if one else {} for one in (before, after))
    found: list[tuple[str, Pair]] = []
    by_label = {} if before is None else {before.labels[name]: name for name in old if name not in new}
    for name, will in new.items():
        label = after.labels[name] if after else name
        same = name if name in old and old[name].type == will.type else by_label.get(label, "")
        was = old.pop(same, None)
        found.append((label, (was, will)))
    return found + [(before.labels[name] if before else name, (was, None)) for name, was in old.items()]


def of_resource(before: Template, was: Resource, after: Template, will: Resource) -> tuple[PropertyChange, ...]:
    """Differences of a resource's properties, and of what it has beside them."""
    beside = _differences("", before.plain_attributes(was), after.plain_attributes(will))
    return (
        *changes(was.type, before.plain_properties(was), after.plain_properties(will)),
        *(PropertyChange(path=path, before=text(old), after=text(new), effect="in place") for path, old, new in beside),
    )


def changes(kind: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[PropertyChange, ...]:
    """Differences of two resources' plain properties, each where it is deepest."""
    return tuple(
        PropertyChange(path=path, before=text(old), after=text(new), effect=effect(kind, path))
        for path, old, new in _differences("", before, after)
    )


def _differences(path: str, before: object, after: object) -> Iterator[tuple[str, object, object]]:
    old, new = _named(before), _named(after)
    if isinstance(old, dict) and isinstance(new, dict):
        left, right = cast("dict[str, object]", old), cast("dict[str, object]", new)
        for name in dict.fromkeys((*left, *right)):
            yield from _differences(f"{path}.{name}".removeprefix("."), left.get(name), right.get(name))
    elif old != new:
        yield path, before, after


def _named(value: object) -> object:
    """A list of tags is a mapping by their keys."""
    if not isinstance(value, list):
        return value
    items = cast("list[Any]", value)
    if items and all(isinstance(one, dict) and set(cast("dict[str, Any]", one)) == {"Key", "Value"} for one in items):
        return {one["Key"]: one["Value"] for one in items}
    return items


def text(value: object) -> str | None:
    """A plain value as people read it."""
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, sort_keys=True)
