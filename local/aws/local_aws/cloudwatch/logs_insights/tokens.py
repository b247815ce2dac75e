"""Commands and tokens of a query."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NoReturn

from local_aws.cloudwatch.errors import InvalidQueryError

TOKEN = re.compile(
    r"""(?P<space>\s+|\#[^\n]*)
    |(?P<number>\d+(?:\.\d+)?(?![A-Za-z0-9_.]))
    |(?P<duration>\d+(?:ms|s|m|h|d|w|mo|q|y)\b)
    |(?P<field>`[^`]+`|@?[A-Za-z_][A-Za-z0-9_.@]*)
    |(?P<string>'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*")
    |(?P<regex>/(?:\\.|[^/\\\n])+/)
    |(?P<operator>=~|!=|<=|>=|[-+*/^%<>=(),\[\]|])""",
    re.VERBOSE,
)
DIVISION = re.compile(r"\s*/")
ESCAPED = re.compile(r"\\(.)")
OPERANDS = ("number", "duration", "field", "string")


@dataclass(frozen=True)
class Token:
    """A token of a query: its kind and its text."""

    kind: str
    text: str
    position: int

    @property
    def value(self) -> str:
        """Returns the content of a string, a regular expression or a quoted field, or the text."""
        if self.kind == "string":
            return ESCAPED.sub(r"\1", self.text[1:-1])
        return self.text[1:-1] if self.kind == "regex" or self.text.startswith("`") else self.text


class Reader:
    """Reads the tokens of a query.

    Raises:
        InvalidQueryError: A character belongs to no token.
    """

    def __init__(self, query: str) -> None:
        self._query, self._index = query, 0
        self._tokens: list[Token] = []
        position = 0
        while position < len(query):
            match = TOKEN.match(query, position)
            if match is not None and match.lastgroup == "regex" and self._ends_operand():
                match = DIVISION.match(query, position)
            if match is None:
                raise InvalidQueryError(f"Unexpected character {query[position]!r} at {position} of the query")
            kind = match.lastgroup or "operator"
            if kind != "space":
                self._tokens.append(Token(kind, match[0].strip(), position))
            position = match.end()
        self._tokens.append(Token("end", "the end", len(query)))

    def _ends_operand(self) -> bool:
        """Returns whether the last token ends an operand, so that a slash is a division."""
        last = self._tokens[-1] if self._tokens else None
        is_keyword = last is not None and last.text.lower() in ("like", "parse", "and", "or", "not")
        return last is not None and not is_keyword and (last.kind in OPERANDS or last.text == ")")

    @property
    def next(self) -> Token:
        """The next token."""
        return self._tokens[self._index]

    def read(self) -> Token:
        """Reads the next token."""
        token = self.next
        self._index = min(self._index + 1, len(self._tokens) - 1)
        return token

    def text_since(self, start: Token) -> str:
        """Returns the text of the query from a token to the last token that was read, without backquotes."""
        last = self._tokens[self._index - 1]
        return self._query[start.position : last.position + len(last.text)].strip().strip("`")

    def accept(self, *texts: str) -> Token | None:
        """Reads the next token if it is one of these operators or keywords, in any case."""
        token = self.next
        return self.read() if token.kind in ("operator", "field") and token.text.lower() in texts else None

    def expect(self, *texts: str) -> Token:
        """Reads the next token, which must be one of these operators or keywords."""
        return self.accept(*texts) or self.fail(" | ".join(texts))

    def expect_kind(self, *kinds: str) -> Token:
        """Reads the next token, which must be of one of these kinds."""
        return self.read() if self.next.kind in kinds else self.fail(" | ".join(kinds))

    def fail(self, expected: str) -> NoReturn:
        """Raises InvalidQueryError at the next token."""
        raise InvalidQueryError(f"unexpected {self.next.text} at {self.next.position}; expected: {expected}")
