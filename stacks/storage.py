"""The storage stack of an environment. It is separate, so that tenant stacks can be replaced and deleted independently.

Tenant stacks refer to the bucket by name and to the KMS key by an SSM parameter. They use no exports, which
CloudFormation does not change while they are in use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import aws_cdk as cdk
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3

from sandpiper.environment.lifecycle import expiration_days
from sandpiper.environment.object_access import object_access
from sandpiper.names import STORAGE, data_bucket_name, stack_name, tenant_prefix
from sandpiper_constructs.bucket_folder import BucketFolder
from sandpiper_constructs.data_bucket import DataBucket
from stacks.data_key import create_data_key, data_key_arn, has_own_key

if TYPE_CHECKING:
    from constructs import Construct

    from sandpiper.environment import Environment


class StorageStack(cdk.Stack):
    """Creates one bucket with a folder for each tenant, and its KMS key. It is not used with an existing bucket."""

    def __init__(self, scope: Construct, *, environment: Environment) -> None:
        """Creates the stack.

        Args:
            scope: the app.
            environment: the validated environment file.
        """
        super().__init__(
            scope,
            stack_name(environment.name, STORAGE),
            env=cdk.Environment(account=environment.account, region=environment.region),
            description=f"Sandpiper {environment.name}: data of all tenants",
            termination_protection=environment.termination_protection,
        )
        options = environment.data_bucket
        days = options.retention_days
        DataBucket(
            self,
            "DataBucket",
            name=data_bucket_name(environment.name, environment.account, environment.region),
            retain=options.retain,
            key=self._key(environment),
            access_log_days=days.access_logs,
            old_version_days=days.old_versions,
            expiration_days=expiration_days(environment),
            object_access=object_access(environment),
        )

    def _key(self, environment: Environment) -> kms.IKey | None:
        """Returns the bucket's KMS key, and creates it for `key: own`."""
        options = environment.data_bucket
        if options.key == "aws":
            return None
        if not has_own_key(environment):
            return kms.Key.from_key_arn(self, "DataKey", options.key)
        return create_data_key(self, environment)


def data_folder(stack: cdk.Stack, environment: Environment, tenant: str) -> BucketFolder:
    """Returns the tenant's folder in the environment's bucket, for use in another stack."""
    options = environment.data_bucket
    name = options.name or data_bucket_name(environment.name, environment.account, environment.region)
    key_arn = None if options.key == "aws" else options.key
    if has_own_key(environment):
        key_arn = data_key_arn(stack, environment)
    bucket = s3.Bucket.from_bucket_name(stack, "DataBucket", name)
    return BucketFolder(bucket=bucket, path=tenant_prefix(tenant), key_arn=key_arn)
