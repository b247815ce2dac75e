"""The bucket of inputs and outputs, and the bucket of its access logs.

Not who may read it: each role's own policy says that, by folder.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import aws_cdk as cdk
from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_s3 as s3
from constructs import Construct

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from aws_cdk import aws_kms as kms

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{1,56}[a-z0-9]")
LOGS_SUFFIX = "-logs"
UNFINISHED_UPLOADS_DAYS = 1
PASSING_DAYS = 1
"""How long what passes through a folder lives there at most, and then how long its old versions do."""


class DataBucket(Construct):
    """A private, encrypted, versioned bucket that answers over TLS alone, and a second one for its access logs.

    The name is the caller's, so that other stacks know it without an export; it must be free in all of AWS. One with a
    token in it, such as `Aws.ACCOUNT_ID`, is first looked at when it is deployed. `retain`
    keeps both buckets when the stack goes. Without it, CloudFormation deletes them if they are empty, and fails
    otherwise: nothing here empties a bucket.

    Raises ValueError, before any resource, for a name that S3 would refuse or a time under a day.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002 - the name that constructs have for it
        *,
        name: str,
        retain: bool = True,
        key: kms.IKey | None = None,
        access_log_days: int = 30,
        old_version_days: int = 30,
        expire_days: Mapping[str, int] | None = None,
        passing: Sequence[str] = (),
    ) -> None:
        """`key` encrypts it, or S3's own key does; its access logs have S3's, since S3 delivers to no other.

        `old_version_days` is how long an overwritten or deleted object can be brought back.
        `expire_days` maps a folder, such as `tenants/claims/runs`, to the days that its objects live.
        `passing` are folders through which objects only pass: nothing of them is kept longer than it must.
        """
        lifetimes = dict(expire_days or {})
        if not cdk.Token.is_unresolved(name) and not _NAME.fullmatch(name):
            raise ValueError(f"name is {name!r}; allowed: 3 to 58 of a-z 0-9 and hyphens, since the logs' adds 5")
        times = {"access_log_days": access_log_days, "old_version_days": old_version_days, **lifetimes}
        for place, days in times.items():
            if days < 1:
                raise ValueError(f"{place} is {days}; allowed: whole days, 1 or more")
        super().__init__(scope, id)
        # Logs are delivered under a bucket policy, since an ACL would contradict the owner's enforcement. The CDK has
        # this behind a flag that an older app may not set.
        self.node.set_context("@aws-cdk/aws-s3:serverAccessLogsUseBucketPolicy", True)

        # A first deployment that fails takes its empty buckets along: their names would be in the way of the second.
        removal_policy = RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE if retain else RemovalPolicy.DESTROY
        logs = s3.Bucket(
            self,
            "AccessLogs",
            bucket_name=name + LOGS_SUFFIX,
            encryption=s3.BucketEncryption.S3_MANAGED,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            enforce_ssl=True,
            removal_policy=removal_policy,
            lifecycle_rules=[s3.LifecycleRule(id="AccessLogs", expiration=Duration.days(access_log_days))],
        )
        self.bucket = s3.Bucket(
            self,
            "Data",
            bucket_name=name,
            encryption=s3.BucketEncryption.S3_MANAGED if key is None else s3.BucketEncryption.KMS,
            encryption_key=key,
            # One call to KMS for many objects, not one for each.
            bucket_key_enabled=True if key else None,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            enforce_ssl=True,
            versioned=True,
            removal_policy=removal_policy,
            server_access_logs_bucket=logs,
            lifecycle_rules=[
                s3.LifecycleRule(
                    id="Leftovers",
                    noncurrent_version_expiration=Duration.days(old_version_days),
                    abort_incomplete_multipart_upload_after=Duration.days(UNFINISHED_UPLOADS_DAYS),
                ),
                *(
                    s3.LifecycleRule(id=folder, prefix=f"{folder}/", expiration=Duration.days(days))
                    for folder, days in lifetimes.items()
                ),
                *(
                    s3.LifecycleRule(
                        id=folder,
                        prefix=f"{folder}/",
                        expiration=Duration.days(PASSING_DAYS),
                        noncurrent_version_expiration=Duration.days(PASSING_DAYS),
                    )
                    for folder in passing
                ),
            ],
        )
        for bucket in (logs, self.bucket):
            if bucket.policy is not None:  # a bucket that stays goes on refusing what is not TLS
                bucket.policy.apply_removal_policy(removal_policy)
