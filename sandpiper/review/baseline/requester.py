"""Finds the principals of example requests."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sandpiper.review.access.rows import requesters
from sandpiper.review.proofs.subjects import OTHER_ACCOUNT, administrator, any_role_of
from sandpiper_policy.model.statements import PolicyUse
from sandpiper_policy.principals import ACCOUNT_ID, ARN, Principal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sandpiper.review.model import ReviewModel
    from sandpiper_policy.document import Policy
    from sandpiper_policy.model.identities import Identity
    from sandpiper_policy.model.statements import PolicyStatement


@dataclass(frozen=True)
class Caller:
    """The principal of a request.

    Attributes:
        label: Its name in reports.
        principal: The principal.
        context: The condition keys of its requests: ARN, account and tags.
        identity: The identity of the model, if the templates contain it or name it.
        assumed: Policies that it is assumed to have, because the templates do not contain its own.
    """

    label: str
    principal: Principal
    context: Mapping[str, str] = field(default_factory=dict[str, str])
    identity: Identity | None = None
    assumed: tuple[Policy, ...] = ()

    @property
    def identity_account(self) -> str:
        """The account of an identity of the templates; empty for others."""
        return "" if self.identity is None else self.identity.account


def callers_of(model: ReviewModel, statement: PolicyStatement) -> Iterator[Caller]:
    """Yields principals that a statement may allow something. For everyone, those with the least rights come first."""
    element = statement.syntax.principal
    if statement.use in (PolicyUse.INLINE, PolicyUse.MANAGED, PolicyUse.BOUNDARY) or element is None:
        yield from _identities(model, statement.holder, is_own=True)
    elif element.negated:
        yield from _everyone(model)
    else:
        for kind, name in element.names[:2]:
            yield from _named(model, kind, name)


def _named(model: ReviewModel, kind: str, name: str) -> Iterator[Caller]:
    parts = ARN.fullmatch(name)
    if name == "*":
        yield from _everyone(model)
    elif ACCOUNT_ID.fullmatch(name) or (parts and parts["kind"] == "root"):
        yield _anyone(model, parts["account"] if parts else name)
    elif kind == "AWS":
        known = (one.address for one in model.policies.identities.values() if one.arn == name)
        yield from _identities(model, next(known, name), is_own=False)
    else:
        yield Caller(name, Principal.parse(name))


def _identities(model: ReviewModel, address: str, *, is_own: bool) -> Iterator[Caller]:
    for one in requesters(model):
        if one.row.address == address:
            assumed = () if is_own else one.assumed
            yield Caller(one.row.label, one.principal, one.context, one.identity, assumed)


def _everyone(model: ReviewModel) -> Iterator[Caller]:
    yield _anyone(model, OTHER_ACCOUNT)
    yield _anyone(model, model.templates[0].account)
    for one in requesters(model):
        if one.identity is not None:
            yield Caller(one.row.label, one.principal, one.context, one.identity, one.assumed)


def _anyone(model: ReviewModel, account: str) -> Caller:
    region = model.templates[0].region
    principal = any_role_of(account, region)
    partition = principal.name.split(":")[1]
    context = {"aws:PrincipalArn": f"arn:{partition}:iam::{account}:role/any", "aws:PrincipalAccount": account}
    shown = "an administrator of any other account" if account == OTHER_ACCOUNT else f"an administrator of {account}"
    return Caller(shown, principal, context, None, (administrator(),))
