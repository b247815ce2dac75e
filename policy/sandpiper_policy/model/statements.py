"""Statements of the model: resolved elements, their origin, and a hash that baselines compare."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import TYPE_CHECKING

from sandpiper_policy.document import PolicyKind, Statement, compile_statement
from sandpiper_policy.model.symbols import has_symbol
from sandpiper_policy.syntax import Effect

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sandpiper_policy.model.location import Location
    from sandpiper_policy.syntax import Element, PrincipalElement, StatementSyntax

Readable = Callable[[str], str]
"""Replaces the invented parts of a resolved text, so that it no longer depends on hashes."""
KEY_CHARACTERS = 16
MAX_SHOWN_VALUES, MAX_SHOWN_CHARACTERS = 30, 300
"""What a description shows of a list and of a value, which can be very long in a hostile template."""


class PolicyUse(Enum):
    """What a policy is attached to."""

    INLINE = "inline policy"
    MANAGED = "managed policy"
    BOUNDARY = "permissions boundary"
    TRUST = "trust policy"
    RESOURCE = "resource policy"
    ENDPOINT = "endpoint policy"

    @property
    def kind(self) -> PolicyKind:
        """The kind for the evaluator. An endpoint policy has principals, as a resource policy has."""
        if self is PolicyUse.TRUST:
            return PolicyKind.TRUST
        is_resource = self in (PolicyUse.RESOURCE, PolicyUse.ENDPOINT)
        return PolicyKind.RESOURCE if is_resource else PolicyKind.IDENTITY


@dataclass(frozen=True)
class Choice:
    """One condition of a template, and whether it holds."""

    condition: str
    holds: bool

    def __str__(self) -> str:
        return self.condition if self.holds else f"not {self.condition}"


When = tuple[Choice, ...]
"""The conditions under which a value exists; empty: always."""


@dataclass(frozen=True)
class PolicyStatement:
    """One statement of one policy.

    Attributes:
        syntax: The elements, with intrinsic functions replaced by text.
        variables: Whether `${…}` is a policy variable, as in documents of version 2012-10-17.
        policy: The unique name of the policy; with `index`, the key of the statement in the model.
        index: The position in `AttachedPolicy.statements`.
        use: What the policy is attached to.
        holder: The address of the identity or the resource that the policy is attached to.
        location: The position of the statement.
        when: The conditions under which it exists.
        key: A hash of holder, use and elements that does not depend on their order or on hashes in names.
    """

    syntax: StatementSyntax
    variables: bool
    policy: str
    index: int
    use: PolicyUse
    holder: str
    location: Location
    when: When = ()
    key: str = ""

    @property
    def allows(self) -> bool:
        """Whether the effect is Allow."""
        return self.syntax.effect is Effect.ALLOW

    @property
    def is_certain(self) -> bool:
        """Whether the statement always exists."""
        return not self.when

    @cached_property
    def symbols(self) -> tuple[str, ...]:
        """The values of the statement with parts that are known only after a deployment."""
        return tuple(filter(has_symbol, self.values))

    @property
    def values(self) -> Iterable[str]:
        """Every principal, action, resource and condition value."""
        for element in (self.syntax.action, self.syntax.resource, *self.syntax.conditions):
            yield from element.values
        if self.syntax.principal is not None:
            yield from (name for _, name in self.syntax.principal.names)

    @cached_property
    def compiled(self) -> Statement:
        """The statement for the evaluator. Raises PolicyError, which the reader of the policy has handled."""
        return compile_statement(self.policy, self.use.kind, self.syntax, variables=self.variables)

    def describe(self, readable: Readable = str) -> str:
        """Returns the statement on one line, for evidence. Long lists and values are cut."""
        syntax = self.syntax
        parts = [syntax.effect.value]
        if syntax.principal is not None:
            prefix = "NotPrincipal " if syntax.principal.negated else "Principal "
            parts.append(prefix + _shown([name for _, name in syntax.principal.names], readable))
        parts.append(_described("Action", syntax.action, readable))
        if syntax.resource.values:
            parts.append(_described("Resource", syntax.resource, readable))
        parts += [f"{one.operator} {one.key} {_shown(one.values, readable)}" for one in syntax.conditions]
        if self.when:
            parts.append(f"when {' and '.join(map(str, self.when))}")
        return "; ".join(parts)


def statement_key(syntax: StatementSyntax, use: PolicyUse, holder: str, when: When, readable: Readable) -> str:
    """Returns the hash of a statement.

    Two statements have the same hash if they mean the same for the same holder: the order of values, the Sid, the
    case of actions, and hashes in names do not matter.
    """
    content = [
        readable(holder),
        use.value,
        syntax.effect.value,
        _principal(syntax.principal, readable),
        [syntax.action.negated, sorted({value.lower() for value in syntax.action.values})],
        [syntax.resource.negated, sorted({readable(value) for value in syntax.resource.values})],
        sorted([one.operator.lower(), one.key.lower(), sorted(map(readable, one.values))] for one in syntax.conditions),
        sorted(map(str, when)),
    ]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:KEY_CHARACTERS]


def _principal(element: PrincipalElement | None, readable: Readable) -> list[object]:
    if element is None:
        return []
    return [element.negated, sorted([kind, readable(name)] for kind, name in element.names)]


def _described(name: str, element: Element, readable: Readable) -> str:
    prefix = "Not" if element.negated else ""
    return f"{prefix}{name} {_shown(element.values, readable)}"


def _shown(values: Sequence[str], readable: Readable) -> str:
    shown = [readable(value[:MAX_SHOWN_CHARACTERS]) for value in values[:MAX_SHOWN_VALUES]]
    more = len(values) - len(shown)
    return ", ".join(shown) + (f" and {more:,} more" if more else "")
