"""The line of a place in a YAML file, for messages that an editor can jump to."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from ruamel.yaml import YAML
from ruamel.yaml.nodes import MappingNode, Node, SequenceNode

if TYPE_CHECKING:
    from sandpiper.environment.errors import Place


class Lines:
    """The lines of one text, which is YAML."""

    def __init__(self, text: str) -> None:
        self._root = cast("Node | None", YAML(typ="safe", pure=True).compose(text))

    def of(self, place: Place) -> int | None:
        """The line of a place, from 1; of what it would lie in where the file does not have it; None for the file."""
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
        for key, value in cast("list[tuple[Node, Node]]", node.value):
            if str(cast("object", key.value)) == str(step):
                return _line(key), value
    if isinstance(node, SequenceNode) and isinstance(step, int):
        items = cast("list[Node]", node.value)
        if step < len(items):
            return _line(items[step]), items[step]
    return None


def _line(node: Node) -> int:
    return cast("int", node.start_mark.line) + 1
