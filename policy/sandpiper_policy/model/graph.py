"""The graph of the model: which identity or program can use, change or run as which other node."""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from sandpiper_policy.model.statements import PolicyStatement


class NodeKind(Enum):
    """The kinds of nodes."""

    ROLE = "role"
    USER = "user"
    GROUP = "group"
    EXTERNAL = "identity outside of the templates"
    ACCOUNT = "account"
    SERVICE = "service"
    PROVIDER = "identity provider"
    EVERYONE = "everyone"
    INTERPRETER = "interpreter"
    FUNCTION = "function"
    STATE_MACHINE = "state machine"
    BUCKET = "bucket"
    KEY = "key"
    OTHER = "resource"


class EdgeKind(Enum):
    """What the source of an edge can do with its target."""

    ASSUMES = "assumes"
    RUNS_AS = "runs as"
    """A program (function, state machine, interpreter) has the permissions of its role."""
    INVOKES = "invokes"
    """Starts a function, a state machine or a session, with input that the source chooses."""
    CONTROLS = "changes the code of"
    """Replaces the code of a function, the definition of a state machine or the policies of a role or a key."""
    PASSES = "passes"
    """`iam:PassRole`."""
    READS = "reads"
    WRITES = "writes"


@dataclass(frozen=True)
class Node:
    """A node of the graph; `address` is that of an identity or of a resource."""

    address: str
    kind: NodeKind
    arn: str


@dataclass(frozen=True)
class Edge:
    """An edge of the graph.

    Attributes:
        kind: What the source can do.
        source: The address of the source.
        target: The address of the target.
        actions: The actions that make the edge.
        statements: The statements that allow them. Conditions of the statements are not evaluated.
    """

    kind: EdgeKind
    source: str
    target: str
    actions: tuple[str, ...] = ()
    statements: tuple[PolicyStatement, ...] = ()


Path = tuple[Edge, ...]


@dataclass(frozen=True)
class Graph:
    """Nodes by address, and edges.

    Attributes:
        nodes: The nodes.
        edges: The edges.
        left_out: Whether there are more edges than the graph can hold.
    """

    nodes: Mapping[str, Node]
    edges: tuple[Edge, ...] = field(default=())
    left_out: bool = False

    @cached_property
    def outgoing(self) -> Mapping[str, tuple[Edge, ...]]:
        """The edges by the address of their source."""
        return _grouped(self.edges, lambda edge: edge.source)

    @cached_property
    def incoming(self) -> Mapping[str, tuple[Edge, ...]]:
        """The edges by the address of their target."""
        return _grouped(self.edges, lambda edge: edge.target)

    def shortest_paths(self, source: str, kinds: frozenset[EdgeKind]) -> dict[str, Path]:
        """Returns the shortest path of edges of these kinds from a node to each node that it reaches."""
        paths: dict[str, Path] = {source: ()}
        queue = deque([source])
        while queue:
            address = queue.popleft()
            for edge in self.outgoing.get(address, ()):
                if edge.kind in kinds and edge.target not in paths:
                    paths[edge.target] = (*paths[address], edge)
                    queue.append(edge.target)
        del paths[source]
        return paths

    def of_kind(self, kind: NodeKind) -> Iterator[Node]:
        """Yields the nodes of a kind."""
        return (node for node in self.nodes.values() if node.kind is kind)


def _grouped(edges: tuple[Edge, ...], key: Callable[[Edge], str]) -> dict[str, tuple[Edge, ...]]:
    groups: dict[str, list[Edge]] = defaultdict(list)
    for edge in edges:
        groups[key(edge)].append(edge)
    return {address: tuple(group) for address, group in groups.items()}
