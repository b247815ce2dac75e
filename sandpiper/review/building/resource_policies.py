"""Collects the policies of resources: buckets, keys, functions, endpoints and others."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from sandpiper.review.building.documents import RawDocument
from sandpiper.review.building.permissions import function_arn, permission_document
from sandpiper.review.building.types import ENDPOINT, PERMISSION, RESOURCE_POLICIES
from sandpiper.review.reading.values import as_mapping
from sandpiper_policy.model.statements import PolicyUse

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sandpiper.review.building.documents import DocumentReader
    from sandpiper.review.reading.source import TemplateSource
    from sandpiper.review.resolution.scope import Scope
    from sandpiper.review.resources import Resource
    from sandpiper_policy.model.attached import AttachedPolicy


def collect_resource_policies(
    templates: Mapping[str, tuple[TemplateSource, Scope]], resources: Sequence[Resource], reader: DocumentReader
) -> dict[str, tuple[AttachedPolicy, ...]]:
    """Returns the policies of resources by the address of the resource.

    The address of a resource that the templates do not create is its name or ARN.
    """
    by_name = {name: one.address for one in resources for name in (one.physical_id, one.arn) if name}
    found: dict[str, list[AttachedPolicy]] = defaultdict(list)
    seen = set[str]()
    for one in resources:
        if one.address in seen:  # another combination of conditions, which the reader of documents considers itself
            continue
        seen.add(one.address)
        source, scope = templates[one.stack]
        if one.type == PERMISSION:
            arn = function_arn(one, scope.target[0])
            holder = by_name.get(arn) or by_name.get(":".join(arn.split(":")[:7])) or arn
            document = RawDocument(
                source, scope, one.logical_id, ("Properties",), permission_document(one, arn), one.when
            )
            found[holder].append(reader.read(document, PolicyUse.RESOURCE, holder))
        elif one.type in RESOURCE_POLICIES:
            path, target = RESOURCE_POLICIES[one.type]
            content: Any = source.resources[one.logical_id].get("Properties")
            for step in path:
                content = as_mapping(content).get(step)
            if content is None:
                continue
            use = PolicyUse.ENDPOINT if one.type == ENDPOINT else PolicyUse.RESOURCE
            document = RawDocument(source, scope, one.logical_id, ("Properties", *path), content, one.when)
            for holder in _holders(one, target, by_name):
                found[holder].append(reader.read(document, use, holder))
    return {address: tuple(policies) for address, policies in found.items()}


def _holders(one: Resource, target: str | None, by_name: Mapping[str, str]) -> Iterator[str]:
    if target is None:
        yield one.address
        return
    for name in map(str, one.items(target)):
        yield by_name.get(name, name)
