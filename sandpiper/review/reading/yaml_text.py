"""Parses YAML templates: CloudFormation's short forms such as `!Sub`, no other tag, and nothing is constructed.

Scalars follow YAML 1.1, as in CloudFormation, except that dates and numbers with a leading zero remain text: account
IDs and `Version: 2012-10-17` are text in CloudFormation, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from sandpiper.environment.document_limits import DocumentLimitError, LimitedParser
from sandpiper.environment.source_positions import child_of, line_number, line_of
from sandpiper.review.reading.errors import TemplateError
from sandpiper.review.reading.limits import TEMPLATE_LIMITS

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandpiper.review.reading.document import KeyPath

SHORT_FORMS = {
    "!Ref": "Ref",
    "!Condition": "Condition",
    **{
        f"!{name}": f"Fn::{name}"
        for name in (
            *("And", "Base64", "Cidr", "Equals", "FindInMap", "GetAtt", "GetAZs", "GetStackOutput", "If"),
            *("ImportValue", "Join", "Length", "Not", "Or", "Select", "Split", "Sub", "ToJsonString", "Transform"),
        )
    },
}
"""https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference.html"""
_CORE = "tag:yaml.org,2002:"
_CORE_TAGS = {_CORE + kind for kind in ("null", "bool", "int", "float", "str", "timestamp", "seq", "map")}
_BOOLEANS = {"true": True, "yes": True, "on": True, "y": True, "false": False, "no": False, "off": False, "n": False}


class _TemplateParser(LimitedParser):
    limits = TEMPLATE_LIMITS


def parse_yaml(text: str, name: str) -> tuple[object, Callable[[KeyPath], int | None]]:
    """Returns the document of a YAML text, and a function that returns the line of a key path.

    Raises:
        TemplateError: The text is not YAML, has an unknown tag or a duplicate key, or exceeds a limit.
    """
    parser = YAML(typ="safe", pure=True)
    parser.version = (1, 1)  # pyright: ignore[reportAttributeAccessIssue] - a property without a type
    parser.Parser = _TemplateParser
    try:
        root = cast("Node | None", parser.compose(text))
        if root is None:
            raise TemplateError(name, "is empty", "name a CloudFormation template")
        content = _Converter(name).convert(root)
    except DocumentLimitError as error:
        raise TemplateError(name, error.problem, f"allowed: {error.allowed}", error.line) from None
    except MarkedYAMLError as error:
        marked = cast("Any", error)
        mark = marked.problem_mark or marked.context_mark
        line = None if mark is None else int(mark.line) + 1
        raise TemplateError(name, f"is not YAML ({marked.problem or marked.context})", "correct it", line) from None
    except (YAMLError, ValueError, TypeError, RecursionError) as error:
        raise TemplateError(name, f"is not YAML ({' '.join(str(error).split())[:200]})", "correct it") from None
    return content, lambda key_path: line_of(root, key_path, _child) or line_number(root)


class _Converter:
    """Converts nodes to plain values. A node that several aliases name is converted once."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._converted: dict[int, object] = {}

    def convert(self, node: Node) -> object:
        """Returns the value of a node."""
        if id(node) not in self._converted:
            self._converted[id(node)] = self._convert(node)
        return self._converted[id(node)]

    def _convert(self, node: Node) -> object:
        tag = str(cast("Any", node).tag)
        value = self._plain(node, tag)
        if tag in _CORE_TAGS:
            return value
        if tag not in SHORT_FORMS:
            allowed = "allowed: CloudFormation's short forms, such as !Sub"
            raise TemplateError(self._name, f"has the unknown tag {tag[:80]}", allowed, line_number(node))
        function = SHORT_FORMS[tag]
        if function == "Fn::GetAtt" and isinstance(value, str):
            logical_id, _, attribute = value.partition(".")
            return {function: [logical_id, attribute]}
        return {function: value}

    def _plain(self, node: Node, tag: str) -> object:
        if isinstance(node, SequenceNode):
            return [self.convert(item) for item in cast("list[Node]", node.value)]
        if isinstance(node, MappingNode):
            return self._mapping(node)
        text = cast("str", node.value)
        return _scalar(text, tag) if cast("ScalarNode", node).style is None else text

    def _mapping(self, node: MappingNode) -> dict[str, object]:
        mapping: dict[str, object] = {}
        merged: dict[str, object] = {}
        for key, value in cast("list[tuple[Node, Node]]", node.value):
            if not isinstance(key, ScalarNode):
                raise TemplateError(self._name, "has a key that is not text", "use text as a key", line_number(key))
            name = str(cast("Any", key).value)
            if str(cast("Any", key).tag) == f"{_CORE}merge":
                self._merge(self.convert(value), merged, line_number(key))
            elif name in mapping:
                problem = f"has the key {name[:80]!r} twice in one mapping"
                raise TemplateError(self._name, problem, "remove one of the two", line_number(key))
            else:
                mapping[name] = self.convert(value)
        return {**merged, **mapping}

    def _merge(self, value: object, merged: dict[str, object], line: int) -> None:
        for source in cast("list[object]", value) if isinstance(value, list) else [value]:
            if not isinstance(source, dict):
                raise TemplateError(self._name, "merges a value that is not a mapping", "merge mappings", line)
            for key, one in cast("dict[str, object]", source).items():
                merged.setdefault(key, one)


def _scalar(text: str, tag: str) -> object:
    kind = tag.removeprefix(_CORE)
    if kind == "null":
        return None
    if kind == "bool":
        return _BOOLEANS.get(text.lower(), text)
    try:
        if kind == "int" and not (text.lstrip("+-").startswith("0") and len(text) > 1):
            return int(text)
        if kind == "float":
            return float(text)
    except ValueError:  # forms such as 1_000 and 1:30, which are text in CloudFormation
        return text
    return text


def _child(node: Node, step: str | int) -> tuple[int, Node] | None:
    """Returns the line and node of a key or an item. A short form such as `!If` stands for its own key."""
    if isinstance(step, str) and SHORT_FORMS.get(str(cast("Any", node).tag)) == step:
        return line_number(node), node
    return child_of(node, step)
