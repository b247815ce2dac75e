"""Questions about the model that several rules ask."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sandpiper.plan.resource_types import BUCKET, INTERPRETER
from sandpiper.review.reading.values import as_mapping, as_text
from sandpiper.review.rule import Occurrence
from sandpiper_contract.aws import TENANT_TAG
from sandpiper_policy.model.graph import EdgeKind
from sandpiper_policy.model.identities import Identity, IdentityKind
from sandpiper_policy.model.matching import matched_actions

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from sandpiper.review.findings import Acceptance, Severity
    from sandpiper.review.model import ReviewModel
    from sandpiper.review.resources import Resource
    from sandpiper_policy.model.graph import Edge
    from sandpiper_policy.model.statements import PolicyStatement

EQUALS = ("stringequals", "stringlike", "arnequals", "arnlike")
"""Operators that require a value, in lower case. With IfExists they hold without the key, too."""

_WHOLE_ACCOUNT = re.compile(r"(?:arn:[\w-]+:iam::)?(\d{12})(?::root)?")


def other_accounts(statement: PolicyStatement, own: Collection[str]) -> list[str]:
    """Returns the accounts, except `own`, of which a statement names every identity: by account ID or root ARN."""
    names = statement.syntax.principal.names if statement.syntax.principal else ()
    found = [match[1] for kind, name in names if kind == "AWS" and (match := _WHOLE_ACCOUNT.fullmatch(name))]
    return [one for one in found if one not in own]


def interpreters(model: ReviewModel) -> Iterator[Resource]:
    """Yields the interpreters, each once for each combination of conditions."""
    return model.of_type(INTERPRETER)


def mode_of(interpreter: Resource) -> str:
    """Returns the network mode of an interpreter; empty when it has none."""
    return as_text(interpreter.get("NetworkConfiguration", "NetworkMode"))


def execution_role(model: ReviewModel, interpreter: Resource) -> Identity | None:
    """Returns the identity that code in an interpreter has; None without a role."""
    edges = model.policies.graph.outgoing.get(interpreter.address, ())
    roles = (model.policies.identities.get(edge.target) for edge in edges if edge.kind is EdgeKind.RUNS_AS)
    return next(filter(None, roles), None)


def execution_roles(model: ReviewModel) -> dict[str, Identity]:
    """Returns the identities of code in interpreters by address."""
    roles = (execution_role(model, one) for one in interpreters(model))
    return {role.address: role for role in roles if role is not None}


def execution_statements(model: ReviewModel) -> Iterator[PolicyStatement]:
    """Yields the statements that allow something to code in interpreters."""
    for role in execution_roles(model).values():
        yield from allowing(role)


def allowing(identity: Identity) -> Iterator[PolicyStatement]:
    """Yields the statements of an identity's policies that allow something."""
    return (one for policy in identity.policies for one in policy.statements if one.allows)


def granted(statement: PolicyStatement, *actions: str) -> tuple[str, ...]:
    """Returns those of the actions that a statement matches."""
    matched = matched_actions(statement.syntax.action, actions)
    return tuple(action for action in actions if action in matched)


def required_values(statement: PolicyStatement, *keys: str, operators: Iterable[str] = EQUALS) -> tuple[str, ...]:
    """Returns the values that a statement requires of condition keys; empty without such a condition.

    An operator with IfExists or ForAllValues does not require the key and does not count.
    """
    lower = {key.lower() for key in keys}
    return tuple(
        value
        for one in statement.syntax.conditions
        if one.key.lower() in lower and one.operator.lower().removeprefix("foranyvalue:") in operators
        for value in one.values
    )


def names_everyone(statement: PolicyStatement) -> bool:
    """Returns whether a statement names every principal, also by naming all except some."""
    principal = statement.syntax.principal
    return principal is not None and (principal.negated or any(name == "*" for _, name in principal.names))


def callers(model: ReviewModel, interpreter: Resource) -> Iterator[tuple[Identity, Edge]]:
    """Yields the identities that can start sessions of an interpreter and run code in them."""
    for edge in model.policies.graph.incoming.get(interpreter.address, ()):
        if edge.kind is EdgeKind.INVOKES:
            yield model.policies.identities[edge.source], edge


def data_buckets(model: ReviewModel) -> Iterator[Resource]:
    """Yields the buckets that code in interpreters, or a program that runs code, reads or writes."""
    graph = model.policies.graph
    users = set(execution_roles(model))
    for one in interpreters(model):
        users |= {identity.address for identity, _ in callers(model, one) if identity.kind is IdentityKind.ROLE}
    for bucket in model.of_type(BUCKET):
        edges = graph.incoming.get(bucket.address, ())
        if any(edge.source in users and edge.kind in (EdgeKind.READS, EdgeKind.WRITES) for edge in edges):
            yield bucket


def tenant_of(model: ReviewModel, address: str) -> str:
    """Returns the tenant of a resource by its tag; empty without the tag."""
    resource = model.by_address.get(address)
    if resource is None:
        return ""
    by_name = as_mapping(resource.get("Tags"))  # types differ: a mapping, or a list of keys and values
    listed = {as_text(as_mapping(tag).get("Key")): as_mapping(tag).get("Value") for tag in resource.items("Tags")}
    return as_text(by_name.get(TENANT_TAG, listed.get(TENANT_TAG)))


def at_statement(
    model: ReviewModel,
    statement: PolicyStatement,
    message: str,
    *,
    severity: Severity | None = None,
    acceptance: Acceptance | None = None,
) -> Occurrence:
    """Returns an occurrence at a statement, with the statement as evidence."""
    evidence = (f"{statement.policy}: {statement.describe(model.readable)}",)
    return Occurrence(statement.location, message, tuple(map(model.readable, evidence)), severity, acceptance)
