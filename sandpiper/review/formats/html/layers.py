"""A layered layout: nodes in columns by the length of the longest path to them, in few crossings.

It is deterministic: the same nodes and edges, in the same order, have the same layout.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SWEEPS = 4
"""How often nodes are sorted by the mean position of their neighbors, forward and back."""


def layers_of(nodes: Sequence[str], edges: Sequence[tuple[str, str]]) -> list[list[str]]:
    """Returns the nodes of each column, from left to right, each column from top to bottom.

    An edge of a cycle that leads back to an earlier node does not count.

    Example:
        >>> layers_of(["a", "b", "c"], [("a", "b"), ("b", "c"), ("a", "c")])
        [['a'], ['b'], ['c']]
    """
    forward = _without_cycles(nodes, edges)
    column: dict[str, int] = dict.fromkeys(nodes, 0)
    for node in _topological(nodes, forward):
        for target in forward.get(node, ()):
            column[target] = max(column[target], column[node] + 1)
    layers: list[list[str]] = [[] for _ in range(max(column.values(), default=-1) + 1)]
    for node in nodes:
        layers[column[node]].append(node)
    neighbors: dict[str, set[str]] = defaultdict(set)
    for source, target in edges:
        neighbors[source].add(target)
        neighbors[target].add(source)
    for sweep in range(SWEEPS):
        for layer in layers if sweep % 2 == 0 else reversed(layers):
            positions = {node: index for each in layers for index, node in enumerate(each)}
            means = {node: _mean(node, neighbors, positions) for node in layer}
            layer.sort(key=lambda node, means=means: means[node])
    return layers


def _mean(node: str, neighbors: Mapping[str, set[str]], positions: Mapping[str, int]) -> float:
    found = [positions[one] for one in neighbors.get(node, ())]
    return sum(found) / len(found) if found else positions[node]


def _without_cycles(nodes: Sequence[str], edges: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    """Returns the targets by source without the edges that close a cycle, in a depth-first search."""
    targets: dict[str, list[str]] = defaultdict(list)
    for source, target in edges:
        targets[source].append(target)
    forward: dict[str, list[str]] = defaultdict(list)
    done: set[str] = set()
    for root in nodes:
        if root in done:
            continue
        stack = [(root, iter(targets[root]))]
        open_nodes = {root}
        while stack:
            node, remaining = stack[-1]
            target = next(remaining, None)
            if target is None:
                stack.pop()
                open_nodes.discard(node)
                done.add(node)
            elif target not in open_nodes:
                forward[node].append(target)
                if target not in done:
                    open_nodes.add(target)
                    stack.append((target, iter(targets[target])))
    return forward


def _topological(nodes: Sequence[str], forward: Mapping[str, list[str]]) -> list[str]:
    missing: dict[str, int] = defaultdict(int)
    for targets in forward.values():
        for target in targets:
            missing[target] += 1
    ready = [node for node in nodes if not missing[node]]
    for node in ready:  # the loop extends the list
        for target in forward.get(node, ()):
            missing[target] -= 1
            if not missing[target]:
                ready.append(target)
    return ready
