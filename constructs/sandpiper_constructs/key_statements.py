"""Statements on KMS keys: their management, and their use by the roles of logs, functions and workflows.

Each statement on use is limited by the encryption context that the service sets. The policy of the key must allow the
same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import Stack, Token
from aws_cdk import aws_iam as iam

from sandpiper_contract.aws import MIN_STACK_NAME_CHARACTERS

if TYPE_CHECKING:
    from aws_cdk import aws_kms as kms
    from constructs import Construct

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
"""Actions that manage the key. None of them reads or writes data."""
STATE_MACHINE_CONTEXT = "kms:EncryptionContext:aws:states:stateMachineArn"


def function_key_statement(scope: Construct, key: kms.IKey) -> iam.PolicyStatement:
    """Returns a statement that allows the role of a function to decrypt environment variables.

    The role exists before its function, so the functions of the stack are named by the start of their names.

    Lambda also creates a grant for it, with the permissions of the principal that deploys the function.
    https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars-encryption.html

    Args:
        scope: a construct in the function's stack.
        key: the key of the environment variables.
    """
    stack = Stack.of(scope)
    names = "*" if Token.is_unresolved(stack.stack_name) else f"{stack.stack_name[:MIN_STACK_NAME_CHARACTERS]}*"
    arn = f"arn:{stack.partition}:lambda:{stack.region}:{stack.account}:function:{names}"
    return _statement(key, ["kms:Decrypt"], {"ArnLike": {"kms:EncryptionContext:aws:lambda:FunctionArn": arn}})


def workflow_key_statements(scope: Construct, key: kms.IKey, state_machine_arn: str) -> list[iam.PolicyStatement]:
    """Returns statements that allow the role of a state machine to encrypt executions and deliver their log.

    Step Functions uses the role itself, so a condition on `kms:ViaService` would deny every execution.
    https://docs.aws.amazon.com/step-functions/latest/dg/encryption-at-rest.html

    Args:
        scope: a construct in the state machine's stack.
        key: the key of the state machine.
        state_machine_arn: the state machine.
    """
    stack = Stack.of(scope)
    log_groups = stack.format_arn(service="logs", resource="*")
    return [
        _statement(
            key, ["kms:Decrypt", "kms:GenerateDataKey"], {"StringEquals": {STATE_MACHINE_CONTEXT: state_machine_arn}}
        ),
        _statement(key, ["kms:GenerateDataKey"], {"StringEquals": {"kms:EncryptionContext:SourceArn": log_groups}}),
    ]


def execution_key_statement(scope: Construct, key: kms.IKey, state_machine_arn: str) -> iam.PolicyStatement:
    """Returns a statement that allows reading executions through Step Functions.

    https://docs.aws.amazon.com/step-functions/latest/apireference/API_DescribeExecution.html

    Args:
        scope: a construct in the state machine's stack.
        key: the key of the state machine.
        state_machine_arn: the state machine.
    """
    stack = Stack.of(scope)
    equal = {
        "kms:ViaService": f"states.{stack.region}.{stack.url_suffix}",
        STATE_MACHINE_CONTEXT: state_machine_arn,
    }
    return _statement(key, ["kms:Decrypt"], {"StringEquals": equal})


def _statement(key: kms.IKey, actions: list[str], conditions: dict[str, dict[str, str]]) -> iam.PolicyStatement:
    return iam.PolicyStatement(actions=actions, resources=[key.key_arn], conditions=conditions)
