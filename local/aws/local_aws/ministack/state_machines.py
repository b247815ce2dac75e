"""Tasks of state machines act in the machine's role, which MiniStack only records: it does them as the account's root.

A task is refused with AWS's error and cause, so that it can be retried and caught. Written against MiniStack 1.5.33,
like `patches`.
"""

# MiniStack lies in an environment of its own, where this runs and the type checker does not look.
# pyright: reportMissingImports=false, reportUnknownVariableType=false, reportUnknownLambdaType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import contextvars
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import ministack.app
from ministack.core import iam_actions
from ministack.core.responses import _service_model
from ministack.services import lambda_svc, stepfunctions

from local_aws.ministack import roles

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Input = dict[str, Any]
    Asked = tuple[str, str, Mapping[str, Any]]
    """Action, resource, condition keys."""

SERVICE = "states.amazonaws.com"
FORM = "application/x-www-form-urlencoded"
DENIED = ("AccessDeniedException", "AuthorizationErrorException")
"""What services that have an error of their own for a refusal call it."""


@dataclass(frozen=True)
class Refusal:
    """How a task that may not be done fails: the error's name, and the service and status that its cause names."""

    error: str
    service: str
    status: int = 403


@dataclass(frozen=True)
class Integration:
    """An optimized integration: what it asks for and how it is refused (names of the AWS SDK for Java 1)."""

    action: str
    resources: Callable[[Input], list[str]]
    refusal: Refusal


def _named(kind: str, member: str) -> Callable[[Input], list[str]]:
    """The ARN of what a member of the task's input names: by its ARN, its name, or a queue's URL."""

    def resources(data: Input) -> list[str]:
        name = str(data.get(member, "*"))
        arn = f"arn:aws:{kind.format(region=roles.REGION, account=roles.ACCOUNT)}{name.rpartition('/')[2]}"
        return [name if name.startswith("arn:") else arn]

    return resources


def _buses(data: Input) -> list[str]:
    return iam_actions.eventbridge_resource_arns(json.dumps(data).encode(), roles.REGION, roles.ACCOUNT)


LAMBDA = Refusal("Lambda.AWSLambdaException", "Lambda")
EXECUTIONS = Refusal("StepFunctions.AWSStepFunctionsException", "AWSStepFunctions", 400)
ITEMS = Refusal("States.ItemReaderFailed", "S3")
INTEGRATIONS: Mapping[str, Integration] = {
    **{
        f"dynamodb:{verb}Item": Integration(
            f"dynamodb:{verb.capitalize()}Item",
            _named("dynamodb:{region}:{account}:table/", "TableName"),
            Refusal("DynamoDB.AmazonDynamoDBException", "AmazonDynamoDBv2", 400),
        )
        for verb in ("put", "get", "delete", "update")
    },
    "ecs:runTask": Integration(
        "ecs:RunTask",
        _named("ecs:{region}:{account}:task-definition/", "TaskDefinition"),
        Refusal("ECS.AccessDeniedException", "AmazonECS", 400),
    ),
    "events:putEvents": Integration(
        "events:PutEvents", _buses, Refusal("EventBridge.AmazonEventBridgeException", "AmazonEventBridge", 400)
    ),
    "sns:publish": Integration(
        "sns:Publish",
        _named("sns:{region}:{account}:", "TopicArn"),
        Refusal("SNS.AuthorizationErrorException", "AmazonSNS"),
    ),
    "sqs:sendMessage": Integration(
        "sqs:SendMessage", _named("sqs:{region}:{account}:", "QueueUrl"), Refusal("SQS.AmazonSQSException", "AmazonSQS")
    ),
}
"""By what follows `arn:aws:states:::`. Functions and executions are judged where MiniStack calls them."""


@dataclass(frozen=True)
class _Running:
    """The execution whose tasks are being done."""

    role: str
    machine: str
    name: str


_running: contextvars.ContextVar[_Running] = contextvars.ContextVar("running")
_calling: contextvars.ContextVar[tuple[str, str] | None] = contextvars.ContextVar("calling", default=None)
"""Service and operation of the `aws-sdk` task that is about to send its request, as its resource names them."""
_run_execution, _test_state, _call_lambda = (
    stepfunctions._run_execution,
    stepfunctions._test_state,
    stepfunctions._call_lambda,
)
_invoke_with_callback, _invoke_sdk = stepfunctions._invoke_with_callback, stepfunctions._invoke_aws_sdk_integration
_start, _start_sync = stepfunctions._invoke_nested_start_execution, stepfunctions._invoke_nested_start_execution_sync
_run_map, _read_items, _read_object = (
    stepfunctions._run_distributed_map,
    stepfunctions._read_map_items,
    stepfunctions._s3_object_text,
)
_call_service = ministack.app.call_service_handler_sync


