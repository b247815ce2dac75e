"""The storage stack of an environment. It is separate, so that tenant stacks can be replaced and deleted independently.

It also contains the audit trail. The trail uses the same key, is kept as long as the data, and records from before the
first tenant is deployed. A separate stack would take the name of a tenant, and would need the key of this one.

Tenant stacks refer to the bucket by name and to the KMS key by an SSM parameter. They use no exports, which
CloudFormation does not change while they are in use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import aws_cdk as cdk
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3

from sandpiper.environment.audit import event_selectors
from sandpiper.environment.lifecycle import expiration_days
from sandpiper.environment.object_access import object_access
from sandpiper.names import STORAGE, audit_trail_name, data_bucket_name, stack_name, tenant_prefix
from sandpiper_constructs.audit_trail import AuditTrail
from sandpiper_constructs.bucket_folder import BucketFolder
from sandpiper_constructs.data_bucket import DataBucket
from sandpiper_constructs.log_bucket import LogBucket
from sandpiper_contract.settings import ACCESS_LOGS_SUFFIX, AUDIT_SUFFIX
from stacks.data_key import create_data_key, data_key_arn, has_own_key

if TYPE_CHECKING:
    from constructs import Construct

    from sandpiper.environment import Environment


class StorageStack(cdk.Stack):
    """Creates one bucket with a folder for each tenant, its KMS key, and the audit trail.

    With an existing bucket, it contains the audit trail only, and without a trail it is not used.
    """

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
        if options.name is None:
            key = self._key(environment)
            access_logs = self._data_bucket(environment, key)
        else:
            key, access_logs = None, self._access_logs(environment)
        trail = environment.own_trail
        if trail is None:
            return
        bucket_name = data_bucket_name(environment.name, environment.account, environment.region)
        AuditTrail(
            self,
            "Audit",
            name=audit_trail_name(environment.name),
            bucket_name=bucket_name + AUDIT_SUFFIX,
            selectors=event_selectors(environment),
            access_logs=access_logs,
            # The policy of an existing key may not allow CloudTrail, which would fail the deployment.
            key=key if has_own_key(environment) else None,
            retention_days=trail.retention_days,
            old_version_days=options.retention_days.old_versions,
            retain=options.retain,
        )

    def _data_bucket(self, environment: Environment, key: kms.IKey | None) -> s3.IBucket:
        """Creates the data bucket. Returns the bucket of its access logs."""
        options = environment.data_bucket
        days = options.retention_days
        created = DataBucket(
            self,
            "DataBucket",
            name=data_bucket_name(environment.name, environment.account, environment.region),
            retain=options.retain,
            key=key,
            access_log_days=days.access_logs,
            old_version_days=days.old_versions,
            expiration_days=expiration_days(environment),
            events=options.events,
            object_access=object_access(environment),
        )
        return cast("s3.IBucket", created.access_logs)

    def _access_logs(self, environment: Environment) -> s3.IBucket:
        """Creates a bucket for the access logs of the audit trail. An existing data bucket has its own."""
        days = environment.data_bucket.retention_days
        name = data_bucket_name(environment.name, environment.account, environment.region) + ACCESS_LOGS_SUFFIX
        return cast(
            "s3.IBucket",
            LogBucket(
                self,
                "AccessLogs",
                name=name,
                expiration_days=days.access_logs,
                old_version_days=days.old_versions,
                retain=environment.data_bucket.retain,
            ),
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
