"""KMS permissions for state machines with a customer managed key.

An execution needs the permissions of the state machine's role, and reading it those of the caller. MiniStack encrypts
nothing and checks neither.
"""

# MiniStack is installed in a separate environment, which the type checker does not see.
# pyright: reportMissingImports=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ministack.core.responses import error_response_json, json_response
from ministack.services import stepfunctions

from local_aws.ministack.patches import iam_roles, kms
from local_aws.settings import REGION

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Operation = Callable[[dict[str, Any]], Any]

MINISTACK_VERSION = "1.5.33"
SERVICE_PRINCIPAL = "states.amazonaws.com"
READS = (
    "_describe_execution",
    "_get_execution_history",
    "_describe_state_machine",
    "_describe_state_machine_for_execution",
)
"""MiniStack's functions for operations that return encrypted data."""
DATA = ("input", "output", "cause", "error", "definition")
"""What `includedData: METADATA_ONLY` leaves out, for which the caller needs no permission on the key.

https://docs.aws.amazon.com/step-functions/latest/apireference/API_DescribeExecution.html
"""
STARTS = ("_start_execution", "_start_sync_execution")


def install() -> None:
    """Adds the checks to MiniStack's operations."""
    for name in STARTS:
        setattr(stepfunctions, name, _with_encryption(getattr(stepfunctions, name)))
    for name in READS:
        setattr(stepfunctions, name, _checked(getattr(stepfunctions, name)))


def _with_encryption(operation: Operation) -> Operation:
    """Returns the operation that starts an execution if the role of the state machine can encrypt it.

    Step Functions uses the role itself, so that `kms:ViaService` is absent.
    https://docs.aws.amazon.com/step-functions/latest/dg/encryption-at-rest.html
    """

    def start(parameters: dict[str, Any]) -> Any:
        arn = stepfunctions._resolve_state_machine_arn(parameters.get("stateMachineArn", ""))
        machine: Mapping[str, Any] = stepfunctions._state_machines.get(arn) or {}

        def role() -> Any:
            record = iam_roles.assume_role(SERVICE_PRINCIPAL, machine["roleArn"], machine["stateMachineArn"])
            return iam_roles.session_principal(record, "encryption")

        actions = ("kms:GenerateDataKey", "kms:Decrypt")
        return _denial(role, actions, machine, machine.get("stateMachineArn", ""), {}) or operation(parameters)

    return start


def _checked(operation: Operation) -> Operation:
    def read(parameters: dict[str, Any]) -> Any:
        if parameters.get("includedData") == "METADATA_ONLY":
            status, _, body = response = operation(parameters)
            metadata = {name: value for name, value in json.loads(body).items() if name not in DATA}
            return json_response(metadata) if status == 200 else response
        execution: Mapping[str, Any] = stepfunctions._executions.get(parameters.get("executionArn", "")) or {}
        arn = execution.get("stateMachineArn") or parameters.get("stateMachineArn", "")
        record = execution or stepfunctions._state_machines.get(arn) or {}
        via = {"kms:ViaService": f"states.{REGION}.amazonaws.com"}
        return _denial(iam_roles.calling_principal, ("kms:Decrypt",), record, arn, via) or operation(parameters)

    return read


def _denial(
    principal: Callable[[], Any],
    actions: Sequence[str],
    record: Mapping[str, Any],
    state_machine_arn: str,
    condition_keys: Mapping[str, str],
) -> Any:
    """Returns the error response if the principal may not use the key in a record, or None."""
    key = record.get("encryptionConfiguration", {}).get("kmsKeyId")
    if key is None:
        return None
    keys = {**condition_keys, "kms:EncryptionContext:aws:states:stateMachineArn": state_machine_arn}
    try:
        for action in actions:
            iam_roles.require_permission(principal(), action, kms.key_arn(key), keys)
    except iam_roles.AccessDeniedError as error:
        return error_response_json("KmsAccessDeniedException", str(error), 400)
    return None
