"""Lists what a reviewer approves: every grant of the templates and every limit of a grant, one sentence each."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sandpiper.plan.grants import grant_of
from sandpiper.plan.render_permissions import render_permissions
from sandpiper.review.rules.queries import interpreters, mode_of
from sandpiper_policy.model.edges import ASSUME
from sandpiper_policy.model.graph import EdgeKind
from sandpiper_policy.model.statements import KEY_CHARACTERS, PolicyUse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandpiper.review.model import ReviewModel
    from sandpiper.review.resources import Resource
    from sandpiper_policy.model.statements import PolicyStatement

VERBS = {
    (PolicyUse.INLINE, True): "is allowed",
    (PolicyUse.INLINE, False): "is denied",
    (PolicyUse.MANAGED, True): "is allowed",
    (PolicyUse.MANAGED, False): "is denied",
    (PolicyUse.BOUNDARY, True): "has a permissions boundary that permits",
    (PolicyUse.BOUNDARY, False): "has a permissions boundary that denies",
    (PolicyUse.TRUST, True): "can be assumed by",
    (PolicyUse.TRUST, False): "cannot be assumed by",
    (PolicyUse.RESOURCE, True): "has a policy that allows",
    (PolicyUse.RESOURCE, False): "has a policy that denies",
    (PolicyUse.ENDPOINT, True): "has a policy that allows",
    (PolicyUse.ENDPOINT, False): "has a policy that denies",
}
"""The verb of a sentence by the use of the policy, and whether the statement allows."""
CLOSED_NETWORK = "SANDBOX"
"""The network mode without a way out except Amazon S3. Each other mode is a grant."""


@dataclass(frozen=True)
class Entry:
    """One grant, or one limit of grants.

    Attributes:
        key: A hash that stays the same as long as the grant means the same.
        holder: The identity or the resource of the grant, without hashes in names.
        sentence: What it states, in one sentence.
        is_grant: Whether it grants something. Otherwise it is a limit: a denying statement or a permissions boundary.
        statement: The statement; None for a grant that is not a statement, such as a network mode, or of a baseline.
    """

    key: str
    holder: str
    sentence: str
    is_grant: bool
    statement: PolicyStatement | None = None


def entries_of(model: ReviewModel) -> dict[str, Entry]:
    """Returns the grants and limits of a model by key, sorted by holder and sentence."""
    found = [*_statements(model), *_attachments(model), *_programs(model), *_networks(model)]
    return {one.key: one for one in sorted(found, key=lambda one: (one.holder, one.sentence, one.key))}


def holders_of(model: ReviewModel) -> frozenset[str]:
    """Returns the identities and resources of a model, without hashes in names."""
    addresses = {*model.by_address, *model.policies.identities}
    return frozenset(map(model.labels.without_hashes, addresses))


def _statements(model: ReviewModel) -> Iterator[Entry]:
    for one in model.policies.statements:
        holder = model.labels.without_hashes(one.holder)
        yield Entry(one.key, holder, _sentence(model, holder, one), one.allows, one)


def _sentence(model: ReviewModel, holder: str, statement: PolicyStatement) -> str:
    verb = VERBS[statement.use, statement.allows]
    when = f" when {' and '.join(map(str, statement.when))}" if statement.when else ""
    grant = grant_of(statement.syntax)
    if statement.use is PolicyUse.TRUST and grant.actions == (ASSUME,):
        grant = grant.model_copy(update={"actions": ()})
    permissions = " ".join(render_permissions(grant).split())
    return model.labels.without_hashes(f"{holder} {verb} {permissions}{when}")


def _attachments(model: ReviewModel) -> Iterator[Entry]:
    """Yields attached managed policies that the templates do not contain, and permissions boundaries."""
    for one in model.policies.identities.values():
        for arn in one.managed_arns:
            yield _entry(model, one.address, f"has the managed policy {arn}", is_grant=True)
        if one.boundary_arn:
            yield _entry(model, one.address, f"has the permissions boundary {one.boundary_arn}", is_grant=False)


def _programs(model: ReviewModel) -> Iterator[Entry]:
    """Yields the roles of programs: with another role, a program has other permissions."""
    for edge in model.policies.graph.edges:
        if edge.kind is EdgeKind.RUNS_AS:
            yield _entry(model, edge.source, f"has the permissions of {edge.target}", is_grant=True)


def _networks(model: ReviewModel) -> Iterator[Entry]:
    for one in interpreters(model):
        if (mode := mode_of(one)) != CLOSED_NETWORK:
            groups, subnets = ("+".join(map(str, _vpc(one, name))) for name in ("SecurityGroups", "Subnets"))
            network = f"{mode or 'default'} {groups} {subnets}".strip()
            yield _entry(model, one.address, f"runs code in the network {network}", is_grant=True)


def _vpc(interpreter: Resource, name: str) -> list[object]:
    return interpreter.items("NetworkConfiguration", "VpcConfig", name)


def _entry(model: ReviewModel, address: str, statement: str, *, is_grant: bool) -> Entry:
    holder = model.labels.without_hashes(address)
    sentence = model.labels.without_hashes(f"{holder} {statement}")
    key = hashlib.sha256(sentence.encode()).hexdigest()[:KEY_CHARACTERS]
    return Entry(key, holder, sentence, is_grant)
