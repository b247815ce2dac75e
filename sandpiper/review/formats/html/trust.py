"""The trust graph: who starts which program, and which data the program reaches with its role.

The drawing shows a program and its role as one node. The table has both.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sandpiper.review.formats.html.layers import layers_of
from sandpiper_policy.model.graph import EdgeKind, NodeKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sandpiper.review.model import ReviewModel
    from sandpiper_policy.model.graph import Edge, Node

SHOWN_NODES = frozenset(
    {
        *(NodeKind.ROLE, NodeKind.USER, NodeKind.EXTERNAL, NodeKind.EVERYONE, NodeKind.INTERPRETER),
        *(NodeKind.FUNCTION, NodeKind.STATE_MACHINE, NodeKind.BUCKET),
    }
)
MAX_NODES = 120
"""Nodes of a drawn graph. A larger one is only a table."""
WIDTH, HEIGHT, COLUMN_GAP, ROW_GAP, MARGIN = 230, 40, 70, 16, 8
LABEL_CHARACTERS, DETAIL_CHARACTERS = 26, 36
_HASH = re.compile(r"[0-9A-F]{8}$")
"""The hash that the CDK appends to logical IDs."""
STYLES = {
    EdgeKind.ASSUMES: "use",
    EdgeKind.INVOKES: "use",
    EdgeKind.CONTROLS: "control",
    EdgeKind.PASSES: "control",
    EdgeKind.READS: "data",
    EdgeKind.WRITES: "data",
}
"""The style of a line by the kind of its edge."""


@dataclass(frozen=True)
class Box:
    """A node of the drawing with its place in pixels, and its kind as one word."""

    name: str
    label: str
    detail: str
    kind: str
    x: int
    y: int


@dataclass(frozen=True)
class Line:
    """An edge of the drawing: its path, and its style."""

    path: str
    style: str


@dataclass(frozen=True)
class TrustGraph:
    """The drawing and its text alternative.

    Attributes:
        boxes: The nodes; empty if there are too many to draw.
        lines: The edges.
        width: The width in pixels.
        height: The height in pixels.
        rows: Every edge as source, verb and target.
    """

    boxes: tuple[Box, ...]
    lines: tuple[Line, ...]
    width: int
    height: int
    rows: tuple[tuple[str, str, str], ...]


def trust_graph(model: ReviewModel) -> TrustGraph:
    """Returns the graph of a model. Nodes without an edge are not shown."""
    graph = model.policies.graph
    nodes = {address: node for address, node in graph.nodes.items() if node.kind in SHOWN_NODES}
    edges = sorted(
        (one for one in graph.edges if one.source in nodes and one.target in nodes and one.source != one.target),
        key=lambda one: (one.source, one.target, one.kind.value),
    )
    rows = tuple((model.readable(one.source), one.kind.value, model.readable(one.target)) for one in edges)
    drawn = _merged(edges)
    used = sorted({address for source, target, _ in drawn for address in (source, target)})
    if len(used) > MAX_NODES:
        return TrustGraph((), (), 0, 0, rows)
    layers = layers_of(used, [(source, target) for source, target, _ in drawn])
    tallest = max(map(len, layers), default=0)
    places = {
        address: (
            MARGIN + column * (WIDTH + COLUMN_GAP),
            MARGIN + row * (HEIGHT + ROW_GAP) + (tallest - len(layer)) * (HEIGHT + ROW_GAP) // 2,
        )
        for column, layer in enumerate(layers)
        for row, address in enumerate(layer)
    }
    return TrustGraph(
        boxes=tuple(_box(model, nodes[address], *places[address]) for layer in layers for address in layer),
        lines=tuple(_line(places[source], places[target], kind) for source, target, kind in drawn),
        width=2 * MARGIN + len(layers) * WIDTH + max(0, len(layers) - 1) * COLUMN_GAP,
        height=2 * MARGIN + tallest * HEIGHT + max(0, tallest - 1) * ROW_GAP,
        rows=rows,
    )


def _box(model: ReviewModel, node: Node, x: int, y: int) -> Box:
    name = model.readable(node.address)
    stack, _, label = name.rpartition("/")
    kind = node.kind.value
    detail = _shortened(f"{kind}, {stack}" if stack else kind, DETAIL_CHARACTERS)
    return Box(name, _shortened(_HASH.sub("", label) or label, LABEL_CHARACTERS), detail, kind.split()[0], x, y)


def _shortened(text: str, characters: int) -> str:
    return text if len(text) <= characters else f"{text[: characters - 1]}…"


def _merged(edges: Sequence[Edge]) -> list[tuple[str, str, EdgeKind]]:
    """Returns source, target and kind of each line: that of a role starts and ends at the programs that have it."""
    programs: dict[str, list[str]] = defaultdict(list)
    for one in edges:
        if one.kind is EdgeKind.RUNS_AS:
            programs[one.target].append(one.source)
    return list(
        dict.fromkeys(
            (source, target, one.kind)
            for one in edges
            if one.kind is not EdgeKind.RUNS_AS
            for source in programs.get(one.source, [one.source])
            for target in programs.get(one.target, [one.target])
            if source != target
        )
    )


def _line(source: tuple[int, int], target: tuple[int, int], kind: EdgeKind) -> Line:
    (x1, y1), (x2, y2) = source, target
    start, end = (x1 + WIDTH, y1 + HEIGHT // 2), (x2, y2 + HEIGHT // 2)
    if x2 <= x1:  # an edge back, or within a column
        start, end = (x1 + WIDTH // 2, y1 + HEIGHT), (x2 + WIDTH // 2, y2 + HEIGHT)
        bend = max(y1, y2) + HEIGHT + ROW_GAP
        return Line(f"M{start[0]},{start[1]} C{start[0]},{bend} {end[0]},{bend} {end[0]},{end[1]}", STYLES[kind])
    middle = (start[0] + end[0]) // 2
    return Line(f"M{start[0]},{start[1]} C{middle},{start[1]} {middle},{end[1]} {end[0]},{end[1]}", STYLES[kind])
