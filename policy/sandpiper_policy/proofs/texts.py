"""Patterns as z3 expressions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandpiper_policy.proofs.errors import UnsupportedError
from sandpiper_policy.proofs.solver import every, z3
from sandpiper_policy.proofs.symbols import KeyType
from sandpiper_policy.proofs.tokens import Literal, Token, Variable, Wildcard, joined, tokens_of

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
    pattern: TextPattern | ArnPattern,
    value: Expression,
    symbols: Symbols,
    *,
    ignore_case: bool = False,
    bounded: bool = True,
) -> tuple[Expression, Expression]:
    """Returns whether all variables of a pattern have values, and whether the pattern matches a text then.

    Args:
        pattern: the pattern.
        value: the text, an expression.
        symbols: the request, which has the values of variables.
        ignore_case: whether case is ignored.
        bounded: whether the bounds of the text may decide. False for the restrictions that state these bounds.

    Raises:
        UnsupportedError: A variable is combined with several wildcards, follows one, or ignores case.
    """
    tokens = _with_known_values(tokens_of(pattern), symbols)
    if tokens is None:
        return False, False
    bounds = symbols.bounds.get(value.get_id()) if bounded and not ignore_case else None
    decided = None if bounds is None else bounds.decide(tokens)
    if decided is not None:
        return True, decided
    if any(isinstance(token, Variable) for token in tokens):
        if ignore_case:
            raise UnsupportedError(f"the pattern {pattern.source} has a variable and ignores case")
        return _matches_with_variables(pattern.source, tokens, value, symbols)
    return True, _matches_text(tokens, value, ignore_case=ignore_case)


def _with_known_values(tokens: tuple[Token, ...], symbols: Symbols) -> tuple[Token, ...] | None:
    """Returns the tokens with known values in place of variables; None if one has neither a value nor a default.

    A value with a colon cannot be in a part of an ARN, so that the variable remains there.
    """
    replaced: list[Token] = []
    for token in tokens:
        if not isinstance(token, Variable) or token.key.lower() not in symbols.known:
            replaced.append(token)
            continue
        known = symbols.known[token.key.lower()]
        text = token.default if known is None else known
        if text is None:
            return None
        replaced.append(token if token.in_part and ":" in text else Literal(text))
    return tuple(joined(replaced))


def _matches_text(tokens: tuple[Token, ...], value: Expression, *, ignore_case: bool) -> Expression:
    """Returns whether tokens match. Equality and prefixes are decided much faster than regular expressions."""
    if not ignore_case:
        match tokens:
            case ():
                return value == ""
            case (Literal(text),):
                return value == text
            case (Wildcard.MANY,):
                return True
            case (Literal(text), Wildcard.MANY):
                return z3.PrefixOf(z3.StringVal(text), value)
            case (Wildcard.MANY, Literal(text)):
                return z3.SuffixOf(z3.StringVal(text), value)
            case (Wildcard.MANY, Literal(text), Wildcard.MANY):
                return z3.Contains(value, z3.StringVal(text))
            case (Literal(first), Wildcard.MANY, Literal(last)):
                return _between(z3.StringVal(first), z3.StringVal(last), value)
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


def _between(first: Expression, last: Expression, value: Expression) -> Expression:
    """Returns whether a text starts and ends with two texts that do not overlap."""
    length = z3.Length(first) + z3.Length(last)
    return z3.And(z3.PrefixOf(first, value), z3.SuffixOf(last, value), z3.Length(value) >= length)


def _matches_with_variables(
    source: str, tokens: tuple[Token, ...], value: Expression, symbols: Symbols
) -> tuple[Expression, Expression]:
    """Returns what `matches` returns, for variables before one `*` at most and literals after it."""
    star = next((index for index, token in enumerate(tokens) if isinstance(token, Wildcard)), len(tokens))
    rest = tokens[star:]
    if not (rest == () or (rest[0] is Wildcard.MANY and (len(rest) == 1 or _is_literal(rest[1:])))):
        raise UnsupportedError(f"the pattern {source} has a variable and more wildcards than one *")
    value, tokens, star = _without_common_start(value, tokens, star, symbols)
    defined: list[Expression] = []
    parts: list[Expression] = []
    within: list[Expression] = []
    for token in tokens[:star]:
        if isinstance(token, Literal):
            parts.append(z3.StringVal(token.text))
            continue
        assert isinstance(token, Variable)  # noqa: S101 - there is no wildcard before the first one
        text = symbols.expanded(token.key, token.default)
        if token.default is None:
            defined.append(symbols.key(token.key, KeyType.TEXT).present)
        if token.in_part:
            within.append(z3.Not(z3.Contains(text, z3.StringVal(":"))))
        parts.append(text)
    first = z3.Concat(*parts) if len(parts) > 1 else parts[0]
    if not rest:
        matched = value == first
    elif len(rest) == 1:
        matched = z3.PrefixOf(first, value)
    else:
        (last,) = [token.text for token in rest[1:] if isinstance(token, Literal)]
        matched = _between(first, z3.StringVal(last), value)
    return every(defined), every([matched, *within])


def _without_common_start(
    value: Expression, tokens: tuple[Token, ...], star: int, symbols: Symbols
) -> tuple[Expression, tuple[Token, ...], int]:
    """Returns a resource and its pattern without the text that both start with. Long texts slow the solver down."""
    start, rest = symbols.resource_parts
    first = tokens[0]
    if value is not symbols.resource or not isinstance(first, Literal) or not start.startswith(first.text):
        return value, tokens, star
    remaining = z3.StringVal(start[len(first.text) :])
    return z3.Concat(remaining, rest), tokens[1:], star - 1


def _is_literal(tokens: tuple[Token, ...]) -> bool:
    return len(tokens) == 1 and isinstance(tokens[0], Literal)
