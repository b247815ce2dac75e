"""Conditions as z3 expressions. Mirrors `sandpiper_policy.conditions`."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sandpiper_policy.arns import parse_condition_arn
from sandpiper_policy.context import Context
from sandpiper_policy.proofs.errors import UnsupportedError
from sandpiper_policy.proofs.solver import choice, every, negation, some, z3
from sandpiper_policy.proofs.symbols import Key, KeyType
from sandpiper_policy.proofs.texts import matches
from sandpiper_policy.text_pattern import parse_text_pattern

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandpiper_policy.conditions import Condition
    from sandpiper_policy.proofs.solver import Expression
    from sandpiper_policy.proofs.symbols import Symbols

FOR_ALL, FOR_ANY, IF_EXISTS, NULL = "forallvalues:", "foranyvalue:", "ifexists", "null"
_COMPARISONS: dict[str, Callable[[Expression, Expression], Expression]] = {
    "equals": lambda value, bound: value == bound,
    "lessthan": lambda value, bound: value < bound,
    "lessthanequals": lambda value, bound: value <= bound,
    "greaterthan": lambda value, bound: value > bound,
    "greaterthanequals": lambda value, bound: value >= bound,
}


@dataclass(frozen=True)
class _Operator:
    """The parts of an operator such as `ForAnyValue:StringNotLikeIfExists`, in lower case."""

    set_operator: str
    base: str
    negated: bool
    if_exists: bool

    @classmethod
    def parse(cls, operator: str) -> _Operator:
        name = operator.lower()
        set_operator = next((prefix for prefix in (FOR_ALL, FOR_ANY) if name.startswith(prefix)), "")
        name = name.removeprefix(set_operator)
        base = name.removesuffix(IF_EXISTS)
        negated = "not" in base
        return cls(set_operator, base.replace("not", ""), negated, name != base)


def holds(condition: Condition, symbols: Symbols) -> Expression:
    """Returns whether a condition holds.

    Raises:
        UnsupportedError: The encoding does not cover the operator or the combination of operators of the key.
    """
    if condition.operator.lower() == NULL:
        absent = {value.lower() == "true" for value in condition.values}
        present = _presence(condition.key, symbols)
        return some(negation(present) if each else present for each in sorted(absent))
    operator = _Operator.parse(condition.operator)
    if operator.set_operator:
        return _holds_for_items(condition, operator, symbols)
    name = condition.key.lower()
    if name in symbols.known and not condition.variables_in_values():
        return condition.holds(symbols.known[name], Context({}))
    key = symbols.key(condition.key, _type_of(operator))
    return choice(key.present, _holds_for(condition, operator, key, symbols), operator.if_exists or operator.negated)


def _presence(name: str, symbols: Symbols) -> Expression:
    """Returns whether the request has a key. The key is text if no other condition uses it."""
    known = symbols.keys.get(name.lower()) or symbols.lists.get(name.lower())
    return known.present if known else symbols.key(name, KeyType.TEXT).present


def _holds_for_items(condition: Condition, operator: _Operator, symbols: Symbols) -> Expression:
    if _type_of(operator) is not KeyType.TEXT:
        raise UnsupportedError(f"{condition.operator} compares a list of values that are not text")
    listed = symbols.list_key(condition.key)
    of_items = [(exists, _holds_for(condition, operator, _text(value), symbols)) for exists, value in listed.items]
    if operator.set_operator == FOR_ALL:
        return choice(listed.present, every(choice(exists, held, True) for exists, held in of_items), True)
    found = some(every([exists, held]) for exists, held in of_items)
    return choice(listed.present, found, operator.if_exists)


def _text(value: Expression) -> Key:
    return Key(KeyType.TEXT, True, value)


def _type_of(operator: _Operator) -> KeyType:
    for prefix, key_type in (
        ("numeric", KeyType.NUMBER),
        ("date", KeyType.DATE),
        ("bool", KeyType.BOOLEAN),
        ("ip", KeyType.ADDRESS),
    ):
        if operator.base.startswith(prefix):
            return key_type
    return KeyType.TEXT


def _holds_for(condition: Condition, operator: _Operator, key: Key, symbols: Symbols) -> Expression:
    """Returns whether a value that the request has satisfies the condition."""
    tests = [_test(operator, value, key, symbols, variables=condition.variables) for value in condition.values]
    if operator.negated:
        return every(every([comparable, negation(matched)]) for comparable, matched in tests)
    return some(every([comparable, matched]) for comparable, matched in tests)


def _test(
    operator: _Operator, operand: str, key: Key, symbols: Symbols, *, variables: bool
) -> tuple[Expression, Expression]:
    """Returns whether the value can be compared with a value of the policy, and whether it matches then."""
    base = operator.base
    if key.type is KeyType.TEXT:
        if base.startswith("arn"):
            symbols.arns.append(key.value)
            return matches(parse_condition_arn(operand, variables=variables), key.value, symbols)
        pattern = parse_text_pattern(operand, wildcards=base.endswith("like"), variables=variables)
        return matches(pattern, key.value, symbols, ignore_case=base.endswith("ignorecase"))
    if key.type is KeyType.BOOLEAN:
        return True, key.value == (operand.lower() == "true")
    if key.type is KeyType.ADDRESS:
        return True, _in_network(operand, key)
    bound = z3.RealVal(operand if key.type is KeyType.NUMBER else str(_seconds(operand)))
    suffix = base.removeprefix("numeric").removeprefix("date")
    return True, _COMPARISONS[suffix](key.value, bound)


def _in_network(operand: str, key: Key) -> Expression:
    network = ipaddress.ip_network(operand, strict=False)
    first, last = int(network.network_address), int(network.broadcast_address)
    return z3.And(key.is_ipv6 == (network.version == 6), key.value >= first, key.value <= last)


def _seconds(source: str) -> float:
    """Returns a date in ISO 8601 or in seconds since 1970 as seconds, as `conditions` parses it."""
    if source.isdecimal():
        return int(source)
    moment = datetime.fromisoformat(source)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
