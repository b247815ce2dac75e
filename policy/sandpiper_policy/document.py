"""Parses policy documents strictly. A document that IAM rejects raises PolicyError, whose message names the location.

Source: "IAM JSON policy elements reference" in the IAM User Guide. `syntax` has the grammar.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from sandpiper_policy.arns import ArnPattern, parse_resource
from sandpiper_policy.conditions import Condition, parse_condition
from sandpiper_policy.context import Context
from sandpiper_policy.errors import PolicyError
from sandpiper_policy.principals import Principal, PrincipalMatch, Principals, parse_principals
from sandpiper_policy.syntax import Effect, StatementSyntax, parse_syntax, statement_error
from sandpiper_policy.text_pattern import TextPattern, parse_text_pattern

if TYPE_CHECKING:
    from collections.abc import Mapping

_NO_KEYS = Context({})
ACTION = re.compile(r"[\w-]+:[\w*?-]+")


class PolicyKind(Enum):
    """The kinds of policies. The kind determines which elements a statement has."""

    IDENTITY = "identity-based policy"
    RESOURCE = "resource-based policy"
    TRUST = "role trust policy"


@dataclass(frozen=True)
class Statement:
    """One statement, ready to match requests. `not_` in a name marks the negated element.

    Attributes:
        policy: The name of the policy that contains the statement.
        index: Its position in the document, from 0.
        sid: Its Sid; empty when it has none.
        resources: Patterns of ARNs; None matches every resource. Empty in a role trust policy.
    """

    policy: str
    index: int
    sid: str
    effect: Effect
    principals: Principals | None
    not_principals: bool
    actions: tuple[TextPattern, ...]
    not_actions: bool
    resources: tuple[ArnPattern | None, ...]
    not_resources: bool
    conditions: tuple[Condition, ...]

    def matches(self, action: str, resource: str, context: Context) -> bool:
        """Returns whether action, resource and conditions match. The principal is not considered."""
        return (
            self.matches_action(action)
            and self.matches_resource(resource, context)
            and all(condition.holds(context.get(condition.key), context) for condition in self.conditions)
        )

    def matches_action(self, action: str) -> bool:
        """Returns whether the action matches. Actions have no variables."""
        matched = any(pattern.matches(action, _NO_KEYS, ignore_case=True) for pattern in self.actions)
        return matched is not self.not_actions

    def matches_resource(self, resource: str, context: Context) -> bool:
        """Returns whether the resource matches."""
        if not self.resources:  # a trust policy applies to its role
            return True
        matches = [True if pattern is None else pattern.matches(resource, context) for pattern in self.resources]
        # NotResource with a variable that has no value excludes nothing: the statement matches no resource.
        if self.not_resources:
            return all(matched is False for matched in matches)
        return any(matches)

    def match_principal(self, principal: Principal) -> PrincipalMatch:
        """Returns how specifically the statement names a principal.

        A statement of an identity-based policy has no principal and names the identity that it is attached to.
        """
        if self.principals is None:
            return PrincipalMatch.EXACT
        match = self.principals.match(principal)
        if self.not_principals:
            return PrincipalMatch.EXACT if match is PrincipalMatch.NONE else PrincipalMatch.NONE
        return match

    def __str__(self) -> str:
        """Its Sid, or its number counted from 1, and its policy."""
        return f"statement {self.sid or self.index + 1} of {self.policy}"


@dataclass(frozen=True)
class Policy:
    """A parsed policy; `name` identifies it in decisions."""

    name: str
    kind: PolicyKind
    statements: tuple[Statement, ...]


def parse_policy(name: str, kind: PolicyKind, document: str | Mapping[str, Any]) -> Policy:
    """Parses a policy document. Results are cached by content.

    Args:
        name: The name of the policy in decisions and error messages.
        kind: The kind of the policy.
        document: JSON text or the decoded JSON.

    Raises:
        PolicyError: The document is not a valid policy of this kind.

    Example:
        >>> document = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}}
        >>> str(parse_policy("reader", PolicyKind.IDENTITY, document).statements[0])
        'statement 1 of reader'
    """
    return _parse(name, kind, document if isinstance(document, str) else json.dumps(document))


@lru_cache(maxsize=1024)
def _parse(name: str, kind: PolicyKind, document: str) -> Policy:
    try:
        content = json.loads(document)
    except ValueError as error:
        raise PolicyError(f"{name}: not JSON ({error})") from None
    syntax = parse_syntax(name, content)
    statements: list[Statement] = []
    for statement in syntax.statements:
        try:
            statements.append(compile_statement(name, kind, statement, variables=syntax.version == "2012-10-17"))
        except PolicyError as error:
            raise statement_error(name, statement.index, error) from None
    return Policy(name, kind, tuple(statements))


def compile_statement(name: str, kind: PolicyKind, syntax: StatementSyntax, *, variables: bool) -> Statement:
    """Returns a statement that is ready to match requests.

    Args:
        name: The name of the policy in decisions.
        kind: The kind of the policy.
        syntax: The elements of the statement.
        variables: Whether `${…}` is a policy variable, as in documents of version 2012-10-17.

    Raises:
        PolicyError: IAM rejects the statement in a policy of this kind.
    """
    _require_elements(kind, syntax)
    principal = syntax.principal
    return Statement(
        policy=name,
        index=syntax.index,
        sid=syntax.sid,
        effect=syntax.effect,
        principals=None if principal is None else parse_principals(principal.names),
        not_principals=principal is not None and principal.negated,
        actions=tuple(_action(action) for action in syntax.action.values),
        not_actions=syntax.action.negated,
        resources=tuple(parse_resource(resource, variables=variables) for resource in syntax.resource.values),
        not_resources=syntax.resource.negated,
        conditions=tuple(
            parse_condition(condition.operator, condition.key, condition.values, variables=variables)
            for condition in syntax.conditions
        ),
    )


def _require_elements(kind: PolicyKind, syntax: StatementSyntax) -> None:
    if not syntax.action.values:
        raise PolicyError("exactly one of Action and NotAction is required")
    if not syntax.resource.values and kind is not PolicyKind.TRUST:
        raise PolicyError("exactly one of Resource and NotResource is required")
    if kind is PolicyKind.IDENTITY and syntax.principal is not None:
        element = "NotPrincipal" if syntax.principal.negated else "Principal"
        raise PolicyError(f"an identity-based policy cannot have {element}")
    if kind is not PolicyKind.IDENTITY and syntax.principal is None:
        raise PolicyError("exactly one of Principal and NotPrincipal is required")


def _action(action: str) -> TextPattern:
    if action not in ("*", "*:*") and not ACTION.fullmatch(action):
        raise PolicyError(f"the action {action!r} is neither * nor SERVICE:NAME")
    return parse_text_pattern(action, wildcards=True, variables=False)
