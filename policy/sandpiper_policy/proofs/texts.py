"""Patterns as z3 expressions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandpiper_policy.proofs.errors import UnsupportedError
from sandpiper_policy.proofs.solver import z3
from sandpiper_policy.proofs.symbols import KeyType
from sandpiper_policy.proofs.tokens import Literal, Token, Variable, Wildcard, tokens_of

if TYPE_CHECKING:
    from sandpiper_policy.arns import ArnPattern
    from sandpiper_policy.proofs.solver import Expression
    from sandpiper_policy.proofs.symbols import Symbols
    from sandpiper_policy.text_pattern import TextPattern

_ANY = z3.AllChar(z3.ReSort(z3.StringSort()))
_LAST_CHARACTER = chr(0x2FFFF)
"""The last character of z3's strings."""
_NO_COLON = z3.Union(z3.Range(chr(0), "9"), z3.Range(";", _LAST_CHARACTER))
_WILDCARDS = {
    Wildcard.MANY: z3.Full(z3.ReSort(z3.StringSort())),
    Wildcard.MANY_IN_PART: z3.Star(_NO_COLON),
    Wildcard.ONE: _ANY,
    Wildcard.ONE_IN_PART: _NO_COLON,
}
ARN = z3.Concat(*[item for _ in range(5) for item in (z3.Star(_NO_COLON), z3.Re(":"))], _WILDCARDS[Wildcard.MANY])
"""Texts with at least five colons. The ARN operators compare no others."""


def matches(
    pattern: TextPattern | ArnPattern, value: Expression, symbols: Symbols, *, ignore_case: bool = False
) -> tuple[Expression, Expression]:
    """Returns whether all variables of a pattern have values, and whether the pattern matches a text then.

    Args:
        pattern: the pattern.
        value: the text, an expression.
        symbols: the request, which has the values of variables.
        ignore_case: whether case is ignored.

    Raises:
        UnsupportedError: A variable is combined with a wildcard before the end, or with ignored case.
    """
    tokens = tokens_of(pattern)
    variables = [token for token in tokens if isinstance(token, Variable)]
    if variables:
        if ignore_case:
            raise UnsupportedError(f"the pattern {pattern.source} has a variable and ignores case")
        return _matches_with_variables(pattern.source, tokens, value, symbols)
    return z3.BoolVal(True), _matches_text(tokens, value, ignore_case=ignore_case)


def _matches_text(tokens: tuple[Token, ...], value: Expression, *, ignore_case: bool) -> Expression:
    """Returns whether tokens match. Equality and prefixes are decided much faster than regular expressions."""
    if not ignore_case:
        match tokens:
            case ():
                return value == ""
            case (Literal(text),):
                return value == text
            case (Wildcard.MANY,):
                return z3.BoolVal(True)
            case (Literal(text), Wildcard.MANY):
                return z3.PrefixOf(z3.StringVal(text), value)
            case (Wildcard.MANY, Literal(text)):
                return z3.SuffixOf(z3.StringVal(text), value)
            case (Literal(text), *rest) if all(token is Wildcard.ONE for token in rest):
                return z3.And(z3.PrefixOf(z3.StringVal(text), value), z3.Length(value) == len(text) + len(rest))
            case _:
                pass
    return z3.InRe(value, _concat([_regex(token, ignore_case=ignore_case) for token in tokens]))


def _concat(parts: list[Expression]) -> Expression:
    return z3.Concat(*parts) if len(parts) > 1 else parts[0] if parts else z3.Re("")


def _regex(token: Token, *, ignore_case: bool) -> Expression:
    if isinstance(token, Wildcard):
        return _WILDCARDS[token]
    assert isinstance(token, Literal)  # noqa: S101 - variables are handled before
    if not ignore_case:
        return z3.Re(token.text)
    return _concat([_either_case(character) for character in token.text])


def _either_case(character: str) -> Expression:
    cases = sorted({character.lower(), character.upper(), character})
    return z3.Union(*map(z3.Re, cases)) if len(cases) > 1 else z3.Re(character)


def _matches_with_variables(
    source: str, tokens: tuple[Token, ...], value: Expression, symbols: Symbols
) -> tuple[Expression, Expression]:
    is_prefix = tokens[-1] is Wildcard.MANY
    fixed = tokens[:-1] if is_prefix else tokens
    defined: list[Expression] = []
    parts: list[Expression] = []
    within: list[Expression] = []
    for token in fixed:
        if isinstance(token, Literal):
            parts.append(z3.StringVal(token.text))
        elif isinstance(token, Variable):
            key = symbols.key(token.key, KeyType.TEXT)
            text = key.value if token.default is None else z3.If(key.present, key.value, z3.StringVal(token.default))
            if token.default is None:
                defined.append(key.present)
            if token.in_part:
                within.append(z3.Not(z3.Contains(text, z3.StringVal(":"))))
            parts.append(text)
        else:
            raise UnsupportedError(f"the pattern {source} has a variable and a wildcard before its end")
    text = z3.Concat(*parts) if len(parts) > 1 else parts[0]
    matched = z3.PrefixOf(text, value) if is_prefix else value == text
    return z3.And(defined), z3.And(matched, *within)
