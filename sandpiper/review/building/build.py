"""Builds the model of a review."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from sandpiper.plan.resource_types import INTERPRETER
from sandpiper.review.building.documents import DocumentReader
from sandpiper.review.building.identities import IdentityCollector
from sandpiper.review.building.macros import find_macros
from sandpiper.review.building.resource_policies import collect_resource_policies
from sandpiper.review.building.resources import resolve_resources
from sandpiper.review.building.types import NODE_KINDS, PROGRAM_ROLES
from sandpiper.review.building.unresolved import unresolved_values
from sandpiper.review.labels import Labels
from sandpiper.review.model import ReviewedTemplate, ReviewModel
from sandpiper.review.reading.values import as_text
from sandpiper.review.resolution.templates import Templates
from sandpiper_policy.model.edges import EdgeFinder
from sandpiper_policy.model.graph import Edge, EdgeKind, Node, NodeKind
from sandpiper_policy.model.model import PolicyModel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from sandpiper.review.access.expectations import Expectation
    from sandpiper.review.reading.source import TemplateSource
    from sandpiper.review.resolution.scope import Scope
    from sandpiper.review.resources import Resource
    from sandpiper_policy.model.identities import Identity

NAME_HASH = re.compile(r"_([0-9a-f]{8})$")
"""The end of an interpreter's name: a hash of its create-only properties."""


def build_model(name: str, sources: Sequence[TemplateSource], expectations: Sequence[Expectation] = ()) -> ReviewModel:
    """Builds the model of templates.

    Args:
        name: The name of the review in reports.
        sources: The templates.
        expectations: The access that environment files require or exclude.
    """
    templates = Templates(sources)
    by_stack = {source.name: (source, templates.scopes[source.name]) for source in sources}
    resources = tuple(one for source, scope in by_stack.values() for one in resolve_resources(source, scope))
    labels = Labels(_invented(by_stack), _name_hashes(resources))
    reader = DocumentReader(labels.without_hashes)
    collector = IdentityCollector(by_stack, resources, reader)
    resource_policies = collect_resource_policies(by_stack, resources, reader)
    collector.add_principals(one.trust for one in collector.identities().values() if one.trust)
    collector.add_principals(policy for policies in resource_policies.values() for policy in policies)
    identities = collector.identities()
    nodes = _nodes(resources, identities)
    finder = EdgeFinder(identities, resource_policies, nodes, collector.address_of)
    graph = finder.find(_program_edges(resources, collector.address_of))
    policies = PolicyModel(identities, resource_policies, graph)
    return ReviewModel(
        name=name,
        templates=tuple(
            ReviewedTemplate(one.name, one.document.file, one.account, one.region, one.document.sha256)
            for one in sources
        ),
        resources=resources,
        policies=PolicyModel(
            identities, resource_policies, graph, tuple(unresolved_values(resources, policies, templates.reasons))
        ),
        labels=labels,
        documents={one.name: one.document for one in sources},
        macros=tuple(macro for source in sources for macro in find_macros(source)),
        expectations=tuple(expectations),
    )


def _nodes(resources: Sequence[Resource], identities: Mapping[str, Identity]) -> dict[str, Node]:
    """Returns the nodes of the graph: resources that can be used, and identities."""
    nodes = {
        one.address: Node(one.address, NODE_KINDS[one.type], one.arn) for one in resources if one.type in NODE_KINDS
    }
    return nodes | {
        address: Node(address, NodeKind[identity.kind.name], identity.arn) for address, identity in identities.items()
    }


def _program_edges(resources: Sequence[Resource], address_of: Callable[[str], str]) -> Iterator[Edge]:
    """Yields an edge from each program to the role that it runs as."""
    for one in resources:
        role = one.get(PROGRAM_ROLES[one.type]) if one.type in PROGRAM_ROLES else None
        if isinstance(role, str):
            yield Edge(EdgeKind.RUNS_AS, one.address, address_of(role))


def _invented(by_stack: Mapping[str, tuple[TemplateSource, Scope]]) -> Iterator[tuple[str, str, str]]:
    """Yields the token, the invented name and the address of each resource whose name CloudFormation generates."""
    for source, scope in by_stack.values():
        for logical_id in source.resources:
            names = scope.names(logical_id)
            if names is not None and names.invented:
                yield names.token, names.invented, source.address(logical_id)


def _name_hashes(resources: Sequence[Resource]) -> Iterator[str]:
    """Yields the hashes in names of interpreters, which change with create-only properties.

    The CDK appends another hash to a logical ID that contains one. Both are yielded together, unless two resources of a
    stack would have the same ID without them.
    """
    names = (as_text(one.get("Name")) for one in resources if one.type == INTERPRETER)
    hashes = sorted({match[1] for match in map(NAME_HASH.search, names) if match is not None})
    yield from hashes
    if hashes:
        ids = {(one.stack, one.logical_id) for one in resources}
        ends = re.compile(f"(?:{'|'.join(hashes)})[0-9A-F]{{8}}$")
        starts = Counter((stack, ends.sub("", logical_id)) for stack, logical_id in ids)
        for stack, logical_id in sorted(ids):
            match = ends.search(logical_id)
            if match is not None and starts[stack, logical_id[: match.start()]] == 1:
                yield match[0]
