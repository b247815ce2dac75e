"""Questions about who can reach objects of a data bucket."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandpiper.names import SESSION_FUNCTION_ROLE, TENANTS_PREFIX, role_name_pattern
from sandpiper.review.proofs.question import Question
from sandpiper.review.proofs.subjects import (
    administrator,
    any_role_of,
    data_buckets,
    facts_of,
    interpreters,
    session_of,
    tags_of,
)
from sandpiper_contract.aws import ENVIRONMENT_TAG, partition_of
from sandpiper_contract.settings import INPUTS, RECORD_NAME, RUNS
from sandpiper_policy.evaluate import Policies
from sandpiper_policy.proofs.claims import ACTION, RESOURCE, Claim, Restriction

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandpiper.review.model import ReviewModel
    from sandpiper.review.resources import Resource
    from sandpiper_policy.model.identities import Identity

ANY_TENANT = "any-tenant"
"""A name that no policy contains. It stands for all tenants."""


ALL_S3 = Restriction(ACTION, ("s3:*",))
NO_READS = Restriction(ACTION, ("s3:Get*", "s3:List*", "s3:Describe*"), excluded=True)
NO_OBJECT_READS = Restriction(ACTION, ("s3:GetObject*", "s3:ListMultipartUploadParts"), excluded=True)


def _on_bucket(model: ReviewModel, identity: Identity, bucket: Resource, *restrictions: Restriction) -> Claim:
    """Returns the claim that an identity is allowed no such request on the objects of a bucket."""
    return Claim(
        model.policies.policies_for(identity, bucket.address),
        bucket.account,
        session_of(identity),
        (*restrictions, *facts_of(model, identity), Restriction("aws:ResourceAccount", (bucket.account,))),
    )


def _own_folder(bucket: Resource, tenant: str) -> str:
    return f"{bucket.arn}/{TENANTS_PREFIX}/{tenant}"


def no_writes_outside(model: ReviewModel) -> Iterator[Question]:
    """Yields a claim for each role and bucket: code writes nothing outside of its tenant's folder."""
    for bucket in data_buckets(model):
        for one in interpreters(model):
            own = f"{_own_folder(bucket, one.tenant)}/*"
            claim = _on_bucket(
                model,
                one.role,
                bucket,
                ALL_S3,
                NO_READS,
                Restriction(RESOURCE, (f"{bucket.arn}/*",)),
                Restriction(RESOURCE, (own,), excluded=True),
            )
            yield Question(
                one.role.address, f"code writes and deletes no object outside of {own}", claim, one.role.managed_arns
            )


def no_other_tenant(model: ReviewModel) -> Iterator[Question]:
    """Yields a claim for each role and bucket: code reaches no object of another tenant."""
    for bucket in data_buckets(model):
        for one in interpreters(model):
            claim = _on_bucket(
                model,
                one.role,
                bucket,
                ALL_S3,
                Restriction(RESOURCE, (f"{bucket.arn}/{TENANTS_PREFIX}/*",)),
                Restriction(RESOURCE, (f"{_own_folder(bucket, one.tenant)}/*",), excluded=True),
            )
            yield Question(
                one.role.address,
                f"code reaches no object of a tenant other than {one.tenant or '-'}",
                claim,
                one.role.managed_arns,
            )


def no_other_run(model: ReviewModel) -> Iterator[Question]:
    """Yields a claim for each role and bucket: code reaches no object of any run."""
    for bucket in data_buckets(model):
        for one in interpreters(model):
            folders = tuple(f"{_own_folder(bucket, one.tenant)}/{part}/*" for part in (RUNS, INPUTS))
            claim = _on_bucket(model, one.role, bucket, ALL_S3, Restriction(RESOURCE, folders))
            yield Question(
                one.role.address,
                "code reaches no input, result, file or record of any run with its role",
                claim,
                one.role.managed_arns,
            )


def public_without_data(model: ReviewModel) -> Iterator[Question]:
    """Yields a claim for each role with internet access and bucket: code reaches no object."""
    for bucket in data_buckets(model):
        for one in interpreters(model):
            if one.network == "PUBLIC":
                claim = _on_bucket(model, one.role, bucket, ALL_S3, Restriction(RESOURCE, (f"{bucket.arn}/*",)))
                yield Question(
                    one.role.address,
                    "code with internet access reaches no object of the data bucket",
                    claim,
                    one.role.managed_arns,
                )


def only_session_functions_write_records(model: ReviewModel) -> Iterator[Question]:
    """Yields a claim for each bucket: only session functions write idempotency records."""
    for bucket in data_buckets(model):
        policy = model.policies.resource_policy(bucket.address)
        roles = f"arn:{partition_of(bucket.region)}:iam::{bucket.account}:role/"
        functions = roles + role_name_pattern(tags_of(bucket).get(ENVIRONMENT_TAG, ""), SESSION_FUNCTION_ROLE)
        records = f"{_own_folder(bucket, ANY_TENANT)}/{RUNS}/*/{RECORD_NAME}"
        claim = Claim(
            Policies([administrator()], resource=policy),
            bucket.account,
            any_role_of(bucket.account, bucket.region),
            (
                ALL_S3,
                NO_OBJECT_READS,
                Restriction(RESOURCE, (records,)),
                Restriction("aws:PrincipalArn", (functions,), excluded=True),
            ),
            any_role=True,
        )
        yield Question(bucket.address, f"of the roles of the account, only {functions} write {records}", claim)


def no_identity_reads_tenants(model: ReviewModel) -> Iterator[Question]:
    """Yields a claim for each bucket: only the tenants' and named roles reach the objects of tenants."""
    for bucket in data_buckets(model):
        policy = model.policies.resource_policy(bucket.address)
        roles = f"arn:{partition_of(bucket.region)}:iam::{bucket.account}:role/"
        tenants = roles + role_name_pattern(tags_of(bucket).get(ENVIRONMENT_TAG, ""))
        claim = Claim(
            Policies([administrator()], resource=policy),
            bucket.account,
            any_role_of(bucket.account, bucket.region),
            (
                ALL_S3,
                Restriction(RESOURCE, (f"{bucket.arn}/{TENANTS_PREFIX}/*",)),
                Restriction("aws:PrincipalArn", (tenants, *_named_roles(model, bucket)), excluded=True),
            ),
            any_role=True,
        )
        yield Question(
            bucket.address,
            f"no role of the account, an administrator's included, reaches objects of tenants, except {tenants} and "
            "those that the environment file names",
            claim,
        )


def _named_roles(model: ReviewModel, bucket: Resource) -> tuple[str, ...]:
    """Returns the ARNs of roles, without wildcards, that the policy of a bucket exempts."""
    attached = model.policies.resource_policies.get(bucket.address, ())
    conditions = [each for policy in attached for one in policy.statements for each in one.compiled.conditions]
    values = [value for each in conditions if each.key.lower() == "aws:principalarn" for value in each.values]
    return tuple(sorted({value for value in values if "*" not in value}))
