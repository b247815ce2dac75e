"""Finds identities of the account that may use the environment although it does not name them."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from sandpiper.plan.resource_types import INTERPRETER
from sandpiper.review.access.matrix import Access
from sandpiper.review.access.operations import OPERATIONS, tenant_of
from sandpiper.review.building.types import GROUP, PROGRAM_ROLES
from sandpiper.review.findings import Severity
from sandpiper.review.reading.values import as_mapping
from sandpiper.review.rule import Occurrence
from sandpiper_policy.context import Context
from sandpiper_policy.document import PolicyKind, parse_policy
from sandpiper_policy.errors import PolicyError
from sandpiper_policy.model.identities import IdentityKind
from sandpiper_policy.model.location import Location
from sandpiper_policy.syntax import Effect

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from sandpiper.review.access.matrix import TenantMatrix
    from sandpiper.review.deployed.identities import AccountIdentities, AccountIdentity
    from sandpiper.review.model import ReviewModel
    from sandpiper.review.reading.source import TemplateSource

_NAMED = re.compile(r"\"(arn:[\w-]+:iam::\d{12}:(?:role|user)/[^\"*?$]+)\"")
OBJECTS = frozenset(one.title for one in OPERATIONS if one.action in ("s3:GetObject", "s3:PutObject"))
"""Operations on the data, which the policy of a data bucket denies to identities that it does not name."""
CHANGES = frozenset(one.title for one in OPERATIONS if one.title.startswith("change ")) - OBJECTS
"""Operations that change programs and permissions."""


def named_arns(sources: Iterable[TemplateSource]) -> frozenset[str]:
    """Returns the ARNs of the roles and users that templates name, also in conditions."""
    return frozenset(arn for one in sources for arn in _NAMED.findall(json.dumps(one.document.content)))


def may_have_access(model: ReviewModel, identities: AccountIdentities, named: Collection[str]) -> list[AccountIdentity]:
    """Returns other roles and users that are named, or of which a statement allows an operation of the matrix.

    Conditions and statements that deny are not considered: the matrix decides. An identity with a policy that is not
    known or cannot be evaluated is among the result.

    Args:
        model: The model of the environment.
        identities: The identities of the account.
        named: The ARNs that the environment names.
    """
    known = {one.arn: one.kind for one in model.policies.identities.values()}
    requests = _requests(model)
    return [
        one
        for one in identities.by_arn.values()
        if one.type != GROUP
        and known.get(one.arn, IdentityKind.EXTERNAL) is IdentityKind.EXTERNAL
        and (one.arn in known or one.arn in named or _may_use(one, identities, requests))
    ]


def _requests(model: ReviewModel) -> list[tuple[str, str]]:
    """Returns the actions and resources of the operations for every tenant."""
    tenants = dict.fromkeys(tenant_of(one) for one in model.of_type(INTERPRETER))
    found = (
        (operation.action, operation.arn(subject, tenant))
        for tenant in tenants
        for operation in OPERATIONS
        for subject in operation.subjects(model, tenant)
    )
    return list(dict.fromkeys(found))


def _may_use(one: AccountIdentity, identities: AccountIdentities, requests: list[tuple[str, str]]) -> bool:
    keys = {"aws:PrincipalArn": one.arn, "aws:PrincipalAccount": one.arn.split(":")[4]}
    tags = {f"aws:PrincipalTag/{tag['Key']}": tag["Value"] for tag in one.properties["Tags"]}
    context = Context.from_keys({**keys, **tags})
    for holder in identities.with_groups([one]):
        documents: list[Any] = [policy["PolicyDocument"] for policy in holder.properties["Policies"]]
        for document in (*documents, *holder.managed.values()):
            if document is None or _may_allow(document, requests, context):
                return True
    return False


def _may_allow(document: dict[str, Any], requests: list[tuple[str, str]], context: Context) -> bool:
    try:
        statements = parse_policy("an identity", PolicyKind.IDENTITY, document).statements
    except PolicyError:
        return True
    return any(
        one.effect is Effect.ALLOW and one.matches_action(action) and one.matches_resource(arn, context)
        for one in statements
        for action, arn in requests
    )


def existing_roles(identities: AccountIdentities, sources: Iterable[TemplateSource]) -> list[AccountIdentity]:
    """Returns the roles of programs that no stack contains. The permissions of code are theirs."""
    own = {name for one in sources for name in one.physical_ids.values()}
    arns = (
        as_mapping(entry.get("Properties")).get(PROGRAM_ROLES[entry["Type"]])
        for one in sources
        for entry in one.resources.values()
        if entry["Type"] in PROGRAM_ROLES
    )
    roles = (identities.by_arn.get(arn) for arn in dict.fromkeys(arn for arn in arns if isinstance(arn, str)))
    return [one for one in roles if one is not None and one.name not in own]


def identities_with_access(
    matrices: Sequence[TenantMatrix], identities: Iterable[AccountIdentity], named: Collection[str]
) -> Iterator[Occurrence]:
    """Yields one occurrence for each identity with access, with the operations of every tenant.

    Args:
        matrices: The access matrices.
        identities: The identities of the account in them.
        named: The ARNs that the environment names: they are expected to use it, and not to change it.
    """
    rows = [(matrix, row.address, cells) for matrix in matrices for row, cells in matrix.rows]
    for one in identities:
        allowed = [
            (matrix.tenant, title, cell)
            for matrix, address, cells in rows
            if address == one.arn
            for title, cell in zip(matrix.operations, cells, strict=True)
            if cell.access is not Access.DENIED and (title in CHANGES or one.arn not in named)
        ]
        if allowed:
            titles = dict.fromkeys(title for _, title, _ in allowed)
            evidence = [f"tenant {tenant}: {title}: {cell.reason}" for tenant, title, cell in allowed]
            if unknown := [arn for arn, document in one.managed.items() if document is None]:
                evidence.append(f"not known, and therefore assumed to allow everything: {', '.join(unknown)}")
            severity = Severity.HIGH if OBJECTS & titles.keys() else None
            message = f"{one.arn} can {', '.join(titles)}"
            yield Occurrence(Location("account", address=one.arn), message, tuple(evidence), severity)
