"""Texts of policies: wildcards and policy variables, ready to be matched.

"IAM policy elements: Variables and tags" of the IAM User Guide. A variable without a value and without a default makes
its text match nothing. `${*}`, `${?}` and `${$}` stand for the characters themselves.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from sandpiper_policy.errors import PolicyError

if TYPE_CHECKING:
    from sandpiper_policy.context import Context

WILDCARDS = {"*": ".*", "?": "."}
VARIABLE = re.compile(r"\$\{([^}]*)\}")
UNCLOSED = re.compile(r"\$\{[^}]*$")
DEFAULT = re.compile(r"([^,]*),\s*'(.*)'", re.DOTALL)


@dataclass(frozen=True)
class _Variable:
    """`${key}` or `${key, 'default'}`."""

    key: str
    default: str | None


@dataclass(frozen=True)
class Text:
    """One text of a policy: pieces of a regular expression, and variables between them."""

    source: str
    pieces: tuple[str | _Variable, ...]

    def matches(self, value: str, context: Context, *, ignore_case: bool = False) -> bool | None:
        """Whether a value matches, or None when a variable has no value: then nothing does."""
        resolved = self._resolved(context)
        return None if resolved is None else _compiled(resolved, ignore_case).fullmatch(value) is not None

    def _resolved(self, context: Context) -> str | None:
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
def _compiled(expression: str, ignore_case: bool) -> re.Pattern[str]:
    return re.compile(expression, re.DOTALL | (re.IGNORECASE if ignore_case else 0))


def text(source: str, *, wildcards: bool, variables: bool) -> Text:
    """Reads a text of a policy.

    Args:
        source: as it stands in the document.
        wildcards: whether `*` and `?` stand for other characters here.
        variables: whether `${…}` is a variable: in documents of version 2012-10-17.

    Raises:
        PolicyError: a variable is not closed.
    """
    if not variables:
        return Text(source, (_literal(source, wildcards),))
    if UNCLOSED.search(source):
        raise PolicyError(f"the variable in {source!r} has no closing brace")
    pieces: list[str | _Variable] = []
    for index, part in enumerate(VARIABLE.split(source)):
        if index % 2 == 0:
            pieces.append(_literal(part, wildcards))
        elif part in ("*", "?", "$"):
            pieces.append(re.escape(part))
        else:
            with_default = DEFAULT.fullmatch(part)
            key, default = with_default.groups() if with_default else (part, None)
            pieces.append(_Variable(key.strip(), default))
    return Text(source, tuple(pieces))


def _literal(part: str, wildcards: bool) -> str:
    if not wildcards:
        return re.escape(part)
    return "".join(WILDCARDS.get(character) or re.escape(character) for character in part)
