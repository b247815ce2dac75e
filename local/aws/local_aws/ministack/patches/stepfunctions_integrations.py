"""The permissions of Step Functions tasks, and the errors of tasks that lack them."""

# MiniStack is installed in a separate environment, which the type checker does not see.
# pyright: reportMissingImports=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from ministack.core import iam_actions
from ministack.core.responses import _service_model
from ministack.services import stepfunctions

from local_aws.settings import ACCOUNT, REGION

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Input = dict[str, Any]
    RequiredPermission = tuple[str, str, Mapping[str, Any]]
    """Action, resource, condition keys."""

MINISTACK_VERSION = "1.5.33"
FORM = "application/x-www-form-urlencoded"
ACCESS_DENIED_ERRORS = ("AccessDeniedException", "AuthorizationErrorException")
"""Names of the error for a denied request, in services that define one."""


@dataclass(frozen=True)
class TaskError:
    """The error of a task without permission.

    Attributes:
        name: The error name, which `Retry` and `Catch` match.
        service: The service in the cause.
        status: The HTTP status in the cause.
    """

    name: str
    service: str
    status: int = 403

    def exception(self, message: str) -> Exception:
        """Returns MiniStack's exception for a failed task."""
        cause = f"{message} (Service: {self.service}, Status Code: {self.status})"
        return stepfunctions._ExecutionError(self.name, cause)


@dataclass(frozen=True)
class Integration:
    """An optimized integration.

    Attributes:
        action: The required action.
        resources: Returns the ARNs of the resources for the input of a task.
        error: The error without permission, with the names of the AWS SDK for Java 1.
    """

    action: str
    resources: Callable[[Input], list[str]]
    error: TaskError


def _arn_of(template: str, member: str) -> Callable[[Input], list[str]]:
    """Returns a function that reads a resource from an input member: an ARN, a name, or the URL of a queue."""

    def resources(task_input: Input) -> list[str]:
        name = str(task_input.get(member, "*"))
        arn = f"arn:aws:{template.format(region=REGION, account=ACCOUNT)}{name.rpartition('/')[2]}"
        return [name if name.startswith("arn:") else arn]

    return resources


def _event_buses(task_input: Input) -> list[str]:
    return iam_actions.eventbridge_resource_arns(json.dumps(task_input).encode(), REGION, ACCOUNT)


LAMBDA_ERROR = TaskError("Lambda.AWSLambdaException", "Lambda")
START_EXECUTION_ERROR = TaskError("StepFunctions.AWSStepFunctionsException", "AWSStepFunctions", 400)
ITEM_READER_ERROR = TaskError("States.ItemReaderFailed", "S3")
INTEGRATIONS: Mapping[str, Integration] = {
    **{
        f"dynamodb:{verb}Item": Integration(
            f"dynamodb:{verb.capitalize()}Item",
            _arn_of("dynamodb:{region}:{account}:table/", "TableName"),
            TaskError("DynamoDB.AmazonDynamoDBException", "AmazonDynamoDBv2", 400),
        )
        for verb in ("put", "get", "delete", "update")
    },
    "ecs:runTask": Integration(
        "ecs:RunTask",
        _arn_of("ecs:{region}:{account}:task-definition/", "TaskDefinition"),
        TaskError("ECS.AccessDeniedException", "AmazonECS", 400),
    ),
    "events:putEvents": Integration(
        "events:PutEvents",
        _event_buses,
        TaskError("EventBridge.AmazonEventBridgeException", "AmazonEventBridge", 400),
    ),
    "sns:publish": Integration(
        "sns:Publish",
        _arn_of("sns:{region}:{account}:", "TopicArn"),
        TaskError("SNS.AuthorizationErrorException", "AmazonSNS"),
    ),
    "sqs:sendMessage": Integration(
        "sqs:SendMessage",
        _arn_of("sqs:{region}:{account}:", "QueueUrl"),
        TaskError("SQS.AmazonSQSException", "AmazonSQS"),
    ),
}
"""Integrations by the part of the resource after `arn:aws:states:::`, except those of functions and executions."""


def sdk_error(name: str, service: str, operation: str) -> TaskError:
    """Returns the error of an `aws-sdk` task, with the names of the AWS SDK for Java 2.

    The error is one of the operation's own errors if its model has one for denied requests, otherwise the error of the
    service.

    Args:
        name: The service as in the resource of the task.
        service: The service as in botocore.
        operation: Name of the operation.
    """
    prefix = stepfunctions._AWS_SDK_ERROR_PREFIX.get(name, name.capitalize())
    model: Any = _service_model(service)
    shapes: Any = model.operation_model(operation).error_shapes if operation in model.operation_names else ()
    error = next((shape.name for shape in shapes if shape.name in ACCESS_DENIED_ERRORS), f"{prefix}Exception")
    return TaskError(f"{prefix}.{error}", prefix)


def sdk_permissions(
    service: str, method: str, path: str, headers: dict[str, str], body: bytes, query: Input, error: TaskError
) -> list[RequiredPermission]:
    """Returns the permissions that the request of an `aws-sdk` task needs, by MiniStack's rules for HTTP requests."""
    if headers.get("content-type") == FORM:
        query = query | parse_qs(body.decode())
    action = iam_actions.extract_iam_action(service, method, path, headers, body, query)
    if action is None:
        raise error.exception(f"No policy can allow this request: {service} has no action for it")
    if items := iam_actions.dynamodb_transaction_checks(action, body, REGION, ACCOUNT):
        return [(item_action, arn, {}) for item_action, arn in items]
    resource = iam_actions.extract_resource_arn(service, method, path, headers, body, query, REGION, ACCOUNT)
    keys = iam_actions.request_tag_context(service, action, body, query)
    others: list[tuple[str, str]] = []
    if service == "dynamodb":
        keys |= iam_actions.dynamodb_service_context(body)
        others = [(action, arn) for arn in iam_actions.dynamodb_resource_arns(body, REGION, ACCOUNT)[1:]]
    elif service == "events":
        others = [(action, arn) for arn in iam_actions.eventbridge_resource_arns(body, REGION, ACCOUNT)[1:]]
    elif service == "s3":
        keys |= iam_actions.s3_service_context(action, query, path, headers)
        others = iam_actions.s3_additional_checks(method, path, headers, body, query)
    return [(action, resource, keys), *((other_action, arn, keys) for other_action, arn in others)]
