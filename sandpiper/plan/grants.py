"""Compares policy documents: statements are split into single permissions, compared, and merged into grants.

The grouping of actions, resources and principals into statements therefore does not matter.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sandpiper.errors import CliError
from sandpiper.plan.model import Grant
from sandpiper.plan.template import is_resolved
from sandpiper_policy.errors import PolicyError
from sandpiper_policy.syntax import parse_syntax

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from sandpiper_policy.syntax import ConditionElement, Element, PrincipalElement, StatementSyntax

OPERATOR_PHRASES = {
    "ArnEquals": "is",
    "ArnLike": "is like",
    "Bool": "is",
    "DateLessThan": "is before",
    "IpAddress": "is in",
    "NumericLessThan": "is less than",
    "NumericLessThanEquals": "is at most",
    "StringEquals": "is",
    "StringEqualsIgnoreCase": "is",
    "StringLike": "is like",
    "ArnNotEquals": "is not",
    "ArnNotLike": "is not like",
    "NotIpAddress": "is not in",
    "StringNotEquals": "is not",
    "StringNotLike": "is not like",
}
"""The phrase for a condition operator in reports. Other operators are shown by their names."""


@dataclass(frozen=True, order=True)
class Permission:
    """One action on one resource for one principal. Empty strings stand for missing elements."""

    effect: str
    action: str
    resource: str
    conditions: tuple[str, ...] = ()
    principal: str = ""


@dataclass(frozen=True)
class Comparison:
    """The differences between two documents.

    Attributes:
        missing: grants that only the expected document has.
        extra: grants that only the actual document has.
        unresolved: expected grants with parts that are known only after a deployment, so that they cannot be compared.
    """

    missing: tuple[Grant, ...]
    extra: tuple[Grant, ...]
    unresolved: tuple[Grant, ...]


def split_document(name: str, document: Mapping[str, Any]) -> Iterator[Permission]:
    """Yields the permissions of a resolved policy document; none for a document without statements.

    Raises:
        CliError: The document is not a policy; `name` identifies it.
    """
    if not document.get("Statement"):
        return
    try:
        statements = parse_syntax(name, document).statements
    except PolicyError as error:
        raise CliError(f"a policy cannot be read: {error}") from None
    for statement in statements:
        elements = sorted(statement.conditions, key=lambda one: (one.operator, one.key))
        conditions = tuple(map(_condition, elements))
        for principal in _principals(statement.principal):
            for action in _values(statement.action):
                for resource in _values(statement.resource):
                    yield Permission(statement.effect.value, action, resource, conditions, principal)


def merge(permissions: Iterable[Permission]) -> tuple[Grant, ...]:
    """Merges permissions into grants with as many actions, resources and principals as possible."""
    actions: dict[tuple[Any, ...], list[str]] = defaultdict(list)
    for one in sorted(permissions):
        actions[one.effect, one.principal, one.resource, one.conditions].append(one.action)
    resources: dict[tuple[Any, ...], list[str]] = defaultdict(list)
    for (effect, principal, resource, conditions), names in actions.items():
        resources[effect, principal, conditions, tuple(names)].append(resource)
    principals: dict[tuple[Any, ...], list[str]] = defaultdict(list)
    for (effect, principal, conditions, names), arns in resources.items():
        principals[effect, conditions, names, tuple(arns)].append(principal)
    return tuple(
        Grant(
            effect=effect,
            actions=names,
            resources=tuple(filter(None, arns)),
            conditions=conditions,
            principals=tuple(filter(None, principal_names)),
        )
        for (effect, conditions, names, arns), principal_names in principals.items()
    )


def grant_of(statement: StatementSyntax) -> Grant:
    """Returns one resolved statement as a grant."""
    return Grant(
        effect=statement.effect.value,
        actions=tuple(_values(statement.action)),
        resources=tuple(filter(None, _values(statement.resource))),
        conditions=tuple(map(_condition, sorted(statement.conditions, key=lambda one: (one.operator, one.key)))),
        principals=tuple(filter(None, _principals(statement.principal))),
    )


def compare_documents(name: str, expected: Mapping[str, Any], actual: Mapping[str, Any]) -> Comparison:
    """Compares two resolved documents. A permission that may equal an unresolved one is neither missing nor extra.

    Raises:
        CliError: A document is not a policy; `name` identifies it.
    """
    was, now = set(split_document(name, expected)), set(split_document(name, actual))
    unresolved = {one for one in was - now if not all(map(is_resolved, (one.resource, one.principal, *one.conditions)))}
    extra = {one for one in now - was if not any(_may_equal(one, each) for each in unresolved)}
    return Comparison(merge(was - now - unresolved), merge(extra), merge(unresolved))


def _may_equal(actual: Permission, unresolved: Permission) -> bool:
    """Returns whether two permissions are equal except for unresolved parts."""
    return (actual.effect, actual.action) == (unresolved.effect, unresolved.action) and all(
        one == each or not is_resolved(str(each))
        for one, each in (
            (actual.resource, unresolved.resource),
            (actual.conditions, unresolved.conditions),
            (actual.principal, unresolved.principal),
        )
    )


def _principals(element: PrincipalElement | None) -> list[str]:
    if element is None:
        return [""]
    names = ["anyone" if name == "*" else name for _, name in element.names]
    return [f"all except {', '.join(names)}"] if element.negated else names


def _values(element: Element) -> list[str]:
    if element.negated:
        return [f"all except {', '.join(element.values)}"]
    return list(element.values) or [""]


def _condition(element: ConditionElement) -> str:
    phrase = OPERATOR_PHRASES.get(element.operator, element.operator)
    return f"{element.key} {phrase} {' or '.join(sorted(element.values))}"
