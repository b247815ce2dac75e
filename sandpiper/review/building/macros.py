"""Finds macros, which change a template when it is deployed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandpiper.review.reading.values import as_list, as_mapping, as_text
from sandpiper_policy.model.location import Location

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandpiper.review.reading.source import TemplateSource

_SERVERLESS = "AWS::Serverless::"


def find_macros(source: TemplateSource) -> Iterator[tuple[Location, str]]:
    """Yields the location and the name of each macro of a template, and of each resource that a macro replaces."""
    for entry in as_list(source.document.content.get("Transform")):
        name = as_text(entry) or as_text(as_mapping(entry).get("Name"))
        yield Location(source.document.file, source.document.line_of(("Transform",))), name
    for logical_id in source.section("Resources"):
        if logical_id.startswith("Fn::"):
            yield source.location(logical_id), logical_id.rpartition("::")[0] or logical_id
    for logical_id, resource in source.resources.items():
        if resource["Type"].startswith(_SERVERLESS):
            yield source.location(logical_id), resource["Type"]
