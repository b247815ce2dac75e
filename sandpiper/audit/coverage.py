"""Compares the event selectors of a trail with those that an environment needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sandpiper_contract.audit import OBJECTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sandpiper_contract.audit import EventSelector

ALL_OBJECTS = "arn:{partition}:s3"
"""The value of a basic event selector for all objects of all buckets.

https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_DataResource.html
"""


def missing_selectors(needed: Iterable[EventSelector], found: Mapping[str, Any]) -> tuple[EventSelector, ...]:
    """Returns the needed selectors that no single selector of the trail covers.

    A selector that also filters by another field, such as `readOnly` or `eventName`, covers nothing.

    Args:
        needed: the selectors of the environment.
        found: the response of GetEventSelectors.
    """
    advanced: Sequence[Mapping[str, Any]] = found.get("AdvancedEventSelectors", ())
    basic: Sequence[Mapping[str, Any]] = found.get("EventSelectors", ())
    return tuple(
        one
        for one in needed
        if not any(_covers(each, one) for each in advanced) and not any(_basic_covers(each, one) for each in basic)
    )


def _covers(selector: Mapping[str, Any], needed: EventSelector) -> bool:
    fields = {each["Field"]: _operators(each) for each in selector["FieldSelectors"]}
    category, resource_type = fields.pop("eventCategory", {}), fields.pop("resources.type", {})
    arn = fields.pop("resources.ARN", {})
    return (
        "Data" in category.get("Equals", ())
        and needed.resource_type in resource_type.get("Equals", ())
        and not fields
        and _covers_arns(arn, needed.arn_prefix)
    )


def _covers_arns(arn: Mapping[str, Sequence[str]], prefix: str | None) -> bool:
    """Returns whether the operators of `resources.ARN` select every ARN with a prefix."""
    if set(arn) - {"StartsWith", "NotStartsWith"}:
        return False
    included, excluded = arn.get("StartsWith", ("",)), arn.get("NotStartsWith", ())
    if prefix is None:
        return not arn
    return any(prefix.startswith(each) for each in included) and not any(
        each.startswith(prefix) or prefix.startswith(each) for each in excluded
    )


def _operators(field: Mapping[str, Any]) -> dict[str, Sequence[str]]:
    return {name: values for name, values in field.items() if name != "Field" and values}


def _basic_covers(selector: Mapping[str, Any], needed: EventSelector) -> bool:
    """Returns whether a basic event selector records all reads and writes of the objects."""
    if needed.resource_type != OBJECTS or needed.arn_prefix is None or selector.get("ReadWriteType", "All") != "All":
        return False
    partition = needed.arn_prefix.split(":")[1]
    values = [
        value
        for each in selector.get("DataResources", ())
        if each.get("Type") == OBJECTS
        for value in each.get("Values", ())
    ]
    everything = ALL_OBJECTS.format(partition=partition)
    return any(value in (everything, f"{everything}:::") or needed.arn_prefix.startswith(value) for value in values)
