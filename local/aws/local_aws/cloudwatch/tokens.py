"""Tokens of CloudWatch's expressions and queries, and a reader for recursive-descent parsers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NoReturn

from local_aws.cloudwatch.errors import InvalidQueryError

TOKEN = re.compile(
    r"""(?P<space>\s+)
    |(?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)
    |(?P<name>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<single>'(?:\\.|[^'\\])*')
    |(?P<double>"(?:\\.|[^"\\])*")
    |(?P<operator>==|!=|<=|>=|&&|\|\||[-+*/^<>=(),\[\]{}])""",
    re.VERBOSE,
)
ESCAPED = re.compile(r"\\(.)")


@dataclass(frozen=True)
class Token:
    """A token: `number`, `name`, `single` or `double` (a quoted string), `operator` or `end`."""

    kind: str
    text: str
    position: int

    @property
    def string(self) -> str:
        """Returns the content of a quoted string, or the text."""
        return ESCAPED.sub(r"\1", self.text[1:-1]) if self.kind in ("single", "double") else self.text


class TokenReader:
    """Reads the tokens of a text from left to right.

    Raises:
        InvalidQueryError: The text has a character that belongs to no token.
    """

    def __init__(self, text: str) -> None:
        self._text, self._index = text, 0
        self._tokens: list[Token] = []
        position = 0
        while position < len(text):
            match = TOKEN.match(text, position)
            if match is None:
                raise InvalidQueryError(f"Unexpected character {text[position]!r} at {position} in {text!r}")
            if match.lastgroup != "space":
                self._tokens.append(Token(str(match.lastgroup), match[0], position))
            position = match.end()
        self._tokens.append(Token("end", "the end", len(text)))

    @property
    def next(self) -> Token:
        """The next token, which is not read yet."""
        return self._tokens[self._index]

    def read(self) -> Token:
        """Reads a token of any kind."""
        token = self.next
        self._index = min(self._index + 1, len(self._tokens) - 1)
        return token

    def accept(self, *texts: str, keyword: bool = False) -> Token | None:
        """Reads the next token if it is one of `texts`, and else returns None.

        Args:
            texts: Operators and names. They do not match a quoted string.
            keyword: Whether case does not matter.
        """
        token = self.next
        text = token.text.upper() if keyword else token.text
        return self.read() if token.kind in ("operator", "name") and text in texts else None

    def expect(self, *texts: str, keyword: bool = False) -> Token:
        """Reads the next token, which must be one of `texts`."""
        token = self.accept(*texts, keyword=keyword)
        return token if token else self.fail(" | ".join(texts))

    def expect_kind(self, *kinds: str) -> Token:
        """Reads the next token, which must be of one of `kinds`."""
        return self.read() if self.next.kind in kinds else self.fail(" | ".join(kinds))

    def end(self) -> None:
        """Requires that no token is left."""
        if self.next.kind != "end":
            self.fail("the end")

    def fail(self, expected: str) -> NoReturn:
        """Raises InvalidQueryError at the next token."""
        token = self.next
        raise InvalidQueryError(f"Unexpected {token.text} at {token.position} in {self._text!r}; expected: {expected}")
