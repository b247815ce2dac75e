"""The bucket of inputs and outputs, and the bucket of its access logs.

The buckets grant no access. The policies of roles grant access to folders, and the policy of the data bucket can limit
who has access to its objects at all.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, cast

from aws_cdk import Duration, Stack, Token
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from constructs import Construct

from sandpiper_constructs.log_bucket import MIN_TLS_VERSION, LogBucket
from sandpiper_constructs.nag_suppressions import BUCKET_KEY, BUCKET_REPLICATION, accept
from sandpiper_constructs.removal import removal_policy
from sandpiper_constructs.tokens import is_valid
from sandpiper_contract.aws import ROLE_ARN
from sandpiper_contract.bucket_policy import customer_key_statement, object_access_statements
from sandpiper_contract.settings import ACCESS_LOGS_SUFFIX

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aws_cdk import aws_kms as kms

    from sandpiper_contract.bucket_policy import ObjectAccess

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{1,56}[a-z0-9]")
INCOMPLETE_UPLOAD_DAYS = 1


class DataBucket(Construct):
    """Creates a private, encrypted, versioned bucket that requires TLS 1.2, and a second bucket for its access logs.

    Objects cannot be encrypted with a key that a request contains (SSE-C), because no other principal could read them.

    Example:
        ```python
        data = DataBucket(stack, "Data", name="claims-data-111122223333", expiration_days={"tenants/claims/runs": 90})
        folder = BucketFolder(bucket=data.bucket, path="tenants/claims")
        ```

    Attributes:
        bucket: the bucket of inputs and outputs.
        access_logs: the bucket of its access logs.

    Raises:
        ValueError: before any resource is created, for an invalid name, for a lifetime under one day, and for a role in
            `object_access` that is not the ARN of one role of the account.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002 - the parameter's name in every construct
        *,
        name: str,
        retain: bool = True,
        key: kms.IKey | None = None,
        access_log_days: int = 30,
        old_version_days: int = 30,
        expiration_days: Mapping[str, int] | None = None,
        object_access: ObjectAccess | None = None,
        events: bool = False,
    ) -> None:
        """Creates both buckets.

        Args:
            scope: parent construct.
            id: construct id, unique in its scope.
            name: the bucket's name, unique in all of AWS. The caller chooses it, so that other stacks need no
                export. A name that contains a token, such as `Aws.ACCOUNT_ID`, is validated at deployment only.
            retain: whether both buckets stay when their stack is deleted. Otherwise CloudFormation deletes them, which
                fails if they are not empty. Default: True.
            key: KMS key of the bucket. Default: SSE-S3, which the access logs always use because S3 does not deliver
                logs to a bucket with a customer managed key.
            access_log_days: lifetime of access logs. Default: 30.
            old_version_days: how long an overwritten or deleted object, or access log, can be restored. Default: 30.
            expiration_days: lifetime of objects in days by folder, such as `tenants/claims/runs`. Default: no
                expiration.
            object_access: the principals that can have access to objects. The bucket's policy denies it to all others.
                Default: all principals whose own policies allow it.
            events: whether S3 sends an event to EventBridge for each object that is written or deleted. AWS bills each
                event. Default: False.
        """
        lifetimes = dict(expiration_days or {})
        if not is_valid(_NAME, name):
            raise ValueError(
                f"name is {name!r}; allowed: 3 to 58 of a-z 0-9 and hyphens, because the log bucket's name adds 5"
            )
        days_by_option = {"access_log_days": access_log_days, "old_version_days": old_version_days, **lifetimes}
        for option, days in days_by_option.items():
            if days < 1:
                raise ValueError(f"{option} is {days}; allowed: whole days, 1 or more")
        if object_access is not None:
            _require_roles(object_access, Stack.of(scope).account)
        super().__init__(scope, id)
        # Log delivery needs a bucket policy, because BUCKET_OWNER_ENFORCED disables ACLs. In the CDK this is a feature
        # flag, which an older app may not set.
        self.node.set_context("@aws-cdk/aws-s3:serverAccessLogsUseBucketPolicy", True)

        self.access_logs = LogBucket(
            self,
            "AccessLogs",
            name=name + ACCESS_LOGS_SUFFIX,
            expiration_days=access_log_days,
            old_version_days=old_version_days,
            retain=retain,
        )
        self.bucket = s3.Bucket(
            self,
            "Data",
            bucket_name=name,
            encryption=s3.BucketEncryption.S3_MANAGED if key is None else s3.BucketEncryption.KMS,
            encryption_key=key,
            # With a bucket key, S3 calls KMS once for many objects.
            bucket_key_enabled=True if key else None,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            enforce_ssl=True,
            minimum_tls_version=MIN_TLS_VERSION,
            versioned=True,
            removal_policy=removal_policy(retain=retain),
            server_access_logs_bucket=cast("s3.IBucket", self.access_logs),
            lifecycle_rules=[
                s3.LifecycleRule(
                    id="Leftovers",
                    noncurrent_version_expiration=Duration.days(old_version_days),
                    abort_incomplete_multipart_upload_after=Duration.days(INCOMPLETE_UPLOAD_DAYS),
                ),
                *(
                    s3.LifecycleRule(id=folder, prefix=f"{folder}/", expiration=Duration.days(days))
                    for folder, days in lifetimes.items()
                ),
            ],
        )
        if events:
            # The CDK's `event_bridge_enabled` would deploy a function for this property.
            resource = cast("s3.CfnBucket", self.bucket.node.default_child)
            configuration = s3.CfnBucket.EventBridgeConfigurationProperty(event_bridge_enabled=True)
            resource.notification_configuration = s3.CfnBucket.NotificationConfigurationProperty(
                event_bridge_configuration=configuration
            )
        no_replica = (
            "Old versions restore objects. A replica would be a second copy of data, with separate access rules."
        )
        no_key = "Without a key, S3 encrypts objects with keys of AWS (SSE-S3)."
        accept(self.bucket, {BUCKET_REPLICATION: no_replica, **({BUCKET_KEY: no_key} if key is None else {})})
        stack, arn = Stack.of(self), self.bucket.bucket_arn
        statements = [customer_key_statement(arn)]
        if object_access is not None:
            roles = f"arn:{stack.partition}:iam::{stack.account}:role/"
            statements += object_access_statements(arn, roles, object_access)
        for statement in statements:
            self.bucket.add_to_resource_policy(iam.PolicyStatement.from_json(statement))
        if self.bucket.policy is not None:  # a retained bucket must still require TLS
            self.bucket.policy.apply_removal_policy(removal_policy(retain=retain))


def _require_roles(access: ObjectAccess, account: str) -> None:
    """Raises ValueError for a value that is not one role: a pattern in a condition could match every identity."""
    named = (*access.readers, *access.writers, *access.administrators, *access.execution_roles)
    for arn in named:
        match = re.fullmatch(ROLE_ARN, arn)
        is_in_account = match is not None and (Token.is_unresolved(account) or match[1] == account)
        if not (Token.is_unresolved(arn) or is_in_account) or named.count(arn) > 1:
            raise ValueError(
                f"object_access names {arn!r}; allowed: ARNs of roles of the account, without wildcards, each once"
            )
