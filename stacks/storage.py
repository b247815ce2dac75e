"""The stack of an environment's data, apart from the tenants' so that theirs can be replaced and deleted freely.

Tenants know the bucket by its name and the key by a parameter, not by exports, which CloudFormation refuses to change
while they are in use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import aws_cdk as cdk
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_ssm as ssm

from sandpiper.names import STORAGE, data_bucket_name, data_key_parameter, stack_name, tenant_folder
from sandpiper_constructs.bucket_folder import BucketFolder
from sandpiper_constructs.data_bucket import DataBucket
from sandpiper_contract import settings

if TYPE_CHECKING:
    from constructs import Construct

    from sandpiper.environment import Environment


class StorageStack(cdk.Stack):
    """One bucket for all tenants, each in its own folder. Nothing to deploy where the bucket exists."""

    def __init__(self, scope: Construct, *, environment: Environment) -> None:
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
            expire_days=_lifetimes(environment),
            passing=[
                f"{tenant_folder(name)}/{settings.SANDBOX}/{key}/{settings.STAGING}"
                for name, tenant in environment.all_tenants.items()
                for key in tenant.interpreters
            ],
        )

    def _key(self, environment: Environment) -> kms.IKey | None:
        """The key that the environment wants, told to the tenants where it is made here."""
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
            removal_policy=cdk.RemovalPolicy.RETAIN if options.retain else cdk.RemovalPolicy.DESTROY,
        )
        ssm.StringParameter(
            self,
            "DataKeyArn",
            parameter_name=data_key_parameter(environment.name),
            description="The KMS key of the data bucket, for the stacks of the tenants",
            string_value=key.key_arn,
        )
        return cast("kms.IKey", key)


def _lifetimes(environment: Environment) -> dict[str, int]:
    """Days by folder. What nothing is said of lives for ever."""
    days = environment.data_bucket.retention_days
    parts = {settings.RUNS: days.runs, settings.INPUTS: days.inputs, settings.SANDBOX: days.sandbox}
    return {
        f"{tenant_folder(tenant)}/{part}": lifetime
        for tenant in environment.all_tenants
        for part, lifetime in parts.items()
        if lifetime is not None
    }


def data_folder(stack: cdk.Stack, environment: Environment, tenant: str) -> BucketFolder:
    """The tenant's folder in the environment's bucket, as a stack of its own speaks of it."""
    options = environment.data_bucket
    name = options.name or data_bucket_name(environment.name, environment.account, environment.region)
    key_arn = None if options.key == "aws" else options.key
    if options.key == "own":
        key_arn = ssm.StringParameter.value_for_string_parameter(stack, data_key_parameter(environment.name))
    bucket = s3.Bucket.from_bucket_name(stack, "DataBucket", name)
    return BucketFolder(bucket=bucket, path=tenant_folder(tenant), key_arn=key_arn)
