"""The KMS key of an environment with `data_bucket.key: own`: its policy, and its use in other stacks.

The key encrypts the data bucket, the workflows with their executions, the variables of functions, all log groups, and
the log files of the audit trail.
Other stacks read its ARN from an SSM parameter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_ssm as ssm

from sandpiper.names import audit_trail_name, data_bucket_name, data_key_parameter, role_name_pattern, stack_name
from sandpiper_constructs.audit_trail import trail_arn, trail_key_statements
from sandpiper_constructs.interpreter_logs import LOG_GROUP_FOLDER
from sandpiper_constructs.key_statements import KEY_MANAGEMENT, STATE_MACHINE_CONTEXT
from sandpiper_constructs.removal import removal_policy
from sandpiper_contract.aws import dns_suffix_of, partition_of

if TYPE_CHECKING:
    from sandpiper.environment import Environment

LOG_ACTIONS = (
    *("kms:Encrypt", "kms:Decrypt", "kms:ReEncryptFrom", "kms:ReEncryptTo"),
    *("kms:GenerateDataKey", "kms:GenerateDataKeyWithoutPlaintext", "kms:DescribeKey"),
)
"""Actions of CloudWatch Logs on the key of a log group.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html
"""


def has_own_key(environment: Environment) -> bool:
    """Returns whether the environment creates a key."""
    return environment.data_bucket.key == "own"


def create_data_key(stack: cdk.Stack, environment: Environment) -> kms.IKey:
    """Creates the key and the SSM parameter with its ARN."""
    key = kms.Key(
        stack,
        "DataKey",
        description=f"Sandpiper {environment.name}: data of all tenants",
        enable_key_rotation=True,
        policy=_key_policy(stack, environment),
        removal_policy=removal_policy(retain=environment.data_bucket.retain),
    )
    ssm.StringParameter(
        stack,
        "DataKeyArn",
        parameter_name=data_key_parameter(environment.name),
        description="ARN of the KMS key of the data bucket, for tenant stacks",
        string_value=key.key_arn,
    )
    return cast("kms.IKey", key)


def data_key_arn(stack: cdk.Stack, environment: Environment) -> str:
    """Returns the ARN of the environment's key as a parameter of another stack."""
    return ssm.StringParameter.value_for_string_parameter(stack, data_key_parameter(environment.name))


def import_own_key(stack: cdk.Stack, environment: Environment) -> kms.IKey | None:
    """Returns the environment's key for use in another stack, or None if the environment creates no key."""
    if not has_own_key(environment):
        return None
    return kms.Key.from_key_arn(stack, "DataKey", data_key_arn(stack, environment))


def _key_policy(stack: cdk.Stack, environment: Environment) -> iam.PolicyDocument:
    """Returns a key policy that lets IAM policies grant management of the key, and its use for this environment only.

    The default policy of KMS also allows use for any purpose. Each statement on use names the encryption context that
    the service sets, so that the key decrypts only what the service has encrypted for this environment.
    https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-default.html

    The roles of workflows and functions use the key themselves. All others use it through the service.
    https://docs.aws.amazon.com/step-functions/latest/dg/encryption-at-rest.html
    https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars-encryption.html

    CloudWatch Logs and its log delivery are services without a role.
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html
    """
    region, suffix = environment.region, stack.url_suffix
    prefix = stack_name(environment.name, "")
    arn = f"arn:{stack.partition}"
    here = f"{region}:{environment.account}"
    bucket = f"{arn}:s3:::" + data_bucket_name(environment.name, environment.account, region)
    workflows = {STATE_MACHINE_CONTEXT: f"{arn}:states:{here}:stateMachine:{prefix}*"}
    functions = {
        "kms:EncryptionContext:aws:lambda:FunctionArn": (
            f"{arn}:lambda:{here}:function:{role_name_pattern(environment.name)}"
        )
    }
    folders = ("", "/aws/vendedlogs/states/", LOG_GROUP_FOLDER)
    log_groups = [f"{arn}:logs:{here}:log-group:{folder}{prefix}*" for folder in folders]
    delivery = {"StringEquals": {"kms:EncryptionContext:SourceArn": f"{arn}:logs:{here}:*"}}
    via_lambda = {"StringEquals": {"kms:ViaService": f"lambda.{region}.{suffix}"}}
    account = iam.AccountRootPrincipal()
    logs = iam.ServicePrincipal(f"logs.{region}.{dns_suffix_of(partition_of(region))}")
    log_delivery = iam.ServicePrincipal("delivery.logs.amazonaws.com")
    rows: tuple[tuple[str, Any, tuple[str, ...], dict[str, Any]], ...] = (
        ("Manage", account, KEY_MANAGEMENT, {}),
        (
            "UseForTheDataBucket",
            account,
            ("kms:Decrypt", "kms:GenerateDataKey"),
            {
                "StringEquals": {"kms:ViaService": f"s3.{region}.{suffix}"},
                "ArnLike": {"kms:EncryptionContext:aws:s3:arn": [bucket, f"{bucket}/*"]},
            },
        ),
        ("UseForWorkflows", account, ("kms:Decrypt", "kms:GenerateDataKey"), {"ArnLike": workflows}),
        ("UseForFunctions", account, ("kms:Decrypt",), {"ArnLike": functions}),
        ("DeployFunctions", account, ("kms:Encrypt", "kms:GenerateDataKey"), {**via_lambda, "ArnLike": functions}),
        (
            "GrantToFunctions",
            account,
            ("kms:CreateGrant",),
            {**via_lambda, "Bool": {"kms:GrantIsForAWSResource": "true"}},
        ),
        ("UseForLogGroups", logs, LOG_ACTIONS, {"ArnLike": {"kms:EncryptionContext:aws:logs:arn": log_groups}}),
        ("SendLogsOfWorkflows", account, ("kms:GenerateDataKey",), delivery),
        ("DeliverLogsOfWorkflows", log_delivery, ("kms:Decrypt",), delivery),
    )
    return iam.PolicyDocument(
        statements=[
            iam.PolicyStatement(
                sid=sid,
                principals=[cast("iam.IPrincipal", principal)],
                actions=list(actions),
                resources=["*"],
                conditions=conditions,
            )
            for sid, principal, actions, conditions in rows
        ]
        + _trail_statements(stack, environment)
    )


def _trail_statements(stack: cdk.Stack, environment: Environment) -> list[iam.PolicyStatement]:
    """Returns the statements for the audit trail, if the environment creates one."""
    if environment.own_trail is None:
        return []
    via_s3 = f"s3.{environment.region}.{stack.url_suffix}"
    return trail_key_statements(trail_arn(stack, audit_trail_name(environment.name)), via_s3)
