"""The syntax tree of metric math, and its parser.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html#metric-math-syntax
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from local_aws.cloudwatch.errors import InvalidQueryError
from local_aws.cloudwatch.tokens import TokenReader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MAX_DEPTH = 50


@dataclass(frozen=True)
class Number:
    """A number."""

    value: float


@dataclass(frozen=True)
class Text:
    """A quoted string, which is an argument of METRICS and SEARCH."""

    value: str


@dataclass(frozen=True)
class Reference:
    """The id of a metric or of another expression, or a keyword such as REPEAT."""

    name: str


@dataclass(frozen=True)
class Negation:
    """A minus before an operand."""

    operand: Node


@dataclass(frozen=True)
class Binary:
    """Two operands with an arithmetic, comparison or logical operator between them."""

    operator: str
    left: Node
    right: Node


@dataclass(frozen=True)
class Call:
    """A function with its arguments."""

    function: str
    arguments: tuple[Node, ...]


@dataclass(frozen=True)
class Array:
    """An array of time series: `[m1, m2]`."""

    items: tuple[Node, ...]


Node = Number | Text | Reference | Negation | Binary | Call | Array
ALIASES = {"&&": "AND", "||": "OR"}
LEVELS = (
    ("OR", "||"),
    ("AND", "&&"),
    ("==", "!=", "<=", ">=", "<", ">"),
    ("+", "-"),
    ("*", "/"),
)
"""Binary operators from the weakest to the strongest. All group from the left."""


def parse(text: str) -> Node:
    """Returns the syntax tree of an expression.

    Raises:
        InvalidQueryError: The syntax is invalid.
    """
    parser = _Parser(TokenReader(text))
    node = parser.binary(0)
    parser.tokens.end()
    return node


def references(node: Node) -> Iterator[str]:
    """Yields the names in an expression, which are ids or keywords."""
    if isinstance(node, Reference):
        yield node.name
    for child in children(node):
        yield from references(child)


def calls(node: Node) -> Iterator[str]:
    """Yields the functions that an expression calls."""
    if isinstance(node, Call):
        yield node.function
    for child in children(node):
        yield from calls(child)


def children(node: Node) -> tuple[Node, ...]:
    """Returns the operands, arguments or items of a node."""
    match node:
        case Negation(operand):
            return (operand,)
        case Binary(_, left, right):
            return (left, right)
        case Call(_, nodes) | Array(nodes):
            return nodes
        case _:
            return ()


class _Parser:
    def __init__(self, tokens: TokenReader) -> None:
        self.tokens, self._depth = tokens, 0

    def binary(self, level: int) -> Node:
        if level == len(LEVELS):
            return self._unary()
        left = self.binary(level + 1)
        while operator := self.tokens.accept(*LEVELS[level]):
            left = Binary(ALIASES.get(operator.text, operator.text), left, self.binary(level + 1))
        return left

    def _unary(self) -> Node:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise InvalidQueryError(f"The expression is nested more than {MAX_DEPTH} levels deep")
        node = Negation(self._unary()) if self.tokens.accept("-") else self._power()
        self._depth -= 1
        return node

    def _power(self) -> Node:
        base = self._operand()
        return Binary("^", base, self._unary()) if self.tokens.accept("^") else base

    def _operand(self) -> Node:
        tokens = self.tokens
        if tokens.accept("("):
            node = self.binary(0)
            tokens.expect(")")
            return node
        if tokens.accept("["):
            return Array(self._list("]"))
        token = tokens.next
        if token.kind in ("single", "double"):
            return Text(tokens.read().string)
        if token.kind == "number":
            return Number(float(tokens.read().text))
        name = tokens.expect_kind("name").text
        return Call(name, self._list(")")) if tokens.accept("(") else Reference(name)

    def _list(self, end: str) -> tuple[Node, ...]:
        if self.tokens.accept(end):
            return ()
        return tuple(self._items(end))

    def _items(self, end: str) -> Iterator[Node]:
        parse_item: Callable[[int], Node] = self.binary
        while True:
            yield parse_item(0)
            if self.tokens.expect(",", end).text == end:
                return
