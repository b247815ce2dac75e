"""The unknown values of a request: principal, action, resource and condition keys."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from sandpiper_policy.principals import PrincipalKind
from sandpiper_policy.proofs.errors import UnsupportedError
from sandpiper_policy.proofs.solver import Expression, z3
from sandpiper_policy.proofs.tokens import Literal, Wildcard, covers, may_overlap

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sandpiper_policy.principals import Principal
    from sandpiper_policy.proofs.tokens import Token

MAX_ITEMS = 3
"""The most items of a multivalued key. As many conditions on it can be distinguished by their items."""


class KeyType(Enum):
    """The type of the values of a condition key."""

    TEXT = "text"
    NUMBER = "number"
    DATE = "date"
    BOOLEAN = "boolean"
    ADDRESS = "IP address"


@dataclass(frozen=True)
class Key:
    """An unknown single-valued condition key.

    Attributes:
        type: the type of its values.
        present: whether the request has the key.
        value: its value: a string, a number, seconds since 1970, a boolean, or an address as a number.
        is_ipv6: whether an address is of version 6; None for other types.
    """

    type: KeyType
    present: Expression
    value: Expression
    is_ipv6: Expression = None


@dataclass(frozen=True)
class ListKey:
    """An unknown multivalued condition key: pairs of whether the item exists, and its value."""

    present: Expression
    items: tuple[tuple[Expression, Expression], ...]


@dataclass(frozen=True)
class Bounds:
    """What a claim states about a text, as tokens of patterns.

    Attributes:
        chosen: the text matches one of them; any text if there are none.
        excluded: the text matches none of them.
    """

    chosen: tuple[tuple[Token, ...], ...] = ()
    excluded: tuple[tuple[Token, ...], ...] = ()

    def decide(self, pattern: Sequence[Token]) -> bool | None:
        """Returns whether a pattern matches, if the bounds decide that. It spares the solver most patterns."""
        if any(covers(each, pattern) for each in self.excluded):
            return False
        if self.chosen and not any(may_overlap(pattern, each) for each in self.chosen):
            return False
        return True if self.chosen and all(covers(pattern, each) for each in self.chosen) else None


@dataclass
class Symbols:
    """The unknown values of one request, and the facts about them.

    Attributes:
        principal: the principal.
        action: the action, in lower case.
        resource: the ARN of the resource, or `*`.
        keys: the single-valued condition keys, by name in lower case.
        lists: the multivalued condition keys.
        facts: what holds for every request.
        arns: the values that ARN operators compare. They are assumed to be ARNs.
        bounds: what the claim states about texts, by their ids in z3.
        resource_parts: a text that every resource starts with, and the rest; an empty text if it is not known.
        known: the values of text keys that every request has, by name in lower case; None for keys that none has.
    """

    principal: Principal
    action: Expression = field(default_factory=lambda: z3.String("action"))
    resource: Expression = field(default_factory=lambda: z3.String("resource"))
    keys: dict[str, Key] = field(default_factory=dict[str, Key])
    lists: dict[str, ListKey] = field(default_factory=dict[str, ListKey])
    facts: list[Expression] = field(default_factory=list[Expression])
    arns: list[Expression] = field(default_factory=list[Expression])
    bounds: dict[int, Bounds] = field(default_factory=dict[int, "Bounds"])
    resource_parts: tuple[str, Expression] = ("", None)
    known: dict[str, str | None] = field(default_factory=dict[str, "str | None"])
    _expanded: dict[tuple[str, str], Expression] = field(default_factory=dict[tuple[str, str], Expression])
    _uses: dict[str, int] = field(default_factory=dict[str, int])

    def split_resource(self, pattern: Sequence[Token]) -> None:
        """Gives the solver the parts of a pattern that every resource matches.

        That is much faster than a regular expression.
        """
        parts = [
            z3.StringVal(token.text) if isinstance(token, Literal) else z3.String(f"resource part {number}")
            for number, token in enumerate(pattern)
            if token is Wildcard.MANY or isinstance(token, Literal)
        ]
        if isinstance(pattern[0], Literal) and len(parts) == len(pattern) > 1:
            rest = z3.Concat(*parts[1:]) if len(parts) > 2 else parts[1]
            self.resource_parts = pattern[0].text, rest
            self.facts.append(self.resource == z3.Concat(parts[0], rest))

    def key(self, name: str, key_type: KeyType) -> Key:
        """Returns a single-valued key.

        Raises:
            UnsupportedError: The key is used with another type, or as a multivalued key.
        """
        name = name.lower()
        if name in self.lists:
            raise UnsupportedError(f"{name} is used with and without a set operator")
        if name not in self.keys:
            self.keys[name] = self._new_key(name, key_type)
        if self.keys[name].type is not key_type:
            raise UnsupportedError(f"{name} is used as {self.keys[name].type.value} and as {key_type.value}")
        return self.keys[name]

    def expanded(self, name: str, default: str | None) -> Expression:
        """Returns the text of a policy variable: the value of its key, or the default of the variable."""
        key = self.key(name, KeyType.TEXT)
        if default is None:
            return key.value
        names = name.lower(), default
        if names in self._expanded:
            return self._expanded[names]
        text = self._expanded[names] = z3.String(f"{name.lower()} or {default}")
        self.facts += [z3.Implies(key.present, text == key.value), z3.Implies(z3.Not(key.present), text == default)]
        return text

    def list_key(self, name: str) -> ListKey:
        """Returns a multivalued key of text.

        Raises:
            UnsupportedError: The key is used as a single-valued key, or in too many conditions.
        """
        name = name.lower()
        if name in self.keys:
            raise UnsupportedError(f"{name} is used with and without a set operator")
        self._uses[name] = self._uses.get(name, 0) + 1
        if self._uses[name] > MAX_ITEMS:
            raise UnsupportedError(f"{name} is used in more than {MAX_ITEMS} conditions with a set operator")
        if name not in self.lists:
            items = tuple((z3.Bool(f"has {name} {n}"), z3.String(f"{name} {n}")) for n in range(MAX_ITEMS))
            self.lists[name] = ListKey(z3.Bool(f"has {name}"), items)
        return self.lists[name]

    def add_facts(self, named: Iterable[str] | None = None) -> None:
        """Adds what holds for every request of the principal.

        Args:
            named: None for this principal. For the sessions of all roles of its account, the ARNs of roles that are
                not included, because statements name them.

        Raises:
            UnsupportedError: Policies compare a key about the principal as another type than text.
        """
        principal = self.principal
        if principal.account:
            self._fix("aws:PrincipalAccount", principal.account)
            arn = self.key("aws:PrincipalArn", KeyType.TEXT)
            self.facts.append(arn.present)
            if principal.kind is PrincipalKind.SESSION:
                partition, role = principal.name.split(":")[1], principal.name.split("/")[1]
                roles = f"arn:{partition}:iam::{principal.account}:role/"
                self.facts.append(z3.PrefixOf(z3.StringVal(roles), arn.value))
                if named is None:
                    self.facts.append(z3.SuffixOf(z3.StringVal(f"/{role}"), arn.value))
                else:
                    self.facts += [arn.value != z3.StringVal(roles), *(arn.value != one for one in sorted(named))]
            else:
                self.facts.append(arn.value == principal.name)
        self.facts.append(z3.Or(self.resource == "*", z3.PrefixOf(z3.StringVal("arn:"), self.resource)))

    def _fix(self, key: str, value: str) -> None:
        known = self.key(key, KeyType.TEXT)
        self.facts += [known.present, known.value == value]

    def _new_key(self, name: str, key_type: KeyType) -> Key:
        present = z3.Bool(f"has {name}")
        if key_type is KeyType.TEXT:
            return Key(key_type, present, z3.String(name))
        if key_type is KeyType.BOOLEAN:
            return Key(key_type, present, z3.Bool(name))
        if key_type is not KeyType.ADDRESS:
            return Key(key_type, present, z3.Real(name))
        value, is_ipv6 = z3.Int(name), z3.Bool(f"{name} is IPv6")
        self.facts.append(z3.And(value >= 0, value < z3.If(is_ipv6, z3.IntVal(2**128), z3.IntVal(2**32))))
        return Key(key_type, present, value, is_ipv6)
