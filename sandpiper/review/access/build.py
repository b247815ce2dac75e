"""Decides every cell of the access matrix with the evaluator."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING

from sandpiper.plan.resource_types import INTERPRETER
from sandpiper.review.access.matrix import Access, Cell, Row, TenantMatrix
from sandpiper.review.access.operations import OPERATIONS, tenant_of
from sandpiper.review.access.rows import requesters
from sandpiper.review.proofs.subjects import administrator
from sandpiper_policy.context import Context
from sandpiper_policy.evaluate import Request, evaluate
from sandpiper_policy.model.graph import EdgeKind
from sandpiper_policy.model.symbols import has_symbol
from sandpiper_policy.syntax import Effect

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sandpiper.review.access.operations import Operation
    from sandpiper.review.access.rows import Requester
    from sandpiper.review.model import ReviewModel
    from sandpiper.review.resources import Resource
    from sandpiper_policy.context import Value
    from sandpiper_policy.document import Statement
    from sandpiper_policy.evaluate import Decision
    from sandpiper_policy.model.statements import PolicyStatement

SECURE = {"aws:SecureTransport": "true", "s3:TlsVersion": "1.3"}
"""Condition keys of every request over TLS."""
_PROGRAM_EDGES = frozenset({EdgeKind.INVOKES, EdgeKind.RUNS_AS})
NO_GRANT = Cell(Access.DENIED, "no identity-based policy allows it", "", "")
NOTHING = Cell(Access.UNDECIDED, "the templates contain no such resource", "", "")
_MOST_ACCESS_FIRST = (Access.ALLOWED, Access.UNDECIDED, Access.DENIED)


@lru_cache(maxsize=1)
def access_matrices(model: ReviewModel) -> tuple[TenantMatrix, ...]:
    """Returns a matrix for each tenant of the templates; one for all interpreters without the tag of a tenant."""
    tenants = dict.fromkeys(tenant_of(one) for one in model.of_type(INTERPRETER))
    everyone = list(requesters(model))
    granting = frozenset(address for address in model.policies.resource_policies if _has_grants(model, address))
    return tuple(_matrix(model, tenant, everyone, granting) for tenant in sorted(tenants))


def _matrix(model: ReviewModel, tenant: str, everyone: Sequence[Requester], granting: frozenset[str]) -> TenantMatrix:
    targets = [(operation, operation.subjects(model, tenant)) for operation in OPERATIONS]
    stacks = {one.stack for _, subjects in targets for one in subjects}
    grants = any(one.address in granting for _, subjects in targets for one in subjects)
    own: dict[str, tuple[Cell, ...]] = {}
    others = 0
    for one in everyone:
        is_near = one.identity is None or one.row.assumed or one.row.address.partition("/")[0] in stacks
        is_near = is_near or _has_symbols(one)
        if is_near or grants or any(_may_be_allowed(one, *target, tenant) for target in targets):
            own[one.row.address] = tuple(_cell(model, one, *target, tenant) for target in targets)
        else:
            others += 1
    shown = [one for one in everyone if one.row.address in own]
    rows = [(one.row, tuple(_through(model, own, one, number) for number in range(len(OPERATIONS)))) for one in shown]
    if others:
        row = Row(
            "", f"the {others:,} other roles and users of the templates", "roles and users of the templates", False
        )
        rows.append((row, (NO_GRANT,) * len(OPERATIONS)))
    return TenantMatrix(tenant, tuple(operation.title for operation in OPERATIONS), tuple(rows))


def _may_be_allowed(one: Requester, operation: Operation, subjects: Sequence[Resource], tenant: str) -> bool:
    """Returns False if no statement of an identity allows the operation. That is decided fast."""
    grants = _granting(one, operation.action)
    return any(_matches(each, one, operation, subject, tenant) for each in grants for subject in subjects)


def _matches(statement: Statement, one: Requester, operation: Operation, subject: Resource, tenant: str) -> bool:
    arn = operation.arn(subject, tenant)
    if not statement.matches_resource(arn, one.keys):
        return False
    return statement.matches(operation.action, arn, Context.from_keys(_context(one, operation, subject)))


def _context(one: Requester, operation: Operation, subject: Resource) -> dict[str, Value]:
    """Returns the condition keys of a request."""
    return {**SECURE, "aws:ResourceAccount": subject.account, **one.context, **operation.context}


@lru_cache(maxsize=65_536)
def _granting(one: Requester, action: str) -> tuple[Statement, ...]:
    """Returns the statements of an identity that allow an action on some resource."""
    policies = () if one.identity is None else one.identity.policies
    statements = [statement for policy in policies for statement in policy.evaluable.statements]
    return tuple(each for each in statements if each.effect is Effect.ALLOW and each.matches_action(action))


def _has_grants(model: ReviewModel, address: str) -> bool:
    """Returns whether the policy of a resource names roles or users in a statement that allows."""
    attached = model.policies.resource_policies.get(address, ())
    allowing = [statement.compiled for policy in attached for statement in policy.statements if statement.allows]
    names = [name for each in allowing if each.principals for _, name in each.principals.names]
    return any(name == "*" or ":role/" in name or ":user/" in name for name in names)


def _cell(model: ReviewModel, one: Requester, operation: Operation, subjects: Sequence[Resource], tenant: str) -> Cell:
    """Returns the decision about the first resource that is allowed, or not decided, or else about the first one."""
    cells = [_decided(model, one, operation, subject, tenant) for subject in subjects]
    return min(cells, key=lambda cell: _MOST_ACCESS_FIRST.index(cell.access), default=NOTHING)


def _decided(model: ReviewModel, one: Requester, operation: Operation, subject: Resource, tenant: str) -> Cell:
    arn = operation.arn(subject, tenant)
    request = Request(one.principal, operation.action, arn, subject.account, _context(one, operation, subject))
    holder = one.identity or next(iter(model.policies.identities.values()))
    policies = model.policies.policies_for(holder, subject.address, required=operation.required)
    if one.assumed:
        own = policies.identity if one.identity else ()
        policies = replace(policies, identity=[*own, *one.assumed], boundary=None)
    decision = evaluate(request, policies)
    access, reason = Access.ALLOWED if decision.allowed else Access.DENIED, decision.reason
    assumed = one.identity is not None and any(each.policy == administrator().name for each in decision.statements)
    changing = None if decision.allowed else _changing(model, one, operation.action, subject, decision)
    if changing is not None:
        access, reason = Access.UNDECIDED, f"{reason}, but {changing.symbols[0]} is known only after a deployment"
    return Cell(access, model.readable(reason), operation.action, model.readable(arn), assumed=assumed)


def _has_symbols(one: Requester) -> bool:
    """Returns whether an identity is allowed something that is known only after a deployment."""
    policies = () if one.identity is None else one.identity.policies
    return any(each.allows and each.symbols for policy in policies for each in policy.statements)


def _changing(
    model: ReviewModel, one: Requester, action: str, subject: Resource, decision: Decision
) -> PolicyStatement | None:
    """Returns a statement with a value that is known only after a deployment and that can make a denial an allow."""
    if not model.policies.unresolved:
        return None
    if decision.statements:  # a statement denies the request
        candidates = [model.policies.origin(each) for each in decision.statements]
    else:
        own = () if one.identity is None else (*one.identity.policies, one.identity.boundary)
        attached = (*filter(None, own), *model.policies.resource_policies.get(subject.address, ()))
        candidates = [each for policy in attached for each in policy.statements if each.allows]
    return next((each for each in candidates if each.symbols and _may_be_about(each, action)), None)


def _may_be_about(statement: PolicyStatement, action: str) -> bool:
    return statement.compiled.matches_action(action) or any(map(has_symbol, statement.syntax.action.values))


def _through(model: ReviewModel, own: Mapping[str, tuple[Cell, ...]], one: Requester, number: int) -> Cell:
    """Returns the cell of a principal, or that of a role whose program it can start with input of its choice."""
    cell = own[one.row.address][number]
    if cell.access is Access.ALLOWED or one.identity is None or one.row.assumed:
        return cell
    for address, path in model.policies.graph.shortest_paths(one.identity.address, _PROGRAM_EDGES).items():
        reached = own.get(address)
        if reached is not None and reached[number].access is Access.ALLOWED:
            programs = tuple(model.readable(edge.target) for edge in path if edge.kind is EdgeKind.INVOKES)
            return replace(reached[number], access=Access.THROUGH, path=programs)
    return cell
