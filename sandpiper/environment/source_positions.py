"""The line of a key_path in a YAML file, for messages that an editor can jump to, and which keys are there again."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from ruamel.yaml import YAML
from ruamel.yaml.nodes import MappingNode, Node, SequenceNode

if TYPE_CHECKING:
    from sandpiper.environment.errors import KeyPath


class SourcePositions:
    """The line numbers of one document.

    `duplicate_keys` has each duplicate key: its key path, the line of the first occurrence, and its line.
    """

    def __init__(self, root: Node) -> None:
        """Takes keys that are there again out of the document, in key_path: what is left is what is meant first."""
        self._root = root
        self.duplicate_keys: list[tuple[KeyPath, int, int]] = []
        waiting: list[tuple[KeyPath, Node]] = [((), root)]
        seen = set[int]()  # a node may lie in itself
        for key_path, node in waiting:  # which grows as it goes on
            if id(node) in seen:
                continue
            seen.add(id(node))
            if isinstance(node, MappingNode):
                waiting += self._drop_duplicates(key_path, node)
            elif isinstance(node, SequenceNode):
                items = cast("list[Node]", node.value)
                waiting += [((*key_path, index), item) for index, item in enumerate(items)]

    @classmethod
    def from_text(cls, text: str) -> SourcePositions:
        """Those of a text that is YAML."""
        return cls(cast("Node", YAML(typ="safe", pure=True).compose(text)))

    def _drop_duplicates(self, key_path: KeyPath, node: MappingNode) -> list[tuple[KeyPath, Node]]:
        """What lies in a mapping, once it has each key once."""
        first: dict[tuple[str, str], tuple[Node, Node]] = {}
        for key, value in cast("list[tuple[Node, Node]]", node.value):
            name = str(cast("object", key.value))
            before, _ = first.setdefault((str(cast("object", key.tag)), name), (key, value))
            if before is not key:
                self.duplicate_keys.append(((*key_path, name), _line(before), _line(key)))
        node.value = list(first.values())
        return [((*key_path, name), value) for (_, name), (_, value) in first.items()]

    def line_of(self, key_path: KeyPath) -> int | None:
        """Returns the line of a key path, from 1, or of its nearest parent in the file. None for the whole file."""
        node: Node | None
        node, line = self._root, None
        for step in key_path:
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
