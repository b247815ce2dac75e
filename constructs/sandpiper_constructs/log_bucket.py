"""The construct `LogBucket`: a private bucket for log files that an AWS service delivers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import Duration
from aws_cdk import aws_s3 as s3

from sandpiper_constructs.nag_suppressions import BUCKET_ACCESS_LOG, BUCKET_KEY, BUCKET_REPLICATION, accept
from sandpiper_constructs.removal import removal_policy

if TYPE_CHECKING:
    from constructs import Construct

MIN_TLS_VERSION = 1.2


class LogBucket(s3.Bucket):
    """Creates a private, versioned bucket that requires TLS 1.2. Its objects expire.

    A log file that was overwritten or deleted can be restored until its old version expires. Encryption is SSE-S3,
    because S3 does not deliver access logs to a bucket with a customer managed key.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002 - the parameter's name in every construct
        *,
        name: str,
        expiration_days: int,
        old_version_days: int,
        retain: bool,
        access_logs: s3.IBucket | None = None,
        access_logs_folder: str | None = None,
    ) -> None:
        """Creates the bucket.

        Args:
            scope: parent construct.
            id: construct id, unique in its scope. It is also the id of the lifecycle rule.
            name: the bucket's name.
            expiration_days: lifetime of log files.
            old_version_days: how long an overwritten or deleted log file can be restored.
            retain: whether the bucket stays when its stack is deleted.
            access_logs: the bucket for this bucket's own access logs. Default: none.
            access_logs_folder: their folder, with a trailing slash. Default: none.
        """
        super().__init__(
            scope,
            id,
            bucket_name=name,
            encryption=s3.BucketEncryption.S3_MANAGED,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            enforce_ssl=True,
            minimum_tls_version=MIN_TLS_VERSION,
            versioned=True,
            removal_policy=removal_policy(retain=retain),
            server_access_logs_bucket=access_logs,
            server_access_logs_prefix=access_logs_folder,
            lifecycle_rules=[
                s3.LifecycleRule(
                    id=id,
                    expiration=Duration.days(expiration_days),
                    noncurrent_version_expiration=Duration.days(old_version_days),
                )
            ],
        )
        accept(
            self,
            {
                BUCKET_KEY: "S3 does not deliver access logs to a bucket with a customer managed key. It uses SSE-S3.",
                BUCKET_REPLICATION: "Log files expire. Old versions restore those that were overwritten or deleted.",
                **(
                    {BUCKET_ACCESS_LOG: "Every delivery of a log would be logged again."} if access_logs is None else {}
                ),
            },
        )
        if self.policy is not None:  # a retained bucket must still require TLS
            self.policy.apply_removal_policy(removal_policy(retain=retain))
