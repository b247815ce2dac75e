"""Policy documents, read once and strictly: what IAM would refuse is refused here, with its place in the message.

"IAM JSON policy elements reference" and "Grammar of the IAM JSON policy language" of the IAM User Guide.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

from sandpiper_policy.arns import ArnPattern, resource_pattern
from sandpiper_policy.conditions import Condition, condition
from sandpiper_policy.errors import PolicyError
from sandpiper_policy.principals import Named, Principal, Principals, principals
from sandpiper_policy.text import Text, text

if TYPE_CHECKING:
    from sandpiper_policy.context import Context

VERSIONS = ("2012-10-17", "2008-10-17")
"""The older one, which is also the default, has no variables."""
ACTION = re.compile(r"[\w-]+:[\w*?-]+")
ELEMENTS = {
    *("Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition")
}


class Kind(Enum):
    """Where a policy hangs, which decides what its statements have."""

    IDENTITY = "identity-based policy"
    RESOURCE = "resource-based policy"
    TRUST = "role trust policy"


class Effect(Enum):
    """What a statement does to the requests that it matches."""

    ALLOW = "Allow"
    DENY = "Deny"


@dataclass(frozen=True)
class Statement:
    """One statement. `not_` in a name says that the element is the negated one.

    Attributes:
        policy: the name of the policy that it is in.
        place: its number in the document, from 0.
        sid: its Sid, if it has one.
    """

    policy: str
    place: int
    sid: str
    effect: Effect
    named: Principals | None
    not_named: bool
    actions: tuple[Text, ...]
    not_actions: bool
    resources: tuple[ArnPattern | None, ...]
    not_resources: bool
    conditions: tuple[Condition, ...]

    def covers(self, action: str, resource: str, context: Context) -> bool:
        """Whether action, resource and conditions match; who asks is another question."""
        return (
            self._acts_on(action, context)
            and self._lies_on(resource, context)
            and all(condition.holds(context.get(condition.key), context) for condition in self.conditions)
        )

    def naming(self, asking: Principal) -> Named:
        """How closely it names who asks. A statement of an identity-based policy names who has the policy."""
        if self.named is None:
            return Named.ITSELF
        named = self.named.naming(asking)
        if self.not_named:
            return Named.ITSELF if named is Named.NOT else Named.NOT
        return named

    def __str__(self) -> str:
        """Its Sid, or its number counted from 1, and its policy."""
        return f"statement {self.sid or self.place + 1} of {self.policy}"

    def _acts_on(self, action: str, context: Context) -> bool:
        matched = any(pattern.matches(action, context, ignore_case=True) for pattern in self.actions)
        return matched is not self.not_actions

    def _lies_on(self, resource: str, context: Context) -> bool:
        if not self.resources:  # a trust policy lies on its role
            return True
        found = [True if pattern is None else pattern.matches(resource, context) for pattern in self.resources]
        # An ARN whose variable has no value is no exception that NotResource could make: the statement matches nothing.
        if self.not_resources:
            return all(matched is False for matched in found)
        return any(found)


@dataclass(frozen=True)
class Policy:
    """A policy by the name that decisions show."""

    name: str
    kind: Kind
    statements: tuple[Statement, ...]


def policy(name: str, kind: Kind, document: str | Mapping[str, Any]) -> Policy:
    """Reads a policy document, as JSON or as what JSON holds.

    Raises:
        PolicyError: it is none.
    """
    return _policy(name, kind, document if isinstance(document, str) else json.dumps(document))


@lru_cache(maxsize=1024)
def _policy(name: str, kind: Kind, document: str) -> Policy:
    try:
        content = json.loads(document)
    except ValueError as error:
        raise PolicyError(f"{name}: not JSON ({error})") from None
    if not isinstance(content, Mapping):
        raise PolicyError(f"{name}: not a JSON object")
    elements = cast("Mapping[str, Any]", content)
    version = elements.get("Version", "2008-10-17")
    if version not in VERSIONS:
        raise PolicyError(f"{name}: the version {version!r} is none of {', '.join(VERSIONS)}")
    unknown = sorted(elements.keys() - {"Version", "Id", "Statement"})
    if unknown:
        raise PolicyError(f"{name}: {', '.join(unknown)} is no element of a policy")
    statements = elements.get("Statement")
    listed = _listed(statements)
    if not listed:
        raise PolicyError(f"{name}: there is no statement")
    read: list[Statement] = []
    for place, statement in enumerate(listed):
        try:
            read.append(_statement(name, place, kind, statement, variables=version == "2012-10-17"))
        except PolicyError as error:
            raise PolicyError(f"{name}, statement {place + 1}: {error}") from None
    return Policy(name, kind, tuple(read))


def _statement(name: str, place: int, kind: Kind, given: object, *, variables: bool) -> Statement:
    if not isinstance(given, Mapping):
        raise PolicyError("not a JSON object")
    element = cast("Mapping[str, Any]", given)
    unknown = sorted(element.keys() - ELEMENTS)
    if unknown:
        raise PolicyError(f"{', '.join(unknown)} is no element of a statement")
    if element.get("Effect") not in ("Allow", "Deny"):
        raise PolicyError(f"the effect {element.get('Effect')!r} is neither Allow nor Deny")
    actions, not_actions = _either(element, "Action", required=True)
    resources, not_resources = _either(element, "Resource", required=kind is not Kind.TRUST)
    named, not_named = _principals(element, kind)
    return Statement(
        policy=name,
        place=place,
        sid=str(element.get("Sid", "")),
        effect=Effect(element["Effect"]),
        named=named,
        not_named=not_named,
        actions=tuple(_action(action) for action in actions),
        not_actions=not_actions,
        resources=tuple(resource_pattern(resource, variables=variables) for resource in resources),
        not_resources=not_resources,
        conditions=tuple(_conditions(element.get("Condition", {}), variables=variables)),
    )


def _either(element: Mapping[str, Any], name: str, *, required: bool) -> tuple[Sequence[str], bool]:
    """The values of an element or of its negation, and whether it is the negation."""
    present = [candidate for candidate in (name, f"Not{name}") if candidate in element]
    if len(present) > 1 or (required and not present):
        raise PolicyError(f"exactly one of {name} and Not{name} is required")
    if not present:
        return (), False
    values = _texts(element[present[0]], present[0])
    if not values:
        raise PolicyError(f"{present[0]} is empty")
    return values, present[0] != name


def _principals(element: Mapping[str, Any], kind: Kind) -> tuple[Principals | None, bool]:
    present = [name for name in ("Principal", "NotPrincipal") if name in element]
    if kind is Kind.IDENTITY:
        if present:
            raise PolicyError(f"an identity-based policy has no {present[0]}")
        return None, False
    if len(present) != 1:
        raise PolicyError("exactly one of Principal and NotPrincipal is required")
    return principals(element[present[0]]), present[0] == "NotPrincipal"


def _action(action: str) -> Text:
    if action not in ("*", "*:*") and not ACTION.fullmatch(action):
        raise PolicyError(f"the action {action!r} is neither * nor SERVICE:NAME")
    return text(action, wildcards=True, variables=False)


def _conditions(block: object, *, variables: bool) -> list[Condition]:
    if not isinstance(block, Mapping):
        raise PolicyError("Condition is no object")
    found: list[Condition] = []
    for operator, keys in cast("Mapping[str, Any]", block).items():
        if not isinstance(keys, Mapping):
            raise PolicyError(f"{operator} is no object")
        found += [
            condition(operator, key, _texts(value, f"{operator} {key}"), variables=variables)
            for key, value in cast("Mapping[str, Any]", keys).items()
        ]
    return found


def _texts(value: object, place: str) -> list[str]:
    """One text or a list of them. Conditions may also have numbers and booleans, which count as their texts."""
    values = _listed(value)
    if not all(isinstance(item, (str, int, float)) for item in values):
        raise PolicyError(f"{place} has a value that is no text")
    return [item if isinstance(item, str) else json.dumps(item) for item in values]


def _listed(value: object) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else [value]
