"""Strings of policies that requests are matched against: wildcards and policy variables.

Source: "IAM policy elements: Variables and tags" in the IAM User Guide. A string whose variable has neither a value nor
a default matches nothing. `${*}`, `${?}` and `${$}` stand for the characters themselves.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from sandpiper_policy.errors import PolicyError

if TYPE_CHECKING:
    from sandpiper_policy.context import Context

ANY_TEXT = ".*"
"""The regular expression of `*`. Other characters are escaped, so that it occurs for wildcards only."""
VARIABLE = re.compile(r"\$\{([^}]*)\}")
UNCLOSED_VARIABLE = re.compile(r"\$\{[^}]*$")
VARIABLE_WITH_DEFAULT = re.compile(r"([^,]*),\s*'(.*)'", re.DOTALL)


@dataclass(frozen=True)
class _Variable:
    """`${key}` or `${key, 'default'}`."""

    key: str
    default: str | None


@dataclass(frozen=True)
class TextPattern:
    """A string of a policy, split into regular expressions and the variables between them.

    Attributes:
        source: The string as it is in the document.
        pieces: Regular expressions and variables, in order.
    """

    source: str
    pieces: tuple[str | _Variable, ...]

    def matches(self, value: str, context: Context, *, ignore_case: bool = False) -> bool | None:
        """Returns whether the pattern matches a value, or None when one of its variables has no value."""
        expression = self._expand(context)
        return None if expression is None else _compile(expression, ignore_case).fullmatch(value) is not None

    def _expand(self, context: Context) -> str | None:
        expression: list[str] = []
        for piece in self.pieces:
            if isinstance(piece, str):
                expression.append(piece)
                continue
            value = context.single(piece.key)
            value = piece.default if value is None else value
            if value is None:
                return None
            expression.append(re.escape(value))
        return "".join(expression)


@lru_cache(maxsize=4096)
def _compile(expression: str, ignore_case: bool) -> re.Pattern[str]:
    first, *rest = expression.split(ANY_TEXT)
    if len(rest) > 1:
        # The shortest match of each part between two wildcards is as good as any other. Atomic groups never try a
        # second one, so that a hostile pattern with many wildcards matches in linear time.
        middle = "".join(f"(?>{ANY_TEXT}?{part})" for part in rest[:-1] if part)
        expression = f"{first}{middle}{ANY_TEXT}{rest[-1]}"
    return re.compile(expression, re.DOTALL | (re.IGNORECASE if ignore_case else 0))


@lru_cache(maxsize=4096)
def parse_text_pattern(source: str, *, wildcards: bool, variables: bool) -> TextPattern:
    """Parses a string of a policy. Results are cached.

    Args:
        source: The string as it is in the document.
        wildcards: Whether `*` and `?` are wildcards in this element.
        variables: Whether `${…}` is a variable, as in documents of version 2012-10-17.

    Raises:
        PolicyError: A variable has no closing brace.
    """
    if not variables:
        return TextPattern(source, (_to_regex(source, wildcards),))
    if UNCLOSED_VARIABLE.search(source):
        raise PolicyError(f"the variable in {source!r} has no closing brace; allowed: ${{KEY}}")
    pieces: list[str | _Variable] = []
    for index, part in enumerate(VARIABLE.split(source)):
        if index % 2 == 0:
            pieces.append(_to_regex(part, wildcards))
        elif part in ("*", "?", "$"):
            pieces.append(re.escape(part))
        else:
            with_default = VARIABLE_WITH_DEFAULT.fullmatch(part)
            key, default = with_default.groups() if with_default else (part, None)
            pieces.append(_Variable(key.strip(), default))
    return TextPattern(source, tuple(pieces))


def _to_regex(part: str, wildcards: bool) -> str:
    escaped = re.escape(part)
    return escaped.replace(r"\*", ANY_TEXT).replace(r"\?", ".") if wildcards else escaped
