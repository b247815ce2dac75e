"""Condition operators as a table, and how they combine values.

Sources: "IAM JSON policy elements: Condition operators" and "Set operators for multivalued context keys" in the IAM
User Guide. An operator that is not in the table, or a value that the operator does not accept, raises PolicyError.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from operator import eq, ge, gt, le, lt
from typing import TYPE_CHECKING, Any

from sandpiper_policy.arns import parse_condition_arn
from sandpiper_policy.errors import PolicyError
from sandpiper_policy.text_pattern import parse_text_pattern

if TYPE_CHECKING:
    from sandpiper_policy.context import Context, Value

ValueTest = Callable[[str, "Context"], bool | None]
"""Tests a value of the request against a value of the policy. None: the two cannot be compared, so neither the operator
nor its negation holds."""
OperandParser = Callable[[str, bool], ValueTest]
"""Parses a value of the policy; the second argument is whether it may have variables. Raises PolicyError."""


@dataclass(frozen=True)
class Operator:
    """A condition operator.

    A negated operator holds when no value of the policy matches, and when the request does not have the key.
    """

    parse: OperandParser
    negated: bool = False


@dataclass(frozen=True)
class Condition:
    """One operator with one key.

    Attributes:
        operator: The operator as it is written, with its set operator and IfExists.
        key: The condition key.
        values: The values as they are written.
        variables: Whether the values may have policy variables.
        holds: Returns whether the condition holds for the value of the key; None: the request does not have the key.
    """

    operator: str
    key: str
    values: tuple[str, ...]
    variables: bool
    holds: Callable[[Value | None, Context], bool]

    def variables_in_values(self) -> bool:
        """Returns whether a value has a policy variable, so that the condition depends on other keys."""
        return self.variables and any("${" in value for value in self.values)


def _string(*, wildcards: bool = False, ignore_case: bool = False) -> OperandParser:
    def parse(operand: str, variables: bool) -> ValueTest:
        pattern = parse_text_pattern(operand, wildcards=wildcards, variables=variables)
        return lambda value, context: pattern.matches(value, context, ignore_case=ignore_case)

    return parse


def _arn(operand: str, variables: bool) -> ValueTest:
    pattern = parse_condition_arn(operand, variables=variables)
    # A value that is not an ARN cannot be compared with one, so ArnNotEquals does not hold either.
    return lambda value, context: pattern.matches(value, context) if value.count(":") >= 5 else None


def _ordered(parse_value: Callable[[str], Any], kind: str, compare: Callable[[Any, Any], bool]) -> OperandParser:
    def parse(operand: str, _variables: bool) -> ValueTest:
        bound = parse_value(operand)
        if bound is None:
            raise PolicyError(f"{operand!r} is not {kind}")

        def test(value: str, _context: Context) -> bool | None:
            parsed = parse_value(value)
            return None if parsed is None else compare(parsed, bound)

        return test

    return parse


def _number(source: str) -> Decimal | None:
    try:
        number = Decimal(source)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _date_time(source: str) -> datetime | None:
    """Parses a date in ISO 8601 or in seconds since 1970. A date without a time zone is in UTC."""
    try:
        moment = datetime.fromtimestamp(int(source), UTC) if source.isdecimal() else datetime.fromisoformat(source)
    except (ValueError, OverflowError, OSError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _boolean(source: str) -> bool | None:
    return {"true": True, "false": False}.get(source.lower())


def _network(operand: str, _variables: bool) -> ValueTest:
    try:
        network = ipaddress.ip_network(operand, strict=False)
    except ValueError:
        raise PolicyError(f"{operand!r} is neither an IP address nor an IP address range") from None

    def test(value: str, _context: Context) -> bool | None:
        try:
            return ipaddress.ip_address(value) in network
        except ValueError:
            return None

    return test


def _numeric(compare: Callable[[Any, Any], bool]) -> OperandParser:
    return _ordered(_number, "a number", compare)


def _date(compare: Callable[[Any, Any], bool]) -> OperandParser:
    return _ordered(_date_time, "a date", compare)


OPERATORS: Mapping[str, Operator] = {
    "StringEquals": Operator(_string()),
    "StringNotEquals": Operator(_string(), negated=True),
    "StringEqualsIgnoreCase": Operator(_string(ignore_case=True)),
    "StringNotEqualsIgnoreCase": Operator(_string(ignore_case=True), negated=True),
    "StringLike": Operator(_string(wildcards=True)),
    "StringNotLike": Operator(_string(wildcards=True), negated=True),
    "NumericEquals": Operator(_numeric(eq)),
    "NumericNotEquals": Operator(_numeric(eq), negated=True),
    "NumericLessThan": Operator(_numeric(lt)),
    "NumericLessThanEquals": Operator(_numeric(le)),
    "NumericGreaterThan": Operator(_numeric(gt)),
    "NumericGreaterThanEquals": Operator(_numeric(ge)),
    "DateEquals": Operator(_date(eq)),
    "DateNotEquals": Operator(_date(eq), negated=True),
    "DateLessThan": Operator(_date(lt)),
    "DateLessThanEquals": Operator(_date(le)),
    "DateGreaterThan": Operator(_date(gt)),
    "DateGreaterThanEquals": Operator(_date(ge)),
    "Bool": Operator(_ordered(_boolean, "true or false", eq)),
    "BinaryEquals": Operator(_string()),
    "IpAddress": Operator(_network),
    "NotIpAddress": Operator(_network, negated=True),
    "ArnEquals": Operator(_arn),
    "ArnLike": Operator(_arn),
    "ArnNotEquals": Operator(_arn, negated=True),
    "ArnNotLike": Operator(_arn, negated=True),
}
"""The condition operators by name. ArnEquals and ArnLike behave identically: both accept wildcards. Dates and numbers
cannot have variables."""
NULL = "null"
IF_EXISTS = "ifexists"
FOR_ALL, FOR_ANY = "forallvalues:", "foranyvalue:"
_BY_LOWER_CASE_NAME = {name.lower(): operator for name, operator in OPERATORS.items()}


def parse_condition(operator: str, key: str, values: Sequence[str], *, variables: bool) -> Condition:
    """Parses one operator with one key.

    Args:
        operator: The operator, with its set operator and IfExists; case-insensitive.
        key: The condition key.
        values: The values of the policy. One of them has to match.
        variables: Whether the values may have policy variables.

    Raises:
        PolicyError: The operator does not exist, or does not accept one of the values.
    """
    name = operator.lower()
    if name == NULL:
        return Condition(operator, key, tuple(values), variables, _null_test(values))
    set_operator = next((prefix for prefix in (FOR_ALL, FOR_ANY) if name.startswith(prefix)), "")
    base_name = name.removeprefix(set_operator)
    definition = _BY_LOWER_CASE_NAME.get(base_name.removesuffix(IF_EXISTS))
    if definition is None:
        raise PolicyError(f"{operator!r} is not a condition operator")
    tests = [definition.parse(value, variables) for value in values]

    def holds_for(value: str, context: Context) -> bool:
        results = [test(value, context) for test in tests]
        return all(result is False for result in results) if definition.negated else any(results)

    # ForAnyValue never holds without the key; IfExists, ForAllValues and negated operators do.
    holds_without_key = (
        base_name.endswith(IF_EXISTS) or set_operator == FOR_ALL or (definition.negated and set_operator != FOR_ANY)
    )

    def holds(value: Value | None, context: Context) -> bool:
        if value is None:
            return holds_without_key
        if set_operator:
            combine = all if set_operator == FOR_ALL else any
            return combine(holds_for(item, context) for item in ([value] if isinstance(value, str) else value))
        # Without a set operator, a multivalued key matches neither an operator nor its negation.
        return isinstance(value, str) and holds_for(value, context)

    return Condition(operator, key, tuple(values), variables, holds)


def _null_test(values: Sequence[str]) -> Callable[[Value | None, Context], bool]:
    absent = {_boolean(value) for value in values}
    if None in absent:
        raise PolicyError(f"Null is {', '.join(values)}; allowed: true | false")
    return lambda value, _context: (value is None) in absent
