"""Claims: which requests must not be allowed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sandpiper_policy.context import Context
from sandpiper_policy.proofs.solver import z3
from sandpiper_policy.proofs.symbols import KeyType
from sandpiper_policy.proofs.texts import matches
from sandpiper_policy.text_pattern import parse_text_pattern

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sandpiper_policy.evaluate import Policies, Request
    from sandpiper_policy.principals import Principal
    from sandpiper_policy.proofs.solver import Expression
    from sandpiper_policy.proofs.symbols import Symbols
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

    def encode(self, symbols: Symbols) -> Expression:
        """Returns whether the request satisfies the restriction.

        Raises:
            UnsupportedError: Policies compare the condition key with dates or addresses, or it is multivalued.
        """
        present, matched = self._encode(symbols)
        return z3.Not(z3.And(present, matched)) if self.excluded else z3.And(present, matched)

    def _encode(self, symbols: Symbols) -> tuple[Expression, Expression]:
        """Returns whether the request has the field, and whether one of the patterns matches it."""
        fields = {
            ACTION: symbols.action,
            RESOURCE: symbols.resource,
            PRINCIPAL: z3.StringVal(symbols.principal.name),
            ACCOUNT: z3.StringVal(symbols.principal.account),
        }
        if self.field in fields:
            patterns = [pattern.lower() if self.field == ACTION else pattern for pattern in self.patterns]
            return z3.BoolVal(True), _any(patterns, fields[self.field], symbols)
        key = symbols.keys.get(self.field.lower()) or symbols.key(self.field, KeyType.TEXT)
        if key.type is KeyType.BOOLEAN:
            return key.present, z3.Or([key.value == (pattern == "true") for pattern in self.patterns])
        if key.type is KeyType.NUMBER:
            return key.present, z3.Or([key.value == z3.RealVal(pattern) for pattern in self.patterns])
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
    return z3.Or([matches(_parse(pattern), value, symbols)[1] for pattern in patterns])


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

    def named_roles(self) -> frozenset[str]:
        """Returns the ARNs that the statements of the resource's policy name as principals."""
        statements = () if self.policies.resource is None else self.policies.resource.statements
        elements = [statement.principals for statement in statements if statement.principals is not None]
        return frozenset(name for element in elements for kind, name in element.names if kind == "AWS" and name != "*")
