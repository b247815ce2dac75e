"""CloudFormation uses the role of a stack, or the permissions of its caller. MiniStack itself acts as the account root.

The role is passed as `RoleARN` and is stored for later operations on the stack.
"""

# MiniStack is installed in a separate environment, which the type checker does not see.
# pyright: reportMissingImports=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import contextvars
from typing import TYPE_CHECKING, Any

from ministack.services import iam, lambda_svc
from ministack.services.cloudformation import changesets, handlers, helpers, provisioners, stacks

from local_aws.ministack.patches import iam_roles, kms
from local_aws.ministack.resource_actions import permissions
from local_aws.ministack.resource_actions.table import actions_for
from local_aws.settings import ACCOUNT, REGION

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from local_aws.ministack.resource_actions.permissions import Permission, Properties

    Parameters = dict[str, Any]

MINISTACK_VERSION = "1.5.33"
SERVICE_PRINCIPAL = "cloudformation.amazonaws.com"
SESSION_NAME = "AWSCloudFormation"
ROLE_KEY = "_role_arn"
"""Key of the role in MiniStack's record of a stack or change set."""
OPERATIONS = (
    *("CreateStack", "UpdateStack", "DeleteStack", "RollbackStack", "ContinueUpdateRollback"),
    *("CreateChangeSet", "ExecuteChangeSet"),
)
LOG_GROUP = "AWS::Logs::LogGroup"
GENERATED_NAMES = {LOG_GROUP}
"""Types for which MiniStack generates other names than CloudFormation, whose names policies refer to."""
LOCATION = {"account": ACCOUNT, "region": REGION}

_get_principal: contextvars.ContextVar[Callable[[], Any]] = contextvars.ContextVar(
    "get_principal", default=iam_roles.calling_principal
)
"""Returns the principal that handles resources. MiniStack's tasks inherit it from the operation that starts them."""
_update, _provision, _delete = (
    provisioners._update_resource,
    provisioners._provision_resource,
    provisioners._delete_resource,
)


def install() -> None:
    """Replaces MiniStack's operations on stacks, and its handling of resources."""
    for name in OPERATIONS:
        handlers._ACTION_HANDLERS[name] = _with_role(name, handlers._ACTION_HANDLERS[name])
    for module in (provisioners, stacks):
        module._provision_resource = create
        module._update_resource = update
        module._delete_resource = delete


