"""The parser of expressions: fields, literals, operators, functions, `like` and `in`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from local_aws.cloudwatch.errors import InvalidQueryError
from local_aws.cloudwatch.logs_insights.values import OPERATORS, Time, boolean, call, milliseconds, number, text

if TYPE_CHECKING:
    from collections.abc import Callable

    from local_aws.cloudwatch.logs_insights.tokens import Reader
    from local_aws.cloudwatch.logs_insights.values import Expression, Row, Value

LEVELS = (("=", "!=", "<", "<=", ">", ">="), ("+", "-"), ("*", "/", "%"), ("^",))
"""Binary operators from the weakest to the strongest, below `not`, `and` and `or`."""
CLOCK = ("bin", "datefloor", "dateceil")


def parse_expression(reader: Reader) -> Expression:
    """Reads an expression."""
    left = _all(reader)
    while reader.accept("or"):
        left = _either(left, _all(reader))
    return left


def _all(reader: Reader) -> Expression:
    left = _negation(reader)
    while reader.accept("and"):
        left = _both(left, _negation(reader))
    return left


def _both(left: Expression, right: Expression) -> Expression:
    return lambda row: boolean(left(row)) and boolean(right(row))


def _either(left: Expression, right: Expression) -> Expression:
    return lambda row: boolean(left(row)) or boolean(right(row))


def _negation(reader: Reader) -> Expression:
    if reader.accept("not"):
        return _not(_negation(reader))
    return _binary(reader, 0)


def _not(operand: Expression) -> Expression:
    return lambda row: not boolean(operand(row))


def _binary(reader: Reader, level: int) -> Expression:
    if level == len(LEVELS):
        return _operand(reader)
    left = _binary(reader, level + 1)
    if level == 0:
        left = _match(reader, left)
    while operator := reader.accept(*LEVELS[level]):
        left = _apply(OPERATORS[operator.text], left, _binary(reader, level + 1))
    return left


def _apply(operator: Callable[[Value, Value], Value], left: Expression, right: Expression) -> Expression:
    return lambda row: operator(left(row), right(row))


def _match(reader: Reader, left: Expression) -> Expression:
    """Reads `like`, `=~` and `in`, each after an optional `not`."""
    is_negated = reader.accept("not") is not None
    if reader.accept("like", "=~"):
        matches = _like(reader, left)
    elif reader.accept("in"):
        matches = _in(reader, left)
    elif is_negated:
        reader.fail("like | in")
    else:
        return left
    return _not(matches) if is_negated else matches


def _like(reader: Reader, left: Expression) -> Expression:
    token = reader.expect_kind("string", "regex")
    pattern = compile_pattern(token.value if token.kind == "regex" else re.escape(token.value))
    return lambda row: pattern.search(text(left(row)) or "") is not None


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """Returns a compiled regular expression. Raises InvalidQueryError if it is invalid."""
    try:
        return re.compile(re.sub(r"\(\?<(?![=!])", "(?P<", pattern))
    except re.error as error:
        raise InvalidQueryError(f"The regular expression /{pattern}/ is invalid: {error}") from error


def _in(reader: Reader, left: Expression) -> Expression:
    reader.expect("[")
    values = [parse_expression(reader)]
    while reader.expect(",", "]").text == ",":
        values.append(parse_expression(reader))
    return lambda row: any(OPERATORS["="](left(row), value(row)) for value in values)


def _operand(reader: Reader) -> Expression:
    if reader.accept("("):
        expression = parse_expression(reader)
        reader.expect(")")
        return expression
    if reader.accept("-"):
        return _apply(OPERATORS["-"], lambda _: 0.0, _operand(reader))
    token = reader.expect_kind("number", "string", "field")
    if token.kind == "number":
        return _constant(float(token.text))
    if token.kind == "string":
        return _constant(token.value)
    if token.text.startswith("`") or not reader.accept("("):
        return field(token.value)
    return _call(reader, token.text)


def _call(reader: Reader, name: str) -> Expression:
    if name.lower() in CLOCK:
        return _clock(reader, name.lower())
    arguments: list[Expression] = []
    if not reader.accept(")"):
        arguments.append(parse_expression(reader))
        while reader.expect(",", ")").text == ",":
            arguments.append(parse_expression(reader))
    return call(name, arguments)


def _clock(reader: Reader, name: str) -> Expression:
    """Reads `bin(5m)`, `datefloor(@timestamp, 5m)` and `dateceil(@timestamp, 5m)`."""
    time = field("@timestamp")
    if name != "bin":
        time = parse_expression(reader)
        reader.expect(",")
    period = milliseconds(reader.expect_kind("duration").text)
    reader.expect(")")

    def floor(row: Row) -> Value:
        value = time(row)
        start = (number(value) or 0) // period * period
        return Time(start + period if name == "dateceil" and start != value else start)

    return floor


def _constant(value: Value) -> Expression:
    return lambda _: value


def field(name: str) -> Expression:
    """Returns the value of a field."""
    return lambda row: row.get(name)
