"""Tasks of state machines use the role of their state machine. MiniStack itself runs them as the account root.

Variables of one state are assigned together, from their values before; `TimeoutSeconds` can be JSONata; and the history
has the parameters of tasks that wait for a task token.

A task without permission fails with AWS's error and cause, so that `Retry` and `Catch` apply.
"""

# MiniStack is installed in a separate environment, which the type checker does not see.
# pyright: reportMissingImports=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import contextvars
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import ministack.app
from ministack.services import lambda_svc, stepfunctions

from local_aws.ministack.patches import iam_roles, stepfunctions_express, stepfunctions_states
from local_aws.ministack.patches.stepfunctions_integrations import (
    INTEGRATIONS,
    ITEM_READER_ERROR,
    LAMBDA_ERROR,
    START_EXECUTION_ERROR,
    TaskError,
    sdk_error,
    sdk_permissions,
)
from local_aws.ministack.patches.stepfunctions_map import run_distributed_map
from local_aws.ministack.patches.stepfunctions_outcomes import require_running, running_record
from local_aws.settings import ACCOUNT, REGION

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from local_aws.ministack.patches.stepfunctions_integrations import Input

MINISTACK_VERSION = "1.5.33"
SERVICE_PRINCIPAL = "states.amazonaws.com"


@dataclass(frozen=True)
class _Execution:
    """The execution whose tasks run: ARNs of the role and of the state machine, and its name."""

    role_arn: str
    state_machine_arn: str
    name: str


_execution: contextvars.ContextVar[_Execution] = contextvars.ContextVar("execution")
_sdk_call: contextvars.ContextVar[tuple[str, str] | None] = contextvars.ContextVar("sdk_call", default=None)
"""Service and operation of the `aws-sdk` task that is about to send its request, as its resource names them."""
_test_state, _call_lambda = stepfunctions._test_state, stepfunctions._call_lambda
_invoke_with_callback, _invoke_sdk = stepfunctions._invoke_with_callback, stepfunctions._invoke_aws_sdk_integration
_start = stepfunctions._invoke_nested_start_execution
_read_items, _read_object = (
    stepfunctions._read_map_items,
    stepfunctions._s3_object_text,
)
_execute_task, _assign = stepfunctions._execute_task, stepfunctions._apply_state_assign
_call_service = ministack.app.call_service_handler_sync


def install() -> None:
    """Replaces functions of MiniStack's Step Functions."""
    stepfunctions._run_execution = run_execution
    stepfunctions._test_state = test_state
    stepfunctions._call_lambda = call_lambda
    stepfunctions._execute_task = execute_task
    stepfunctions._apply_state_assign = assign
    stepfunctions._invoke_with_callback = invoke_with_callback
    stepfunctions._invoke_aws_sdk_integration = invoke_sdk
    stepfunctions._invoke_nested_start_execution = _start_execution(_start)
    stepfunctions._invoke_nested_start_execution_sync = _start_execution(stepfunctions_express.run_nested)
    stepfunctions._run_distributed_map = run_map
    stepfunctions._read_map_items = read_items
    stepfunctions._s3_object_text = read_object
    ministack.app.call_service_handler_sync = call_service
    for resource, invoke in stepfunctions._SERVICE_DISPATCH.items():
        stepfunctions._SERVICE_DISPATCH[resource] = _invoke_optimized(resource.partition(":::")[2], invoke)


def run_execution(execution_arn: str) -> None:
    """Runs an execution with the role of its state machine."""
    record = stepfunctions._executions.get(execution_arn)
    machine = stepfunctions._state_machines.get(record["stateMachineArn"]) if record else None
    if record and machine:
        token = _execution.set(_Execution(machine["roleArn"], machine["stateMachineArn"], record["name"]))
        try:
            stepfunctions_states.run_execution(execution_arn)
        finally:
            _execution.reset(token)
    else:
        stepfunctions_states.run_execution(execution_arn)


def test_state(parameters: Input) -> Any:
    """Handles TestState with the role in its parameters."""
    state_machine_arn = f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:*"
    token = _execution.set(_Execution(parameters.get("roleArn", ""), state_machine_arn, "TestState"))
    try:
        return _test_state(parameters)
    finally:
        _execution.reset(token)


def execute_task(state: Input, raw_input: Any, execution: Input, context: Input) -> Any:
    """Runs a Task state, whose `TimeoutSeconds` can be JSONata."""
    if isinstance(state.get("TimeoutSeconds"), str):
        timeout = stepfunctions._jsonata_state_field(state, "TimeoutSeconds", "number", raw_input, context)
        state = {**state, "TimeoutSeconds": timeout}
    return _execute_task(state, raw_input, execution, context)


def assign(
    state: Input, raw_input: Any, context: Input | None = None, result: Any = None, error_output: Any = None
) -> None:
    """Assigns the variables of a state, all from their values before. MiniStack assigns one after another.

    https://docs.aws.amazon.com/step-functions/latest/dg/workflow-variables.html#variables-assign-evaluation-order
    """
    if context is None:
        return
    before = context.setdefault("variables", {})
    assigned: Input = {}
    for name, template in (state.get("Assign") or {}).items():
        one = {**context, "variables": dict(before)}
        _assign({**state, "Assign": {name: template}}, raw_input, one, result, error_output)
        if name in one["variables"]:
            assigned[name] = one["variables"][name]
    before.update(assigned)