def _with_role(operation: str, handle: Callable[[Parameters], Any]) -> Callable[[Parameters], Any]:
    """Returns the handler of an operation that uses the role of the stack. Passing a role requires `iam:PassRole`."""

    def handle_with_role(parameters: Parameters) -> Any:
        stack_name, passed_role = helpers._p(parameters, "StackName"), helpers._p(parameters, "RoleARN")
        role_arn = passed_role or _stored_role(operation, parameters)
        try:
            if passed_role:
                condition_keys = {"iam:PassedToService": SERVICE_PRINCIPAL}
                caller = iam_roles.calling_principal()
                iam_roles.require_permission(caller, "iam:PassRole", passed_role, condition_keys)
        except iam_roles.AccessDeniedError as error:
            return helpers._error("AccessDenied", str(error), 403)
        get_principal: Callable[[], Any] = iam_roles.calling_principal
        if role_arn:
            source_arn = f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/{stack_name}/*"
            try:
                role = iam_roles.assume_role(SERVICE_PRINCIPAL, role_arn, source_arn)
            except iam_roles.AccessDeniedError:
                return helpers._error("ValidationError", f"Role {role_arn} is invalid or cannot be assumed")

            def role_session() -> Any:
                return iam_roles.session_principal(role, SESSION_NAME)

            get_principal = role_session
        token = _get_principal.set(get_principal)
        try:
            response = handle(parameters)
        finally:
            _get_principal.reset(token)
        if response[0] == 200 and role_arn:
            _store_role(operation, parameters, role_arn)
        return response

    return handle_with_role


def _stored_role(operation: str, parameters: Parameters) -> str:
    """Returns the ARN of the role that was passed for the change set, or earlier for the stack; "" without one."""
    if operation == "CreateStack":
        return ""
    records = [_change_set(parameters)] if operation == "ExecuteChangeSet" else []
    records.append(handlers._resolve_stack(helpers._p(parameters, "StackName")))
    return next((record[ROLE_KEY] for record in records if record and ROLE_KEY in record), "")


def _store_role(operation: str, parameters: Parameters, role_arn: str) -> None:
    change_set = _change_set(parameters) if operation.endswith("ChangeSet") else None
    if operation == "CreateChangeSet":
        record = change_set
    else:
        name = change_set["StackName"] if change_set else helpers._p(parameters, "StackName")
        record = handlers._resolve_stack(name)
    if record is not None:
        record[ROLE_KEY] = role_arn


def _change_set(parameters: Parameters) -> dict[str, Any] | None:
    name, stack_name = helpers._p(parameters, "ChangeSetName"), helpers._p(parameters, "StackName")
    return changesets._find_change_set(name, stack_name)[1]


def create(resource_type: str, logical_id: str, properties: Properties, stack_name: str) -> tuple[Any, ...]:
    """Creates a resource, if the principal has the permissions."""
    actions = actions_for(resource_type)
    name = actions.name_in(properties) or provisioners._physical_name(
        stack_name, logical_id, lowercase=actions.lower_case_name, max_len=actions.max_name_length
    )
    _require(permissions.create_permissions(resource_type, str(name), properties, LOCATION))
    if resource_type in GENERATED_NAMES:
        properties = {actions.name_property: name, **properties}
    _require_key_of_log_group(resource_type, str(name), properties)
    created = _provision(resource_type, logical_id, properties, stack_name)
    _set_missing_properties(resource_type, created[0], properties)
    return created


def update(
    resource_type: str, physical_id: str, before: Properties, after: Properties, *arguments: Any, **options: Any
) -> tuple[Any, ...]:
    """Changes a resource, if the principal has the permissions."""
    _require(permissions.update_permissions(resource_type, physical_id, before, after, LOCATION))
    if resource_type in GENERATED_NAMES:
        after = {actions_for(resource_type).name_property: physical_id, **after}
    _require_key_of_log_group(resource_type, physical_id, after)
    updated = _update(resource_type, physical_id, before, after, *arguments, **options)
    _set_missing_properties(resource_type, updated[0], after)
    return updated


def delete(
    resource_type: str, physical_id: str, properties: Properties, stack_name: str = "", logical_id: str = ""
) -> None:
    """Deletes a resource, if the principal has the permissions."""
    _require(permissions.delete_permissions(resource_type, physical_id, properties, LOCATION))
    _delete(resource_type, physical_id, properties, stack_name, logical_id)


def _require_key_of_log_group(resource_type: str, name: str, properties: Properties) -> None:
    """Checks that the policy of a log group's key lets CloudWatch Logs use it.

    Raises:
        ValueError: It does not. The event of the stack shows AWS's message.
    """
    key = properties.get("KmsKeyId") if resource_type == LOG_GROUP else None
    arn = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{name}"
    if key and not kms.is_allowed_to_service(f"logs.{REGION}.amazonaws.com", key, {"aws:logs:arn": arn}):
        raise ValueError(
            f'Resource handler returned message: "The specified KMS key does not exist or is not allowed to be used '
            f"with Arn '{arn}' (Service: CloudWatchLogs, Status Code: 400)\" (HandlerErrorCode: InvalidRequest)"
        )


def _set_missing_properties(resource_type: str, physical_id: str, properties: Properties) -> None:
    """Sets properties that MiniStack ignores: the permissions boundary of a role, and the key of a function."""
    if resource_type == "AWS::Lambda::Function" and physical_id in lambda_svc._functions:
        lambda_svc._functions[physical_id]["config"]["KMSKeyArn"] = properties.get("KmsKeyArn", "")
    if resource_type == "AWS::IAM::Role" and physical_id in iam._roles:
        iam._roles[physical_id]["PermissionsBoundary"] = properties.get("PermissionsBoundary")


def _require(required: Sequence[Permission]) -> None:
    """Checks the permissions of the principal.

    Raises:
        ValueError: A permission is missing. The event of the stack shows the message.
    """
    try:
        principal = _get_principal.get()() if required else None
        for permission in required:
            iam_roles.require_permission(principal, permission.action, permission.resource, permission.condition_keys)
    except iam_roles.AccessDeniedError as error:
        raise ValueError(f'Resource handler returned message: "{error}" (HandlerErrorCode: AccessDenied)') from None
