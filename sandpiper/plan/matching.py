"""Matches the resources of two templates, and compares their properties."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

from sandpiper.plan.create_only import update_effect
from sandpiper.plan.model import PropertyChange

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sandpiper.plan.template import Resource, Template

ResourcePair = tuple["Resource | None", "Resource | None"]


def match_resources(before: Template | None, after: Template | None) -> list[tuple[str, ResourcePair]]:
    """Returns each resource by its label, before and after; None where the template does not have it.

    Resources match by logical ID and type. A resource with a new logical ID matches a removed one with the same label.
    """
    old, new = (dict(one.resources) if one else {} for one in (before, after))
    found: list[tuple[str, ResourcePair]] = []
    removed_by_label = {} if before is None else {before.labels[name]: name for name in old if name not in new}
    for name, resource in new.items():
        label = after.labels[name] if after else name
        match = name if name in old and old[name].type == resource.type else removed_by_label.get(label, "")
        found.append((label, (old.pop(match, None), resource)))
    return found + [(before.labels[name] if before else name, (one, None)) for name, one in old.items()]


def resource_changes(before: Template, old: Resource, after: Template, new: Resource) -> tuple[PropertyChange, ...]:
    """Returns the differences between the properties and the attributes of a resource in two templates."""
    attributes = _differences("", before.resolve_attributes(old), after.resolve_attributes(new))
    return (
        *property_changes(old.type, before.resolve_properties(old), after.resolve_properties(new)),
        *(
            PropertyChange(path=path, before=to_text(was), after=to_text(now), effect="in place")
            for path, was, now in attributes
        ),
    )


def property_changes(
    resource_type: str, before: Mapping[str, Any], after: Mapping[str, Any]
) -> tuple[PropertyChange, ...]:
    """Returns the differences between two sets of resolved properties, each at its deepest path."""
    return tuple(
        PropertyChange(path=path, before=to_text(was), after=to_text(now), effect=update_effect(resource_type, path))
        for path, was, now in _differences("", before, after)
    )


def to_text(value: object) -> str | None:
    """Returns a resolved value as text: strings unchanged, other values as JSON, None for a missing value."""
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, sort_keys=True)


def _differences(path: str, before: object, after: object) -> Iterator[tuple[str, object, object]]:
    old, new = _tags_as_mapping(before), _tags_as_mapping(after)
    if isinstance(old, dict) and isinstance(new, dict):
        left, right = cast("dict[str, object]", old), cast("dict[str, object]", new)
        for name in dict.fromkeys((*left, *right)):
            yield from _differences(f"{path}.{name}".removeprefix("."), left.get(name), right.get(name))
    elif old != new:
        yield path, before, after


def _tags_as_mapping(value: object) -> object:
    """Returns a list of tags as a mapping from key to value, and any other value unchanged."""
    if not isinstance(value, list):
        return value
    items = cast("list[Any]", value)
    if items and all(isinstance(one, dict) and set(cast("dict[str, Any]", one)) == {"Key", "Value"} for one in items):
        return {one["Key"]: one["Value"] for one in items}
    return items
