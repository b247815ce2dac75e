"""Condition operators, each a line of a table, and how they combine values.

"IAM JSON policy elements: Condition operators" and "Set operators for multivalued context keys" of the IAM User Guide.
An operator that is not in the table, or a value that it cannot take, makes the document unusable: PolicyError.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from operator import eq, ge, gt, le, lt
from typing import TYPE_CHECKING, Any

from sandpiper_policy.arns import condition_pattern
from sandpiper_policy.errors import PolicyError
from sandpiper_policy.text import text

if TYPE_CHECKING:
    from sandpiper_policy.context import Context, Value

Test = Callable[[str, "Context"], bool | None]
"""Whether a value of the request is what a value of the policy asks; None: it cannot be compared, so nothing holds."""
Reading = Callable[[str, bool], Test]
"""Reads a value of the policy; the second argument is whether it may have variables. Raises PolicyError."""


@dataclass(frozen=True)
class Operator:
    """One operator. A negated one holds when none of the policy's values matches, and when there is no such key."""

    read: Reading
    negated: bool = False


@dataclass(frozen=True)
class Condition:
    """One operator on one key: what has to hold of the request.

    Attributes:
        operator: as it is written, with its set operator and IfExists.
        key: the condition key.
        values: as they are written.
        holds: given the key's value, or None where the request does not have it.
    """

    operator: str
    key: str
    values: tuple[str, ...]
    holds: Callable[[Value | None, Context], bool]


def _string(*, wildcards: bool = False, ignore_case: bool = False) -> Reading:
    def read(wanted: str, variables: bool) -> Test:
        pattern = text(wanted, wildcards=wildcards, variables=variables)
        return lambda value, context: pattern.matches(value, context, ignore_case=ignore_case)

    return read


def _arn(wanted: str, variables: bool) -> Test:
    pattern = condition_pattern(wanted, variables=variables)
    # What is no ARN cannot be compared with one, not even to be found different.
    return lambda value, context: pattern.matches(value, context) if value.count(":") >= 5 else None


def _ordered(parse: Callable[[str], Any], kind: str, compare: Callable[[Any, Any], bool]) -> Reading:
    def read(wanted: str, _variables: bool) -> Test:
        bound = parse(wanted)
        if bound is None:
            raise PolicyError(f"{wanted!r} is not {kind}")

        def test(value: str, _context: Context) -> bool | None:
            given = parse(value)
            return None if given is None else compare(given, bound)

        return test

    return read


def _number(source: str) -> Decimal | None:
    try:
        number = Decimal(source)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _moment(source: str) -> datetime | None:
    """A date as ISO 8601 or as seconds since 1970; without a zone it is UTC."""
    try:
        moment = datetime.fromtimestamp(int(source), UTC) if source.isdecimal() else datetime.fromisoformat(source)
    except (ValueError, OverflowError, OSError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _truth(source: str) -> bool | None:
    return {"true": True, "false": False}.get(source.lower())


def _network(wanted: str, _variables: bool) -> Test:
    try:
        network = ipaddress.ip_network(wanted, strict=False)
    except ValueError:
        raise PolicyError(f"{wanted!r} is neither an IP address nor a range of them") from None

    def test(value: str, _context: Context) -> bool | None:
        try:
            return ipaddress.ip_address(value) in network
        except ValueError:
            return None

    return test


def _numeric(compare: Callable[[Any, Any], bool]) -> Reading:
    return _ordered(_number, "a number", compare)


def _date(compare: Callable[[Any, Any], bool]) -> Reading:
    return _ordered(_moment, "a date", compare)


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
    "Bool": Operator(_ordered(_truth, "true or false", eq)),
    "BinaryEquals": Operator(_string()),
    "IpAddress": Operator(_network),
    "NotIpAddress": Operator(_network, negated=True),
    "ArnEquals": Operator(_arn),
    "ArnLike": Operator(_arn),
    "ArnNotEquals": Operator(_arn, negated=True),
    "ArnNotLike": Operator(_arn, negated=True),
}
"""ArnEquals takes wildcards as ArnLike does: the two behave identically. Dates and numbers take no variables."""
NULL = "null"
IF_EXISTS = "ifexists"
FOR_ALL, FOR_ANY = "forallvalues:", "foranyvalue:"
_BY_NAME = {name.lower(): operator for name, operator in OPERATORS.items()}


def condition(operator: str, key: str, values: Sequence[str], *, variables: bool) -> Condition:
    """Reads one operator with one key.

    Raises:
        PolicyError: there is no such operator, or it does not take one of the values.
    """
    name = operator.lower()
    if name == NULL:
        return Condition(operator, key, tuple(values), _presence(values))
    quantifier = next((prefix for prefix in (FOR_ALL, FOR_ANY) if name.startswith(prefix)), "")
    bare = name.removeprefix(quantifier)
    found = _BY_NAME.get(bare.removesuffix(IF_EXISTS))
    if found is None:
        raise PolicyError(f"{operator!r} is no condition operator")
    tests = [found.read(value, variables) for value in values]

    def one(value: str, context: Context) -> bool:
        results = [test(value, context) for test in tests]
        return all(result is False for result in results) if found.negated else any(results)

    # A key that the request does not have: ForAnyValue wants a value, the others of these are content without.
    without = bare.endswith(IF_EXISTS) or quantifier == FOR_ALL or (found.negated and quantifier != FOR_ANY)

    def holds(value: Value | None, context: Context) -> bool:
        if value is None:
            return without
        if quantifier:
            combine = all if quantifier == FOR_ALL else any
            return combine(one(item, context) for item in ([value] if isinstance(value, str) else value))
        # Without a set operator a multivalued key matches nothing, neither as it is nor negated.
        return isinstance(value, str) and one(value, context)

    return Condition(operator, key, tuple(values), holds)


def _presence(values: Sequence[str]) -> Callable[[Value | None, Context], bool]:
    wanted = {_truth(value) for value in values}
    if None in wanted:
        raise PolicyError(f"Null takes true or false and not {', '.join(values)}")
    return lambda value, _context: (value is None) in wanted
