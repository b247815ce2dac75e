"""Checks the trust policy of an existing execution role: AgentCore alone, for the interpreters that use the role alone.

The policy is evaluated for requests that must be trusted and for requests that must not, instead of being compared
with one form. So a condition counts in any form that has the effect.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sandpiper_contract.aws import AGENTCORE
from sandpiper_policy.document import PolicyKind, parse_policy
from sandpiper_policy.evaluate import Policies, Request, evaluate
from sandpiper_policy.principals import Principal
from sandpiper_policy.syntax import Effect

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    from sandpiper.plan.target import DeploymentTarget
    from sandpiper_policy.document import Policy

SERVICE = f"{AGENTCORE}.amazonaws.com"
SOURCE_ACCOUNT, SOURCE_ARN = "aws:SourceAccount", "aws:SourceArn"
OTHER_ACCOUNT = "000000000000"
UNIQUE_PART = "0" * 10
"""The end of an interpreter's identifier in a request that is evaluated. AgentCore chooses it at creation."""
_NAME_HASH = re.compile(r"_[0-9a-f]{8}$")
_ACCOUNT = re.compile(r"[0-9]{12}")


@dataclass(frozen=True)
class TrustedInterpreter:
    """An interpreter that uses the role, by its name, which ends in a hash of 8 characters."""

    name: str
    target: DeploymentTarget

    @property
    def arn(self) -> str:
        """An ARN that the interpreter can have."""
        return f"{self._prefix}{self.name}-{UNIQUE_PART}"

    @property
    def allowed_pattern(self) -> str:
        """The widest pattern that matches this interpreter and those that replace it, and no others."""
        return f"{self._prefix}{self._stem}_????????-??????????"

    def is_matched_by(self, arn: str) -> bool:
        """Returns whether an ARN is one of this interpreter or of one that replaces it.

        A name has no hyphen, so that everything after the hyphen is AgentCore's.
        """
        return re.fullmatch(rf"{re.escape(self._prefix + self._stem)}_[^-]{{8}}-[^:/]*", arn) is not None

    @property
    def _prefix(self) -> str:
        target = self.target
        return f"arn:{target.partition}:{AGENTCORE}:{target.region}:{target.account}:code-interpreter-custom/"

    @property
    def _stem(self) -> str:
        return _NAME_HASH.sub("", self.name)


def trust_problems(document: Mapping[str, Any], interpreters: Sequence[TrustedInterpreter]) -> Iterator[str]:
    """Yields the problems of a trust policy.

    Args:
        document: The decoded policy.
        interpreters: The interpreters that use the role, at least one.

    Raises:
        PolicyError: The document is not a policy that can be evaluated.
    """
    policy = parse_policy("the trust policy", PolicyKind.TRUST, document)
    account = interpreters[0].target.account
    yield from (f"trusts {principal} as well" for principal in _other_principals(policy))
    for one in interpreters:
        if not _is_trusted(policy, account, {SOURCE_ACCOUNT: account, SOURCE_ARN: one.arn}):
            yield f"does not trust {SERVICE} for {one.name}, whose sessions cannot use it"
    own = interpreters[0].arn
    requires_account = not _is_trusted(policy, account, {SOURCE_ARN: own})
    if not requires_account:
        yield f"does not require {SOURCE_ACCOUNT}"
    if _is_trusted(policy, account, {SOURCE_ACCOUNT: account}):
        yield f"does not require {SOURCE_ARN}"
        return  # then it also trusts every other resource
    accounts = [OTHER_ACCOUNT, *_values(policy, SOURCE_ACCOUNT)]
    if requires_account and any(
        _is_trusted(policy, account, {SOURCE_ACCOUNT: each, SOURCE_ARN: own})
        for each in accounts
        if each != account and _ACCOUNT.fullmatch(each)
    ):
        yield f"trusts other accounts than {account} ({SOURCE_ACCOUNT})"
    broad = [
        value
        for arn, value in _source_arns(policy, own)
        if not any(one.is_matched_by(arn) for one in interpreters)
        and _is_trusted(policy, account, {SOURCE_ACCOUNT: account, SOURCE_ARN: arn})
    ]
    if broad:
        yield f"trusts other resources than its interpreters ({SOURCE_ARN} {', '.join(dict.fromkeys(broad))})"


def _other_principals(policy: Policy) -> Iterator[str]:
    for statement in policy.statements:
        if statement.effect is not Effect.ALLOW or statement.principals is None:
            continue
        if statement.not_principals:
            yield "everyone except the principals of NotPrincipal"
            continue
        for kind, name in statement.principals.names:
            if (kind, name) != ("Service", SERVICE):
                yield "everyone" if name == "*" else name


def _is_trusted(policy: Policy, account: str, context: Mapping[str, str]) -> bool:
    request = Request(Principal.parse(SERVICE), "sts:AssumeRole", "*", account, context)
    return evaluate(request, Policies(resource=policy)).allowed


def _source_arns(policy: Policy, own: str) -> Iterator[tuple[str, str]]:
    """Yields ARNs that could be trusted, each with its description: those that the policy matches, and others."""
    for value in _values(policy, SOURCE_ARN):
        yield value.replace("*", "x").replace("?", "x"), f"is like {value}"
    prefix = own.partition("/")[0]
    other = f"{prefix}/other-{UNIQUE_PART}"
    yield other, f"can be {other}"


def _values(policy: Policy, key: str) -> list[str]:
    """Returns the values that statements compare a condition key with."""
    return [
        value
        for statement in policy.statements
        if statement.effect is Effect.ALLOW
        for condition in statement.conditions
        if condition.key.lower() == key.lower()
        for value in condition.values
    ]