def call_lambda(function: str, event: object) -> object:
    """Invokes a function, if the role has the permission. A retry after the execution has ended invokes nothing."""
    require_running()
    _require_function(function)
    return _call_lambda(function, event)


def invoke_with_callback(resource: str, task_input: Input, task_token: str, state: Input) -> Any:
    """Starts a task that waits for its task token.

    Checks the permission to invoke a function first: without it, MiniStack would wait for the token. Adds the event
    that MiniStack adds without parameters, which `stepfunctions_history` omits.
    """
    if record := running_record():
        kind = "lambda" if "lambda" in resource else "states"
        details = {"resourceType": kind, "resource": resource, "parameters": json.dumps(task_input)}
        stepfunctions._add_event(record, "TaskScheduled", {"taskScheduledEventDetails": details})
    if "states:::lambda:invoke" in resource:
        name = task_input.get("FunctionName", "")
        _require_function(stepfunctions._resolve_lambda_function_ref(name, optimized=True))
    return _invoke_with_callback(resource, task_input, task_token, state)


def invoke_sdk(resource: str, task_input: Input) -> Any:
    """Runs an `aws-sdk` task. `call_service` checks the permissions of its request."""
    service, _, operation = resource.partition("aws-sdk:")[2].partition(":")
    token = _sdk_call.set((service.lower(), operation.partition(".")[0]))
    try:
        return _invoke_sdk(resource, task_input)
    finally:
        _sdk_call.reset(token)


def call_service(
    handler: Any, method: str, path: str, headers: dict[str, str], body: str | bytes, query: Input, *arguments: Any
) -> Any:
    """Sends a request to a service of MiniStack. The request of a task needs the permissions of its role."""
    sdk_call = _sdk_call.get()
    if sdk_call is None:
        return _call_service(handler, method, path, headers, body, query, *arguments)
    name, operation = sdk_call
    service = stepfunctions._AWS_SDK_SERVICE_MAP[name].get("service_key", name)
    encoded = body.encode() if isinstance(body, str) else body
    error = sdk_error(name, service, operation[:1].upper() + operation[1:])
    for action, resource, keys in sdk_permissions(service, method, path, headers, encoded, query, error):
        _require(action, resource, error, keys)
    token = _sdk_call.set(None)
    try:
        return _call_service(handler, method, path, headers, body, query, *arguments)
    finally:
        _sdk_call.reset(token)


def run_map(state: Input, raw_input: Any, effective: Any, iterator: Input, execution: Input, context: Input) -> Any:
    """Runs a Distributed Map. Its role needs the permission to start the child executions."""
    _require("states:StartExecution", _execution.get().state_machine_arn, START_EXECUTION_ERROR)
    return run_distributed_map(state, raw_input, effective, iterator, execution, context)


def read_items(reader: Input, effective: Any, context: Input) -> Any:
    """Reads the items of a Distributed Map. Checks a list of objects here; `read_object` checks an object."""
    if str(reader.get("Resource", "")).endswith("s3:listObjectsV2"):
        unresolved = reader.get("Parameters") or reader.get("Arguments") or {}
        parameters = stepfunctions._resolve_params_obj(unresolved, effective, context)
        keys = {"s3:prefix": parameters["Prefix"]} if parameters.get("Prefix") else {}
        _require("s3:ListBucket", f"arn:aws:s3:::{parameters.get('Bucket')}", ITEM_READER_ERROR, keys)
    return _read_items(reader, effective, context)


def read_object(bucket: str, key: str) -> str:
    """Reads an object with items of a Distributed Map, if the role has the permission."""
    _require("s3:GetObject", f"arn:aws:s3:::{bucket}/{key}", ITEM_READER_ERROR)
    return _read_object(bucket, key)


def _start_execution(start: Callable[[str, Input], Any]) -> Callable[[str, Input], Any]:
    def start_execution(resource: str, task_input: Input) -> Any:
        state_machine_arn = str(task_input.get("StateMachineArn") or task_input.get("stateMachineArn") or "*")
        _require("states:StartExecution", state_machine_arn, START_EXECUTION_ERROR)
        return start(resource, task_input)

    return start_execution


def _invoke_optimized(name: str, invoke: Callable[[str, Input], Any]) -> Callable[[str, Input], Any]:
    def invoke_with_permission(resource: str, task_input: Input) -> Any:
        integration = INTEGRATIONS[name]
        for arn in integration.resources(task_input):
            _require(integration.action, arn, integration.error)
        return invoke(resource, task_input)

    return invoke_with_permission


def _require_function(reference: str) -> None:
    config = lambda_svc._get_func_record_for_ref(reference)[1]
    if config:  # otherwise the call itself fails, because the function does not exist
        _require("lambda:InvokeFunction", config["FunctionArn"], LAMBDA_ERROR)


def _require(action: str, resource: str, error: TaskError, condition_keys: Mapping[str, Any] | None = None) -> None:
    """Raises MiniStack's exception for a failed task when the role of the state machine lacks a permission."""
    execution = _execution.get()
    try:
        role = iam_roles.assume_role(SERVICE_PRINCIPAL, execution.role_arn, execution.state_machine_arn)
        principal = iam_roles.session_principal(role, execution.name)
        iam_roles.require_permission(principal, action, resource, condition_keys)
    except iam_roles.AccessDeniedError as denied:
        raise error.exception(str(denied)) from None
