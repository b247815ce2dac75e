"""Patterns of policies as sequences of tokens, from which `texts` makes z3 expressions."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from sandpiper_policy.arns import ArnPattern

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandpiper_policy.text_pattern import TextPattern


class Wildcard(Enum):
    """A wildcard. Within one of the first five parts of an ARN, it does not match a colon."""

    MANY = "*"
    MANY_IN_PART = "* without a colon"
    ONE = "?"
    ONE_IN_PART = "? without a colon"


@dataclass(frozen=True)
class Literal:
    """Text that matches itself."""

    text: str


@dataclass(frozen=True)
class Variable:
    """A policy variable. In a part of an ARN other than the last, its value cannot contain a colon."""

    key: str
    default: str | None
    in_part: bool


Token = Literal | Wildcard | Variable


def tokens_of(pattern: TextPattern | ArnPattern) -> tuple[Token, ...]:
    """Returns the tokens of a pattern. Adjacent literals are joined."""
    if not isinstance(pattern, ArnPattern):
        return tuple(_joined(_of_text(pattern, in_part=False)))
    tokens: list[Token] = []
    for index, part in enumerate(pattern.parts):
        is_last = index == len(pattern.parts) - 1
        if index:
            tokens.append(Literal(":"))
        if is_last and pattern.resource_type:
            tokens.append(Literal(pattern.resource_type))
        tokens += _of_text(part, in_part=not is_last)
    return tuple(_joined(tokens))


def _of_text(pattern: TextPattern, *, in_part: bool) -> Iterator[Token]:
    for piece in pattern.pieces:
        if isinstance(piece, str):
            yield from _of_expression(piece, in_part=in_part)
        else:
            yield Variable(piece.key, piece.default, in_part)


def _of_expression(expression: str, *, in_part: bool) -> Iterator[Token]:
    """Yields the tokens of an expression that `text_pattern` wrote: escaped characters, `.*` and `.`."""
    index = 0
    while index < len(expression):
        if expression[index] == "\\":
            yield Literal(expression[index + 1])
            index += 2
        elif expression.startswith(".*", index):
            yield Wildcard.MANY_IN_PART if in_part else Wildcard.MANY
            index += 2
        elif expression[index] == ".":
            yield Wildcard.ONE_IN_PART if in_part else Wildcard.ONE
            index += 1
        else:
            yield Literal(expression[index])
            index += 1


def _joined(tokens: list[Token] | Iterator[Token]) -> Iterator[Token]:
    text = ""
    for token in tokens:
        if isinstance(token, Literal):
            text += token.text
            continue
        if text:
            yield Literal(text)
        text = ""
        yield token
    if text:
        yield Literal(text)