def install() -> None:
    """Puts these functions into the place of MiniStack's."""
    stepfunctions._run_execution = run_execution
    stepfunctions._test_state = test_state
    stepfunctions._call_lambda = call_lambda
    stepfunctions._invoke_with_callback = invoke_with_callback
    stepfunctions._invoke_aws_sdk_integration = invoke_sdk
    stepfunctions._invoke_nested_start_execution = _starting(_start)
    stepfunctions._invoke_nested_start_execution_sync = _starting(_start_sync)
    stepfunctions._run_distributed_map = run_map
    stepfunctions._read_map_items = read_items
    stepfunctions._s3_object_text = read_object
    ministack.app.call_service_handler_sync = call_service
    for resource, handle in stepfunctions._SERVICE_DISPATCH.items():
        stepfunctions._SERVICE_DISPATCH[resource] = _optimized(resource.partition(":::")[2], handle)


def run_execution(execution_arn: str) -> None:
    """Does an execution in its machine's role."""
    execution = stepfunctions._executions.get(execution_arn)
    machine = stepfunctions._state_machines.get(execution["stateMachineArn"]) if execution else None
    if execution and machine:
        token = _running.set(_Running(machine["roleArn"], machine["stateMachineArn"], execution["name"]))
        try:
            _run_execution(execution_arn)
        finally:
            _running.reset(token)
    else:
        _run_execution(execution_arn)


def test_state(data: Input) -> Any:
    """Does a state that is tried by itself in the role that is given with it."""
    machine = f"arn:aws:states:{roles.REGION}:{roles.ACCOUNT}:stateMachine:*"
    token = _running.set(_Running(data.get("roleArn", ""), machine, "TestState"))
    try:
        return _test_state(data)
    finally:
        _running.reset(token)


def call_lambda(function: str, event: object) -> object:
    """Invokes a function, if the role may."""
    _require_function(function)
    return _call_lambda(function, event)


def invoke_with_callback(resource: str, data: Input, token: str, state: Input) -> Any:
    """Starts a task that is answered by its token. MiniStack waits for the answer of a function it could not invoke."""
    if "states:::lambda:invoke" in resource:
        _require_function(stepfunctions._resolve_lambda_function_ref(data.get("FunctionName", ""), optimized=True))
    return _invoke_with_callback(resource, data, token, state)


def invoke_sdk(resource: str, data: Input) -> Any:
    """Does an `aws-sdk` task; `call_service` judges the request that it becomes."""
    service, _, operation = resource.partition("aws-sdk:")[2].partition(":")
    token = _calling.set((service.lower(), operation.partition(".")[0]))
    try:
        return _invoke_sdk(resource, data)
    finally:
        _calling.reset(token)


def call_service(
    handler: Any, method: str, path: str, headers: dict[str, str], body: str | bytes, query: Input, *rest: Any
) -> Any:
    """Sends a request to a service within MiniStack, if it is no task's or the role may."""
    calling = _calling.get()
    if calling is None:
        return _call_service(handler, method, path, headers, body, query, *rest)
    name, operation = calling
    service = stepfunctions._AWS_SDK_SERVICE_MAP[name].get("service_key", name)
    encoded = body.encode() if isinstance(body, str) else body
    refusal = _sdk_refusal(name, service, operation[:1].upper() + operation[1:])
    for action, resource, keys in _asked(service, method, path, headers, encoded, query, refusal):
        _require(action, resource, refusal, keys)
    token = _calling.set(None)
    try:
        return _call_service(handler, method, path, headers, body, query, *rest)
    finally:
        _calling.reset(token)


def run_map(state: Input, raw_input: Any, effective: Any, iterator: Input, execution: Input, context: Input) -> Any:
    """Runs a distributed map, whose items are executions that the role starts."""
    _require("states:StartExecution", _running.get().machine, EXECUTIONS)
    return _run_map(state, raw_input, effective, iterator, execution, context)


