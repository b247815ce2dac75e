"""Decides every cell of the access matrix with the evaluator."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sandpiper.review.access.matrix import Access, Cell, TenantMatrix
from sandpiper.review.access.operations import OPERATIONS, tenant_of
from sandpiper.review.access.rows import requesters
from sandpiper.review.proofs.subjects import INTERPRETER_TYPE
from sandpiper_policy.evaluate import Request, evaluate
from sandpiper_policy.model.graph import EdgeKind

if TYPE_CHECKING:
    from sandpiper.review.access.operations import Operation
    from sandpiper.review.access.rows import Requester
    from sandpiper.review.model import ReviewModel
    from sandpiper.review.resources import Resource

SECURE = {"aws:SecureTransport": "true", "s3:TlsVersion": "1.3"}
"""Condition keys of every request over TLS."""
_PROGRAM_EDGES = frozenset({EdgeKind.INVOKES, EdgeKind.RUNS_AS})
_NOTHING = Cell(Access.DENIED, "the templates contain no such resource", "", "")


def access_matrices(model: ReviewModel) -> tuple[TenantMatrix, ...]:
    """Returns a matrix for each tenant of the templates; one for all interpreters without the tag of a tenant."""
    tenants = dict.fromkeys(tenant_of(one) for one in model.of_type(INTERPRETER_TYPE))
    everyone = list(requesters(model))
    return tuple(_matrix(model, tenant, everyone) for tenant in sorted(tenants))


def _matrix(model: ReviewModel, tenant: str, everyone: list[Requester]) -> TenantMatrix:
    targets = [(operation, operation.subjects(model, tenant)) for operation in OPERATIONS]
    own = {
        one.row.address: tuple(_cell(model, one, operation, subjects, tenant) for operation, subjects in targets)
        for one in everyone
    }
    by_address = {one.row.address: one for one in everyone}
    rows = tuple(
        (one.row, tuple(_through(model, own, by_address, one, number) for number in range(len(OPERATIONS))))
        for one in everyone
    )
    return TenantMatrix(tenant, tuple(operation.title for operation in OPERATIONS), rows)


def _cell(model: ReviewModel, one: Requester, operation: Operation, subjects: list[Resource], tenant: str) -> Cell:
    """Returns the decision about the first resource that is allowed, or else about the first resource."""
    cells = [_decided(model, one, operation, subject, tenant) for subject in subjects]
    return next((cell for cell in cells if cell.access is Access.ALLOWED), cells[0] if cells else _NOTHING)


def _decided(model: ReviewModel, one: Requester, operation: Operation, subject: Resource, tenant: str) -> Cell:
    arn = operation.arn(subject, tenant)
    context = {**SECURE, "aws:ResourceAccount": subject.account, **one.context, **operation.context}
    request = Request(one.principal, operation.action, arn, subject.account, context)
    holder = one.identity or next(iter(model.policies.identities.values()))
    policies = model.policies.policies_for(holder, subject.address, required=operation.required)
    if one.assumed:
        own = policies.identity if one.identity else ()
        policies = replace(policies, identity=[*own, *one.assumed], boundary=None)
    decision = evaluate(request, policies)
    access = Access.ALLOWED if decision.allowed else Access.DENIED
    return Cell(access, model.readable(decision.reason), operation.action, model.readable(arn))


def _through(
    model: ReviewModel,
    own: dict[str, tuple[Cell, ...]],
    by_address: dict[str, Requester],
    one: Requester,
    number: int,
) -> Cell:
    """Returns the cell of a principal, or that of a role whose program it can start with input of its choice."""
    cell = own[one.row.address][number]
    if cell.access is Access.ALLOWED or one.identity is None or one.row.assumed:
        return cell
    for address, path in model.policies.graph.shortest_paths(one.identity.address, _PROGRAM_EDGES).items():
        reached = own.get(address)
        if address in by_address and reached is not None and reached[number].access is Access.ALLOWED:
            programs = tuple(model.readable(edge.target) for edge in path if edge.kind is EdgeKind.INVOKES)
            return replace(reached[number], access=Access.THROUGH, path=programs)
    return cell
