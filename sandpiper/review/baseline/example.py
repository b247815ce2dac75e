"""Makes an example of a request that a grant allows, and lets the evaluator decide it with all policies."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from sandpiper.review.access.build import SECURE
from sandpiper.review.access.operations import OPERATIONS
from sandpiper.review.baseline.requester import Caller, callers_of
from sandpiper_policy.evaluate import Request, evaluate
from sandpiper_policy.model.edges import EDGE_RULES
from sandpiper_policy.model.matching import matched_actions
from sandpiper_policy.model.statements import PolicyUse
from sandpiper_policy.proofs.claims import ACTION, RESOURCE, Claim, Restriction
from sandpiper_policy.proofs.prover import EFFORT, QUICK, prove

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sandpiper.review.baseline.entries import Entry
    from sandpiper.review.model import ReviewModel
    from sandpiper_policy.evaluate import Policies
    from sandpiper_policy.model.statements import PolicyStatement
    from sandpiper_policy.syntax import Element

KNOWN = tuple(
    dict.fromkeys([*(one.action for one in OPERATIONS), *(action for rule in EDGE_RULES for action in rule.actions)])
)
"""Actions that an example uses where a statement has a wildcard."""
POSITIVE = ("stringequals", "stringlike", "arnequals", "arnlike", "bool", "stringequalsignorecase")
"""Operators whose first value makes the condition hold."""
MAX_CANDIDATES = 6
"""Requests that are tried before a proof searches for one."""
MAX_SEARCHES = 2
"""Principals for which a proof searches for a request."""
TRIED_VALUES = 3
_PATTERN = re.compile(r"\$\{([^},]*)[^}]*\}|\*+|\?")
_HIDDEN = {key.lower() for key in SECURE} | {"aws:principalarn", "aws:principalaccount", "aws:resourceaccount"}
"""Condition keys of every request, which an example does not mention."""


def example_of(model: ReviewModel, entry: Entry, approved: str = "") -> str:
    """Returns a request that a grant allows, as a sentence; empty for a grant that is not a statement.

    Args:
        model: The model.
        entry: The grant.
        approved: The approved grants of the same holder. The example is about another resource, if there is one.
    """
    statement = entry.statement
    if statement is None:
        return ""
    reason = "no principal of the templates uses it"
    for number, caller in enumerate(callers_of(model, statement)):
        for request, policies in itertools.islice(_candidates(model, statement, caller, approved), MAX_CANDIDATES):
            decision = evaluate(request, policies)
            if decision.allowed:
                return _sentence(model, caller, request)
            reason = decision.reason
        found = _searched(model, statement, caller) if number < MAX_SEARCHES else None
        if found is not None:
            return _sentence(model, caller, found)
    return model.readable(f"no request that it allows was found: {reason}")


def _candidates(
    model: ReviewModel, statement: PolicyStatement, caller: Caller, approved: str
) -> Iterator[tuple[Request, Policies]]:
    context = {**SECURE, **caller.context}
    for one in statement.syntax.conditions:
        operator = one.operator.lower().rpartition(":")[2].removesuffix("ifexists")
        if operator in POSITIVE and one.values and one.key.lower() not in map(str.lower, context):
            context[one.key] = filled(one.values[0], context)
    for action in _actions(statement.syntax.action):
        for resource in _resources(model, statement, context, approved):
            owner, account = _owner(model, resource, caller)
            keys = {"aws:ResourceAccount": account, **context}
            yield Request(caller.principal, action, resource, account, keys), _policies(model, statement, caller, owner)


def _searched(model: ReviewModel, statement: PolicyStatement, caller: Caller) -> Request | None:
    """Returns a request that the prover finds, for statements with conditions that no simple request fulfills."""
    action, resource = statement.syntax.action, statement.syntax.resource
    first = next(_resources(model, statement, caller.context))
    owner, account = _owner(model, first, caller)
    resources = (first,) if statement.use is PolicyUse.TRUST else resource.values
    claim = Claim(
        _policies(model, statement, caller, owner),
        account,
        caller.principal,
        (
            Restriction(ACTION, action.values, excluded=action.negated),
            Restriction(RESOURCE, tuple(map(_without_variables, resources)), excluded=resource.negated),
            *(Restriction(key, (value,)) for key, value in caller.context.items()),
        ),
    )
    proof = prove(claim, EFFORT // QUICK)
    if proof.counterexample is None:
        return None
    written = {value.lower(): value for value in (*action.values, *KNOWN)}
    request = proof.counterexample
    return replace(request, action=written.get(request.action, request.action))


def filled(pattern: str, context: Mapping[str, str]) -> str:
    """Returns a value that a pattern matches: `example` for `*`, `a` for `?`, and values for policy variables.

    Example:
        >>> filled("tenants/${aws:PrincipalTag/team}/*", {"aws:PrincipalTag/team": "blue"})
        'tenants/blue/example'
    """
    keys = {name.lower(): value for name, value in context.items()}

    def value(match: re.Match[str]) -> str:
        if match[1] is not None:
            return keys.get(match[1].lower(), match[1] if match[1] in "*?$" else "example")
        return "a" if match[0] == "?" else "example"

    return _PATTERN.sub(value, pattern)


def _without_variables(pattern: str) -> str:
    return re.sub(r"\$\{[^}]*\}", "*", pattern)


def _actions(element: Element) -> Iterator[str]:
    """Yields some actions of a statement: those without wildcards first, then known ones."""
    exact = [] if element.negated else [value for value in element.values if not _PATTERN.search(value)]
    matched = matched_actions(element, KNOWN)
    known = [one for one in KNOWN if one in matched]
    yield from dict.fromkeys([*(one for one in exact if one in known), *exact, *known][:TRIED_VALUES])
    if not exact and not matched and not element.negated:
        yield filled(element.values[0], {}).replace(":example", ":Example")


def _resources(
    model: ReviewModel, statement: PolicyStatement, context: Mapping[str, str], approved: str = ""
) -> Iterator[str]:
    """Yields some resources of a statement; for a statement without resources, the resource that has the policy."""
    element = statement.syntax.resource
    holder = model.by_address.get(statement.holder)
    if not element.values or element.negated or statement.use is PolicyUse.TRUST:
        yield holder.arn if holder is not None and holder.arn else "arn:aws:s3:::example/example"
        return
    own = holder.arn if holder is not None and statement.use is PolicyUse.RESOURCE else ""
    new_first = sorted(element.values, key=lambda one: model.labels.without_hashes(one) in approved)
    for value in sorted(new_first, key=lambda one: "*" in one and "/" not in one)[:TRIED_VALUES]:
        yield own if value == "*" and own else "*" if value == "*" else filled(value, context)


def _owner(model: ReviewModel, resource: str, caller: Caller) -> tuple[str, str]:
    """Returns the address of the resource that has the policy, and its account."""
    parts = resource.split(":", 5)
    outer = resource.partition("/")[0] if resource.startswith(("arn:aws:s3:", "arn:aws-cn:s3:")) else resource
    found = model.by_arn.get(resource) or model.by_arn.get(outer)
    account = parts[4] if len(parts) == 6 else ""
    if found is not None:
        return found.address, found.account
    return "", account or caller.identity_account or model.templates[0].account


def _policies(model: ReviewModel, statement: PolicyStatement, caller: Caller, owner: str) -> Policies:
    is_resource = statement.use in (PolicyUse.RESOURCE, PolicyUse.ENDPOINT, PolicyUse.TRUST)
    address = statement.holder if is_resource else owner
    holder = caller.identity or next(iter(model.policies.identities.values()))
    # Required, so that the assumed policies of a caller do not allow the request without the statement.
    policies = model.policies.policies_for(holder, address, required=is_resource)
    if caller.identity is None or caller.assumed:
        own = policies.identity if caller.identity is not None else ()
        return replace(policies, identity=[*own, *caller.assumed], boundary=None)
    return policies


def _sentence(model: ReviewModel, caller: Caller, request: Request) -> str:
    keys = [
        f"{name} = {value if isinstance(value, str) else ' and '.join(value)}"
        for name, value in sorted(request.context.items())
        if name.lower() not in _HIDDEN and not name.lower().startswith("aws:principaltag/")
    ]
    conditions = f" with {', '.join(keys)}" if keys else ""
    return model.readable(f"{caller.label}: {request.action} on {request.resource}{conditions}")
