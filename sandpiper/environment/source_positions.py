"""Finds the line of an option in a YAML file, for messages that an editor can jump to, and finds duplicate keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from ruamel.yaml import YAML
from ruamel.yaml.nodes import MappingNode, Node, SequenceNode

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandpiper.environment.errors import KeyPath


class SourcePositions:
    """The line numbers of one document, from 1.

    Attributes:
        duplicate_keys: Each duplicate key: its key path, the line of the first occurrence, and its own line.
    """

    def __init__(self, root: Node) -> None:
        """Removes duplicate keys from the nodes in place, so that the first value of each key remains."""
        self._root = root
        self.duplicate_keys: list[tuple[KeyPath, int, int]] = []
        queue: list[tuple[KeyPath, Node]] = [((), root)]
        seen = set[int]()  # a node can contain itself through an alias
        for key_path, node in queue:  # the loop extends the queue
            if id(node) in seen:
                continue
            seen.add(id(node))
            if isinstance(node, MappingNode):
                queue += self._remove_duplicates(key_path, node)
            elif isinstance(node, SequenceNode):
                items = cast("list[Node]", node.value)
                queue += [((*key_path, index), item) for index, item in enumerate(items)]

    @classmethod
    def from_text(cls, text: str) -> SourcePositions:
        """Returns the positions of a valid YAML text."""
        return cls(cast("Node", YAML(typ="safe", pure=True).compose(text)))

    def _remove_duplicates(self, key_path: KeyPath, node: MappingNode) -> list[tuple[KeyPath, Node]]:
        """Removes duplicate keys from a mapping, and returns its values with their key paths."""
        first_entries: dict[tuple[str, str], tuple[Node, Node]] = {}
        for key, value in cast("list[tuple[Node, Node]]", node.value):
            name = str(cast("object", key.value))
            first_key, _ = first_entries.setdefault((str(cast("object", key.tag)), name), (key, value))
            if first_key is not key:
                self.duplicate_keys.append(((*key_path, name), line_number(first_key), line_number(key)))
        node.value = list(first_entries.values())
        return [((*key_path, name), value) for (_, name), (_, value) in first_entries.items()]

    def line_of(self, key_path: KeyPath) -> int | None:
        """Returns the line of a key path, or of its nearest parent in the file. Returns None for the whole file."""
        return line_of(self._root, key_path)


def child_of(node: Node, step: str | int) -> tuple[int, Node] | None:
    """Returns the line and the node of a mapping's key or of a list's item."""
    if isinstance(node, MappingNode):
        # In reverse: the keys that `<<` merges come first, and the mapping's own keys override them.
        for key, value in reversed(cast("list[tuple[Node, Node]]", node.value)):
            if str(cast("object", key.value)) == str(step):
                return line_number(key), value
    if isinstance(node, SequenceNode) and isinstance(step, int):
        items = cast("list[Node]", node.value)
        if step < len(items):
            return line_number(items[step]), items[step]
    return None


def line_of(
    root: Node,
    key_path: KeyPath,
    child: Callable[[Node, str | int], tuple[int, Node] | None] = child_of,
) -> int | None:
    """Returns the line of a key path below a node, or of its nearest parent. Returns None for the node itself.

    Args:
        root: The node.
        key_path: The keys and indexes.
        child: Returns the line and the node of a key or an item of a node.
    """
    node, line = root, None
    for step in key_path:
        found = child(node, step)
        if found is None:
            break
        line, node = found
    return line


def line_number(node: Node) -> int:
    """Returns the line on which a node begins, from 1."""
    return cast("int", node.start_mark.line) + 1
