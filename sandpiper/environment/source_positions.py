"""The line of a place in a YAML file, for messages that an editor can jump to, and which keys are there again."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from ruamel.yaml import YAML
from ruamel.yaml.nodes import MappingNode, Node, SequenceNode

if TYPE_CHECKING:
    from sandpiper.environment.errors import Place


class Lines:
    """The lines of one document. `again` has each key that its mapping has already: its place, the first's line, its
    own.
    """

    def __init__(self, root: Node) -> None:
        """Takes keys that are there again out of the document, in place: what is left is what is meant first."""
        self._root = root
        self.again: list[tuple[Place, int, int]] = []
        waiting: list[tuple[Place, Node]] = [((), root)]
        seen = set[int]()  # a node may lie in itself
        for place, node in waiting:  # which grows as it goes on
            if id(node) in seen:
                continue
            seen.add(id(node))
            if isinstance(node, MappingNode):
                waiting += self._once(place, node)
            elif isinstance(node, SequenceNode):
                items = cast("list[Node]", node.value)
                waiting += [((*place, index), item) for index, item in enumerate(items)]

    @classmethod
    def of_text(cls, text: str) -> Lines:
        """Those of a text that is YAML."""
        return cls(cast("Node", YAML(typ="safe", pure=True).compose(text)))

    def _once(self, place: Place, node: MappingNode) -> list[tuple[Place, Node]]:
        """What lies in a mapping, once it has each key once."""
        first: dict[tuple[str, str], tuple[Node, Node]] = {}
        for key, value in cast("list[tuple[Node, Node]]", node.value):
            name = str(cast("object", key.value))
            before, _ = first.setdefault((str(cast("object", key.tag)), name), (key, value))
            if before is not key:
                self.again.append(((*place, name), _line(before), _line(key)))
        node.value = list(first.values())
        return [((*place, name), value) for (_, name), (_, value) in first.items()]

    def of(self, place: Place) -> int | None:
        """The line of a place, from 1; of what it would lie in where the file does not have it; None for the file."""
        node: Node | None
        node, line = self._root, None
        for step in place:
            found = _inside(node, step)
            if found is None:
                break
            line, node = found
        return line


def _inside(node: Node | None, step: str | int) -> tuple[int, Node] | None:
    """The line on which a part of a node begins, and the part."""
    if isinstance(node, MappingNode):
        # From the end: what a mapping has by `<<` comes first there, and counts less than what it has itself.
        for key, value in reversed(cast("list[tuple[Node, Node]]", node.value)):
            if str(cast("object", key.value)) == str(step):
                return _line(key), value
    if isinstance(node, SequenceNode) and isinstance(step, int):
        items = cast("list[Node]", node.value)
        if step < len(items):
            return _line(items[step]), items[step]
    return None


def _line(node: Node) -> int:
    return cast("int", node.start_mark.line) + 1
