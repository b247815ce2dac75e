"""Claims: which requests must not be allowed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sandpiper_policy.context import Context
from sandpiper_policy.proofs.solver import every, negation, some, z3
from sandpiper_policy.proofs.symbols import Bounds, KeyType
from sandpiper_policy.proofs.texts import matches
from sandpiper_policy.proofs.tokens import tokens_of
from sandpiper_policy.text_pattern import parse_text_pattern

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sandpiper_policy.evaluate import Policies, Request
    from sandpiper_policy.principals import Principal
    from sandpiper_policy.proofs.solver import Expression
    from sandpiper_policy.proofs.symbols import Symbols
    from sandpiper_policy.proofs.tokens import Token
    from sandpiper_policy.text_pattern import TextPattern

ACTION, RESOURCE, PRINCIPAL, ACCOUNT = "action", "resource", "principal", "principal account"
"""The fields of a request that a restriction can name, besides condition keys."""


@dataclass(frozen=True)
class Restriction:
    """A restriction of the forbidden requests to some values of a field.

    Attributes:
        field: `ACTION`, `RESOURCE`, `PRINCIPAL`, `ACCOUNT`, or the name of a single-valued condition key.
        patterns: values with the wildcards `*` and `?`; numbers, `true` or `false` without them for a key that
            policies compare with such values. Actions ignore case.
        excluded: whether the value must match none of them, instead of one. A missing key matches none.
    """

    field: str
    patterns: tuple[str, ...]
    excluded: bool = False

    @property
    def is_hard(self) -> bool:
        """Whether the solver needs a regular expression for the restriction, and its negation."""
        return self.excluded and any(pattern.count("*") > 1 for pattern in self.patterns)

    def encode(self, symbols: Symbols) -> Expression:
        """Returns whether the request satisfies the restriction.

        Raises:
            UnsupportedError: Policies compare the condition key with dates or addresses, or it is multivalued.
        """
        present, matched = self._encode(symbols)
        if self.excluded:
            return negation(every([present, matched]))
        return every([present, matched])

    def _encode(self, symbols: Symbols) -> tuple[Expression, Expression]:
        """Returns whether the request has the field, and whether one of the patterns matches it."""
        fields = {
            ACTION: symbols.action,
            RESOURCE: symbols.resource,
            PRINCIPAL: z3.StringVal(symbols.principal.name),
            ACCOUNT: z3.StringVal(symbols.principal.account),
        }
        if self.field == RESOURCE and not self.excluded and symbols.resource_parts[0] and len(self.patterns) == 1:
            return True, True  # `split_resource` has added the equation
        if self.field in fields:
            patterns = [pattern.lower() if self.field == ACTION else pattern for pattern in self.patterns]
            return True, _any(patterns, fields[self.field], symbols)
        key = symbols.keys.get(self.field.lower()) or symbols.key(self.field, KeyType.TEXT)
        if key.type is KeyType.BOOLEAN:
            return key.present, some(key.value == (pattern == "true") for pattern in self.patterns)
        if key.type is KeyType.NUMBER:
            return key.present, some(key.value == z3.RealVal(pattern) for pattern in self.patterns)
        key = symbols.key(self.field, KeyType.TEXT)
        return key.present, _any(self.patterns, key.value, symbols)

    def holds(self, request: Request) -> bool:
        """Returns whether a concrete request satisfies the restriction."""
        context = Context.from_keys(request.context)
        values = {
            ACTION: request.action,
            RESOURCE: request.resource,
            PRINCIPAL: request.principal.name,
            ACCOUNT: request.principal.account,
        }
        value = values.get(self.field, context.single(self.field))
        ignore_case = self.field == ACTION
        matched = value is not None and any(
            _parse(pattern).matches(value, context, ignore_case=ignore_case) for pattern in self.patterns
        )
        return matched is not self.excluded


def _any(patterns: Sequence[str], value: Expression, symbols: Symbols) -> Expression:
    return some(matches(_parse(pattern), value, symbols, bounded=False)[1] for pattern in patterns)


def _parse(pattern: str) -> TextPattern:
    return parse_text_pattern(pattern, wildcards=True, variables=False)


@dataclass(frozen=True)
class Claim:
    """A claim that no request of a set is allowed.

    Attributes:
        policies: the policies that apply to the requests.
        account: the ID of the account that owns the resources.
        forbidden: the restrictions of the set. A request in it satisfies all of them.
        principal: the principal of the requests.
        any_role: whether the principal stands for the sessions of all roles of its account that no statement names as
            its principal. The role's ARN is then unknown.

    Example:
        >>> from sandpiper_policy.document import PolicyKind, parse_policy
        >>> from sandpiper_policy.evaluate import Policies
        >>> from sandpiper_policy.principals import Principal
        >>> grant = {"Effect": "Allow", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::data/a/*"}
        >>> policy = parse_policy("writer", PolicyKind.IDENTITY, {"Version": "2012-10-17", "Statement": grant})
        >>> role = Principal.parse("arn:aws:sts::111122223333:assumed-role/writer/session")
        >>> outside = (Restriction("resource", ("arn:aws:s3:::data/a/*",), excluded=True),)
        >>> from sandpiper_policy.proofs.prover import prove
        >>> prove(Claim(Policies([policy]), "111122223333", role, outside)).outcome.value
        'proved'
    """

    policies: Policies
    account: str
    principal: Principal
    forbidden: tuple[Restriction, ...]
    any_role: bool = False

    @property
    def statement_count(self) -> int:
        """The number of statements of all its policies."""
        layers = [
            *self.policies.identity,
            *(self.policies.session or ()),
            self.policies.boundary,
            self.policies.resource,
        ]
        return sum(len(policy.statements) for policy in layers if policy is not None)

    def named_roles(self) -> frozenset[str]:
        """Returns the ARNs that the statements of the resource's policy name as principals."""
        statements = () if self.policies.resource is None else self.policies.resource.statements
        elements = [statement.principals for statement in statements if statement.principals is not None]
        return frozenset(name for element in elements for kind, name in element.names if kind == "AWS" and name != "*")

    def known_keys(self) -> dict[str, str | None]:
        """Returns the condition keys that have one value in every request, or None if no request has them."""
        known: dict[str, str | None] = {}
        for one in self.forbidden:
            if one.excluded and one.patterns == ("*",):
                known[one.field.lower()] = None
            elif not one.excluded and len(one.patterns) == 1 and not set("*?") & set(one.patterns[0]):
                known[one.field.lower()] = one.patterns[0]
        return known

    def bound(self, symbols: Symbols) -> None:
        """Adds what the restrictions state about texts to the symbols of a request."""
        texts = {ACTION: symbols.action, RESOURCE: symbols.resource}
        names = {one.field for one in self.forbidden} - {PRINCIPAL, ACCOUNT}
        for name in sorted(names):  # a set has another order in each process, and so would the model of the solver
            if name in texts or name.lower().startswith("aws:principal"):
                value = texts[name] if name in texts else symbols.key(name, KeyType.TEXT).value
                symbols.bounds[value.get_id()] = Bounds(*(self._tokens(name, excluded=each) for each in (False, True)))
        resources = self._tokens(RESOURCE, excluded=False)
        if len(resources) == 1:
            symbols.split_resource(resources[0])

    def _tokens(self, field: str, *, excluded: bool) -> tuple[tuple[Token, ...], ...]:
        """Returns the patterns of the first restriction, or of all that exclude values."""
        found = [one.patterns for one in self.forbidden if one.field == field and one.excluded is excluded]
        patterns = [pattern for each in (found if excluded else found[:1]) for pattern in each]
        return tuple(tokens_of(_parse(each.lower() if field == ACTION else each)) for each in patterns)
