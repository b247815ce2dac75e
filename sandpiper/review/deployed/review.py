"""Reviews an environment as it is in its account.

The rules and proofs are about the stacks, existing buckets and existing roles of code, with the policies that they have
in the account. The access matrix has the other identities of the account, too.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sandpiper.review.access.build import access_matrices
from sandpiper.review.building.build import build_model
from sandpiper.review.deployed.access import (
    existing_roles,
    identities_with_access,
    may_have_access,
    named_arns,
)
from sandpiper.review.deployed.drift import drift_of_grants, drift_of_settings
from sandpiper.review.deployed.identities import read_identities
from sandpiper.review.deployed.reading import AccountReader
from sandpiper.review.deployed.rules import BUCKET, DRIFT, IDENTITY, MISSING, NOT_READ, with_occurrences
from sandpiper.review.deployed.sources import ACCOUNT_BUCKETS, bucket_source, identity_sources, stack_source
from sandpiper.review.reading.assembly import read_assembly
from sandpiper.review.review import review_model
from sandpiper.review.rule import Occurrence
from sandpiper.review.rules import RULES
from sandpiper.status.external.bucket_policy import Bucket
from sandpiper.status.external.collect import check_bucket, existing_buckets
from sandpiper_policy.model.location import Location

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from sandpiper.plan.deployed import Account, DeployedStack
    from sandpiper.review.access.matrix import TenantMatrix
    from sandpiper.review.deployed.identities import AccountIdentities, AccountIdentity
    from sandpiper.review.deployed.reading import Unread
    from sandpiper.review.model import ReviewModel
    from sandpiper.review.reading.source import TemplateSource
    from sandpiper.review.result import Review
    from sandpiper.review.review import Target
    from sandpiper.review.rule import Rule


@dataclass(frozen=True)
class _Deployed:
    """What is deployed.

    Attributes:
        sources: The templates of the stacks, of existing buckets and of existing roles.
        existing: The roles of programs that no stack contains.
        identities: The identities of the account; None if they could not be read.
        missing: The addresses of roles of stacks that do not exist.
    """

    sources: Sequence[TemplateSource]
    existing: Sequence[AccountIdentity]
    identities: AccountIdentities | None
    missing: Sequence[str]


@dataclass(frozen=True)
class AccountState:
    """What a review of the account is about.

    Attributes:
        model: The stacks, existing buckets and existing roles of programs, with the policies of the account.
        rules: The rules, including those about the account with what they found.
        access: The access matrices, including other identities of the account.
    """

    model: ReviewModel
    rules: tuple[Rule, ...]
    access: tuple[TenantMatrix, ...]


def review_deployed(
    environment: str,
    account: Account,
    stacks: Sequence[DeployedStack],
    assembly: Target,
    progress: Callable[[str], None] = lambda _: None,
) -> Review:
    """Reviews the deployed stacks of an environment, and compares them with its cloud assembly.

    Args:
        environment: The name of the environment.
        account: The account and region.
        stacks: The deployed stacks, at least one.
        assembly: The cloud assembly, with the access that the environment file requires.
        progress: Called with a line about each step.

    Raises:
        CliError: The stacks cannot be read. Any other part that cannot be read is a finding.
    """
    state = read_account(environment, account, stacks, assembly, progress)
    return replace(review_model(state.model, progress, rules=state.rules), access=state.access)


def read_account(
    environment: str,
    account: Account,
    stacks: Sequence[DeployedStack],
    assembly: Target,
    progress: Callable[[str], None] = lambda _: None,
) -> AccountState:
    """Reads the account and compares it with the cloud assembly; see `review_deployed`."""
    reader = AccountReader(account)
    synthesized = read_assembly(assembly.path, progress, assembly.shown)
    expected = build_model(environment, synthesized)
    physical_ids = {one.name: account.physical_ids(one.name) for one in stacks}
    progress("reading identities and policies of the account")
    found = _read(reader, environment, stacks, synthesized, physical_ids)
    model = build_model(f"{environment} in account {account.target.account}", found.sources, assembly.expectations)
    outside = {one.arn for one in found.existing} | {one for one in model.by_address if one.startswith(ACCOUNT_BUCKETS)}
    occurrences: dict[str, list[Occurrence]] = defaultdict(list)
    progress("comparing the account with the assembly")
    occurrences[DRIFT] += drift_of_grants(model, expected, outside)
    occurrences[DRIFT] += drift_of_settings(reader, stacks, physical_ids)
    occurrences[DRIFT] += (Occurrence(Location("account", address=one), "the role is deleted") for one in found.missing)
    named = named_arns(synthesized)
    occurrences[MISSING] += _missing_identities(named, found.identities, account.target.account)
    occurrences[BUCKET] += _bucket_problems(account, environment, stacks)
    progress("finding identities of the account with access")
    matrices, others = _access(model, found, account, named)
    occurrences[IDENTITY] += identities_with_access(matrices, others, named)
    occurrences[NOT_READ] += map(_not_read, reader.unread)
    return AccountState(model, (*RULES, *with_occurrences(occurrences)), matrices)


def _not_read(one: Unread) -> Occurrence:
    message = f"not read: {one.part}; missing: {one.action}"
    return Occurrence(Location("account", address=one.address), message, (one.reason,))


def _read(
    reader: AccountReader,
    environment: str,
    stacks: Sequence[DeployedStack],
    synthesized: Sequence[TemplateSource],
    physical_ids: dict[str, dict[str, str]],
) -> _Deployed:
    identities = read_identities(reader)
    by_name = {one.name: one for one in synthesized}
    sources: list[TemplateSource] = []
    missing: list[str] = []
    for stack in stacks:
        source, without = stack_source(reader, stack, identities, by_name.get(stack.name), physical_ids[stack.name])
        sources.append(source)
        missing += without
    target = reader.account.target
    sources += bucket_source(reader, existing_buckets(stacks), target, environment)
    existing = [] if identities is None else existing_roles(identities, sources)
    if identities is not None:
        sources += identity_sources(identities, existing, target)
    return _Deployed(sources, existing, identities, missing)


def _missing_identities(
    named: Iterable[str], identities: AccountIdentities | None, account: str
) -> Iterator[Occurrence]:
    if identities is None:
        return
    for arn in named:
        if f"::{account}:" in arn and arn not in identities.by_arn:
            yield Occurrence(
                Location("account", address=arn), f"{arn} is named, but does not exist in account {account}"
            )


def _bucket_problems(account: Account, environment: str, stacks: Sequence[DeployedStack]) -> Iterator[Occurrence]:
    for name, tenants in existing_buckets(stacks).items():
        for one in check_bucket(account, Bucket(name, environment, account.target), tenants):
            yield Occurrence(Location("account", address=f"{ACCOUNT_BUCKETS}/{name}"), f"{one.resource} {one.problem}")


def _access(
    model: ReviewModel, found: _Deployed, account: Account, named: Collection[str]
) -> tuple[tuple[TenantMatrix, ...], list[AccountIdentity]]:
    """Returns the access matrices with the other identities of the account that may have access, and these."""
    if found.identities is None:
        return access_matrices(model), []
    others = may_have_access(model, found.identities, named)
    if others:
        sources = [*found.sources, *identity_sources(found.identities, [*found.existing, *others], account.target)]
        model = build_model(model.name, list({one.name: one for one in sources}.values()))
    return access_matrices(model), others
