"""Patterns of policies as sequences of tokens, from which `texts` makes z3 expressions."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING

from sandpiper_policy.arns import ArnPattern

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

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


@lru_cache(maxsize=16_384)
def tokens_of(pattern: TextPattern | ArnPattern) -> tuple[Token, ...]:
    """Returns the tokens of a pattern. Adjacent literals are joined."""
    if not isinstance(pattern, ArnPattern):
        return tuple(joined(_of_text(pattern, in_part=False)))
    tokens: list[Token] = []
    for index, part in enumerate(pattern.parts):
        is_last = index == len(pattern.parts) - 1
        if index:
            tokens.append(Literal(":"))
        if is_last and pattern.resource_type:
            tokens.append(Literal(pattern.resource_type))
        tokens += _of_text(part, in_part=not is_last)
    return tuple(joined(tokens))


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


def joined(tokens: Iterable[Token]) -> Iterator[Token]:
    """Yields the tokens with adjacent literals as one."""
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


def may_overlap(one: Sequence[Token], other: Sequence[Token]) -> bool:
    """Returns False if no text matches both patterns. Compares the texts before the first and after the last wildcard.

    Example:
        >>> from sandpiper_policy.text_pattern import parse_text_pattern
        >>> put, get, all_s3 = (
        ...     tokens_of(parse_text_pattern(text, wildcards=True, variables=False))
        ...     for text in ("s3:Put*", "s3:GetObject", "s3:*")
        ... )
        >>> may_overlap(put, get), may_overlap(put, all_s3)
        (False, True)
    """
    first, second = _literal_at(one, 0), _literal_at(other, 0)
    last, final = _literal_at(one, -1), _literal_at(other, -1)
    if len(one) == len(other) == 1 and first and second:
        return first == second
    starts_alike = first.startswith(second) or second.startswith(first)
    ends_alike = last.endswith(final) or final.endswith(last)
    return starts_alike and ends_alike


def _literal_at(tokens: Sequence[Token], index: int) -> str:
    """Returns the text of the first or last token; empty for a wildcard or a variable."""
    token = tokens[index] if tokens else None
    return token.text if isinstance(token, Literal) else ""


_ANY_TEXT, _ANY_CHARACTER = "\ufffe:\ufffe", "\uffff"
_EXPRESSIONS = {
    Wildcard.MANY: ".*",
    Wildcard.MANY_IN_PART: "[^:]*",
    Wildcard.ONE: ".",
    Wildcard.ONE_IN_PART: "[^:]",
}


def covers(one: Sequence[Token], other: Sequence[Token]) -> bool:
    """Returns True if every text that matches the second pattern matches the first one.

    The second pattern is matched as a text, with characters that no policy contains in place of its wildcards. Returns
    False for a pattern with variables, and if this is not certain.

    Example:
        >>> from sandpiper_policy.text_pattern import parse_text_pattern
        >>> runs, all_runs = (
        ...     tokens_of(parse_text_pattern(text, wildcards=True, variables=False))
        ...     for text in ("a/runs/*", "*/runs/*")
        ... )
        >>> covers(all_runs, runs), covers(runs, all_runs)
        (True, False)
    """
    if any(isinstance(token, Variable) for token in (*one, *other)):
        return False
    expression = "".join(
        re.escape(token.text) if isinstance(token, Literal) else _EXPRESSIONS[token]
        for token in one
        if not isinstance(token, Variable)
    )
    text = "".join(
        token.text if isinstance(token, Literal) else _ANY_TEXT if token in _TEXTS else _ANY_CHARACTER
        for token in other
    )
    return re.fullmatch(expression, text, re.DOTALL) is not None


_TEXTS = (Wildcard.MANY, Wildcard.MANY_IN_PART)
