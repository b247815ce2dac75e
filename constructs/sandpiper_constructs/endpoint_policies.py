"""The policies of the VPC endpoints of a network."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from aws_cdk import Stack
from aws_cdk import aws_iam as iam

from sandpiper_contract.s3_statements import endpoint_statements

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def bucket_policy(
    stack: Stack,
    buckets: Mapping[str, Sequence[str]],
    read_only: Mapping[str, Sequence[str]],
    tenants: Mapping[str, Sequence[str]],
) -> iam.PolicyDocument:
    """Returns the policy of the S3 endpoint: the buckets or folders of each account, for this account's principals.

    Only the keys of `buckets` and `read_only` can be listed. Without any bucket the policy denies everything, because
    an endpoint without a policy allows everything.

    The principal in the policy of a gateway endpoint must be `*`. Conditions limit it.
    https://docs.aws.amazon.com/vpc/latest/privatelink/vpc-endpoints-access.html
    """
    allowed = endpoint_statements(stack.partition, stack.account, buckets, read_only, tenants)
    statements = [iam.PolicyStatement.from_json(statement) for statement in allowed]
    all_principals = [cast("iam.IPrincipal", iam.StarPrincipal())]
    deny_all = iam.PolicyStatement(effect=iam.Effect.DENY, principals=all_principals, actions=["s3:*"], resources=["*"])
    return iam.PolicyDocument(statements=statements or [deny_all])


def own_account_policy(account: str) -> iam.PolicyDocument:
    """Returns the policy of interface endpoints: this account's principals, on resources of this account or of AWS.

    A request for a resource that belongs to no account, such as a foundation model, has no `aws:ResourceAccount`.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
    """
    return iam.PolicyDocument(
        statements=[
            iam.PolicyStatement(
                principals=[cast("iam.IPrincipal", iam.StarPrincipal())],
                actions=["*"],
                resources=["*"],
                conditions={
                    "StringEquals": {"aws:PrincipalAccount": account},
                    "StringEqualsIfExists": {"aws:ResourceAccount": account},
                },
            )
        ]
    )