def read_items(reader: Input, effective: Any, context: Input) -> Any:
    """Reads the items of a distributed map: a list of objects here, an object in `read_object`."""
    if str(reader.get("Resource", "")).endswith("s3:listObjectsV2"):
        given = reader.get("Parameters") or reader.get("Arguments") or {}
        wanted = stepfunctions._resolve_params_obj(given, effective, context)
        keys = {"s3:prefix": wanted["Prefix"]} if wanted.get("Prefix") else {}
        _require("s3:ListBucket", f"arn:aws:s3:::{wanted.get('Bucket')}", ITEMS, keys)
    return _read_items(reader, effective, context)


def read_object(bucket: str, key: str) -> str:
    """Reads an object with the items of a distributed map, if the role may."""
    _require("s3:GetObject", f"arn:aws:s3:::{bucket}/{key}", ITEMS)
    return _read_object(bucket, key)


def _starting(start: Callable[[str, Input], Any]) -> Callable[[str, Input], Any]:
    def start_execution(resource: str, data: Input) -> Any:
        machine = str(data.get("StateMachineArn") or data.get("stateMachineArn") or "*")
        _require("states:StartExecution", machine, EXECUTIONS)
        return start(resource, data)

    return start_execution


def _optimized(name: str, handle: Callable[[str, Input], Any]) -> Callable[[str, Input], Any]:
    def do(resource: str, data: Input) -> Any:
        integration = INTEGRATIONS[name]
        for arn in integration.resources(data):
            _require(integration.action, arn, integration.refusal)
        return handle(resource, data)

    return do


def _require_function(reference: str) -> None:
    config = lambda_svc._get_func_record_for_ref(reference)[1]
    if config:  # without one the call itself says that there is none
        _require("lambda:InvokeFunction", config["FunctionArn"], LAMBDA)


def _require(action: str, resource: str, refusal: Refusal, keys: Mapping[str, Any] | None = None) -> None:
    """Raises MiniStack's error for a task that failed when the machine's role may not do something."""
    running = _running.get()
    try:
        role = roles.assume(SERVICE, running.role, running.machine)
        roles.require(roles.session(role, running.name), action, resource, keys)
    except roles.RoleError as error:
        raise _error(refusal, str(error)) from None


def _error(refusal: Refusal, message: str) -> Exception:
    cause = f"{message} (Service: {refusal.service}, Status Code: {refusal.status})"
    return stepfunctions._ExecutionError(refusal.error, cause)


def _sdk_refusal(name: str, service: str, operation: str) -> Refusal:
    """An error of the operation's own where its model has one, else that of the service (AWS SDK for Java 2)."""
    prefix = stepfunctions._AWS_SDK_ERROR_PREFIX.get(name, name.capitalize())
    model: Any = _service_model(service)
    shapes: Any = model.operation_model(operation).error_shapes if operation in model.operation_names else ()
    own = next((shape.name for shape in shapes if shape.name in DENIED), f"{prefix}Exception")
    return Refusal(f"{prefix}.{own}", prefix)


def _asked(
    service: str, method: str, path: str, headers: dict[str, str], body: bytes, query: Input, refusal: Refusal
) -> list[Asked]:
    """What a request asks for, as MiniStack reads requests that come by HTTP."""
    if headers.get("content-type") == FORM:
        query = query | parse_qs(body.decode())
    action = iam_actions.extract_iam_action(service, method, path, headers, body, query)
    if action is None:
        raise _error(refusal, f"No policy can allow this request: {service} has no action for it")
    place = roles.REGION, roles.ACCOUNT
    if items := iam_actions.dynamodb_transaction_checks(action, body, *place):
        return [(item, arn, {}) for item, arn in items]
    resource = iam_actions.extract_resource_arn(service, method, path, headers, body, query, *place)
    keys = iam_actions.request_tag_context(service, action, body, query)
    more: list[tuple[str, str]] = []
    if service == "dynamodb":
        keys |= iam_actions.dynamodb_service_context(body)
        more = [(action, arn) for arn in iam_actions.dynamodb_resource_arns(body, *place)[1:]]
    elif service == "events":
        more = [(action, arn) for arn in iam_actions.eventbridge_resource_arns(body, *place)[1:]]
    elif service == "s3":
        keys |= iam_actions.s3_service_context(action, query, path, headers)
        more = iam_actions.s3_additional_checks(method, path, headers, body, query)
    return [(action, resource, keys), *((other, arn, keys) for other, arn in more)]
