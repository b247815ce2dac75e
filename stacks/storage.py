"""The storage stack of an environment. It is separate, so that tenant stacks can be replaced and deleted independently.

Tenant stacks refer to the bucket by name and to the KMS key by an SSM parameter. They use no exports, which
CloudFormation does not change while they are in use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_ssm as ssm

from sandpiper.environment.object_access import object_access
from sandpiper.names import STORAGE, data_bucket_name, data_key_parameter, stack_name, tenant_prefix
from sandpiper_constructs.bucket_folder import BucketFolder
from sandpiper_constructs.data_bucket import DataBucket
from sandpiper_contract import settings

if TYPE_CHECKING:
    from constructs import Construct

    from sandpiper.environment import Environment

KEY_MANAGEMENT = tuple(
    f"kms:{name}"
    for name in (
        *("DescribeKey", "UpdateKeyDescription", "EnableKey", "DisableKey"),
        *("GetKeyPolicy", "PutKeyPolicy", "ListKeyPolicies"),
        *("EnableKeyRotation", "DisableKeyRotation", "GetKeyRotationStatus", "ListKeyRotations", "RotateKeyOnDemand"),
        *("CreateAlias", "UpdateAlias", "DeleteAlias", "ListGrants", "RevokeGrant"),
        *("TagResource", "UntagResource", "ListResourceTags", "ScheduleKeyDeletion", "CancelKeyDeletion"),
    )
)
"""Actions that manage the data bucket's key. None of them reads or writes data."""


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
            expiration_days=_expiration_days(environment),
            object_access=object_access(environment),
        )

    def _key(self, environment: Environment) -> kms.IKey | None:
        """Returns the bucket's KMS key. The ARN of a key that is created here is stored in an SSM parameter."""
        options = environment.data_bucket
        if options.key == "aws":
            return None
        if options.key != "own":
            return kms.Key.from_key_arn(self, "DataKey", options.key)
        key = kms.Key(
            self,
            "DataKey",
            description=f"Sandpiper {environment.name}: data of all tenants",
            enable_key_rotation=True,
            policy=_key_policy(self, environment),
            removal_policy=(
                cdk.RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE if options.retain else cdk.RemovalPolicy.DESTROY
            ),
        )
        ssm.StringParameter(
            self,
            "DataKeyArn",
            parameter_name=data_key_parameter(environment.name),
            description="ARN of the KMS key of the data bucket, for tenant stacks",
            string_value=key.key_arn,
        )
        return cast("kms.IKey", key)


def _key_policy(stack: cdk.Stack, environment: Environment) -> iam.PolicyDocument:
    """Returns a key policy that lets IAM policies grant management of the key, and its use through S3 for this bucket.

    The default policy of KMS also allows direct use for any purpose. `kms:CreateGrant`, which delegates the use of the
    key, is not allowed.
    https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-default.html
    """
    account = cast("iam.IPrincipal", iam.AccountRootPrincipal())
    bucket = f"arn:{stack.partition}:s3:::" + data_bucket_name(
        environment.name, environment.account, environment.region
    )
    return iam.PolicyDocument(
        statements=[
            iam.PolicyStatement(sid="Manage", principals=[account], actions=list(KEY_MANAGEMENT), resources=["*"]),
            iam.PolicyStatement(
                sid="UseForTheDataBucket",
                principals=[account],
                actions=["kms:Decrypt", "kms:GenerateDataKey"],
                resources=["*"],
                conditions={
                    "StringEquals": {"kms:ViaService": f"s3.{environment.region}.{stack.url_suffix}"},
                    "ArnLike": {"kms:EncryptionContext:aws:s3:arn": [bucket, f"{bucket}/*"]},
                },
            ),
        ]
    )


def _expiration_days(environment: Environment) -> dict[str, int]:
    """Returns the lifetime of objects in days by folder. Other objects do not expire."""
    days = environment.data_bucket.retention_days
    parts = {settings.RUNS: days.runs, settings.INPUTS: days.inputs, settings.SANDBOX: days.sandbox}
    by_folder = {
        f"{tenant_prefix(tenant)}/{part}": lifetime
        for tenant in environment.all_tenants
        for part, lifetime in parts.items()
        if lifetime is not None
    }
    return by_folder | {tenant_prefix(tenant): lifetime for tenant, lifetime in days.removed_tenants.items()}


def data_folder(stack: cdk.Stack, environment: Environment, tenant: str) -> BucketFolder:
    """Returns the tenant's folder in the environment's bucket, for use in another stack."""
    options = environment.data_bucket
    name = options.name or data_bucket_name(environment.name, environment.account, environment.region)
    key_arn = None if options.key == "aws" else options.key
    if options.key == "own":
        key_arn = ssm.StringParameter.value_for_string_parameter(stack, data_key_parameter(environment.name))
    bucket = s3.Bucket.from_bucket_name(stack, "DataBucket", name)
    return BucketFolder(bucket=bucket, path=tenant_prefix(tenant), key_arn=key_arn)
