"""Resolves the resources of templates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandpiper.review.reading.values import as_mapping
from sandpiper.review.resources import Resource

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandpiper.review.reading.source import TemplateSource
    from sandpiper.review.resolution.scope import Scope

ACKNOWLEDGED = "aws:cdk:acknowledged-rules"


def resolve_resources(source: TemplateSource, scope: Scope) -> Iterator[Resource]:
    """Yields the resources of a template, each once for each combination of conditions.

    A resource that a known condition removes is omitted.
    """
    for logical_id, entry in source.resources.items():
        existence = scope.existence(entry.get("Condition"))
        if existence is None:
            continue
        names = scope.names(logical_id)
        metadata = dict(as_mapping(entry.get("Metadata")))
        if logical_id in source.acknowledged:
            metadata[ACKNOWLEDGED] = source.acknowledged[logical_id]
        location = source.location(logical_id)
        for when, properties in scope.alternatives(as_mapping(entry.get("Properties"))):
            yield Resource(
                address=source.address(logical_id),
                stack=source.name,
                logical_id=logical_id,
                type=entry["Type"],
                properties=as_mapping(properties),
                arn=names.arn if names else "",
                physical_id=names.ref if names else "",
                account=source.account,
                region=source.region,
                location=location,
                metadata=metadata,
                when=(*existence, *when),
            )
