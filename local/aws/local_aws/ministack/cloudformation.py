"""CloudFormation acts in the role of its stack, or as its caller; MiniStack itself makes everything as the root.

A role is handed over with `RoleARN` and kept for what is done with the stack later. Of a stack whose deletion or
rollback fails, nothing is lost that is still there. Written against MiniStack 1.5.33, like `patches`.
"""

# MiniStack lies in an environment of its own, where this runs and the type checker does not look.
# pyright: reportMissingImports=false, reportUnknownVariableType=false, reportUnknownLambdaType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import contextvars
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ministack.services import iam
from ministack.services.cloudformation import changesets, handlers, helpers, provisioners, stacks

from local_aws.ministack import resource_actions, roles

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from local_aws.ministack.resource_actions import Permission, Properties

    Parameters = dict[str, Any]

SERVICE = "cloudformation.amazonaws.com"
SESSION = "AWSCloudFormation"
ROLE = "_role_arn"
"""Where the role is kept, in MiniStack's record of a stack or of a change set."""
OPERATIONS = (
    *("CreateStack", "UpdateStack", "DeleteStack", "RollbackStack", "ContinueUpdateRollback"),
    *("CreateChangeSet", "ExecuteChangeSet"),
)
NAMED_OTHERWISE = {"AWS::Logs::LogGroup"}
"""Types that MiniStack names otherwise than CloudFormation does, by stack and logical id, which policies go by."""
PLACE = {"account": roles.ACCOUNT, "region": roles.REGION}

_acting: contextvars.ContextVar[Callable[[], Any]] = contextvars.ContextVar("acting", default=roles.caller)
"""Who handles resources; MiniStack's tasks inherit it from the operation that starts them."""
_held: contextvars.ContextVar[Held | None] = contextvars.ContextVar("held", default=None)
"""What of the stack that is being deleted stays because something that needs it does."""
_update, _provision, _delete = (
    provisioners._update_resource,
    provisioners._provision_resource,
    provisioners._delete_resource,
)
_delete_stack, _roll_back = stacks._delete_stack_async, stacks._roll_back_operation


@dataclass
class Held:
    """Resources of a stack, taken out of it until its deletion is over, so that MiniStack passes them by."""

    stack: dict[str, Any]
    records: dict[str, Any] = field(default_factory=dict[str, Any])

    def hold(self, logical_id: str) -> None:
        """All that a resource needs."""
        known, template = self.stack["_resources"], self.stack.get("_template") or {}
        for needed in stacks._with_dependencies([logical_id], template.get("Resources", {}), set(known)) - {logical_id}:
            self.records[needed] = known.pop(needed)


def install() -> None:
    """Puts these functions into the place of MiniStack's."""
    for name in OPERATIONS:
        handlers._ACTION_HANDLERS[name] = _in_role(name, handlers._ACTION_HANDLERS[name])
    for module in (provisioners, stacks):
        module._provision_resource = create
        module._update_resource = update
        module._delete_resource = delete
    for module in (handlers, stacks):
        module._delete_stack_async = delete_stack
        module._roll_back_operation = roll_back


def _in_role(operation: str, handle: Callable[[Parameters], Any]) -> Callable[[Parameters], Any]:
    """An operation on a stack that is done in its role. Whoever hands a role over must be allowed to."""

    def handle_in_role(parameters: Parameters) -> Any:
        stack_name, given = helpers._p(parameters, "StackName"), helpers._p(parameters, "RoleARN")
        role_arn = given or _kept(operation, parameters)
        try:
            if given:
                roles.require(roles.caller(), "iam:PassRole", given, {"iam:PassedToService": SERVICE})
        except roles.RoleError as error:
            return helpers._error("AccessDenied", str(error), 403)
        acting: Callable[[], Any] = roles.caller
        if role_arn:
            source = f"arn:aws:cloudformation:{roles.REGION}:{roles.ACCOUNT}:stack/{stack_name}/*"
            try:
                role = roles.assume(SERVICE, role_arn, source)
            except roles.RoleError:
                return helpers._error("ValidationError", f"Role {role_arn} is invalid or cannot be assumed")

            def in_role() -> Any:
                return roles.session(role, SESSION)

            acting = in_role
        token = _acting.set(acting)
        try:
            answer = handle(parameters)
        finally:
            _acting.reset(token)
        if answer[0] == 200 and role_arn:
            _keep(operation, parameters, role_arn)
        return answer

    return handle_in_role


def _kept(operation: str, parameters: Parameters) -> str:
    """The role that was handed over for a change set, or else before for its stack; "" without one."""
    if operation == "CreateStack":
        return ""
    records = [_change_set(parameters)] if operation == "ExecuteChangeSet" else []
    records.append(handlers._resolve_stack(helpers._p(parameters, "StackName")))
    return next((record[ROLE] for record in records if record and ROLE in record), "")


def _keep(operation: str, parameters: Parameters, role_arn: str) -> None:
    change_set = _change_set(parameters) if operation.endswith("ChangeSet") else None
    if operation == "CreateChangeSet":
        record = change_set
    else:
        name = change_set["StackName"] if change_set else helpers._p(parameters, "StackName")
        record = handlers._resolve_stack(name)
    if record is not None:
        record[ROLE] = role_arn


def _change_set(parameters: Parameters) -> dict[str, Any] | None:
    name, stack_name = helpers._p(parameters, "ChangeSetName"), helpers._p(parameters, "StackName")
    return changesets._find_change_set(name, stack_name)[1]


def create(resource_type: str, logical_id: str, properties: Properties, stack_name: str) -> tuple[Any, ...]:
    """Makes a resource, if whoever acts may."""
    of_type = resource_actions.handling(resource_type)
    name = of_type.name_in(properties) or provisioners._physical_name(
        stack_name, logical_id, lowercase=of_type.lower_case, max_len=of_type.longest
    )
    _require(resource_actions.create_permissions(resource_type, str(name), properties, PLACE))
    if resource_type in NAMED_OTHERWISE:
        properties = {of_type.name: name, **properties}
    made = _provision(resource_type, logical_id, properties, stack_name)
    _set_boundary(resource_type, made[0], properties)
    return made


def update(
    resource_type: str, physical_id: str, before: Properties, after: Properties, *rest: Any, **options: Any
) -> tuple[Any, ...]:
    """Changes a resource, if whoever acts may."""
    _require(resource_actions.update_permissions(resource_type, physical_id, before, after, PLACE))
    if resource_type in NAMED_OTHERWISE:
        after = {resource_actions.handling(resource_type).name: physical_id, **after}
    changed = _update(resource_type, physical_id, before, after, *rest, **options)
    _set_boundary(resource_type, changed[0], after)
    return changed


def _set_boundary(resource_type: str, physical_id: str, properties: Properties) -> None:
    """A role's boundary, which MiniStack leaves out."""
    if resource_type == "AWS::IAM::Role" and physical_id in iam._roles:
        iam._roles[physical_id]["PermissionsBoundary"] = properties.get("PermissionsBoundary")


def delete(
    resource_type: str, physical_id: str, properties: Properties, stack_name: str = "", logical_id: str = ""
) -> None:
    """Ends a resource, if whoever acts may. When a stack is deleted, what failed holds what it needs."""
    try:
        _require(resource_actions.delete_permissions(resource_type, physical_id, properties, PLACE))
        _delete(resource_type, physical_id, properties, stack_name, logical_id)
    except Exception:
        held = _held.get()
        if held is not None and held.stack["StackName"] == stack_name:
            held.hold(logical_id)
        raise


async def delete_stack(stack_name: str, stack_id: str, retained: Sequence[str] = (), *, force: bool = False) -> None:
    """Deletes a stack. What failed keeps what it needs, which a second deletion finds.

    A stack that is forced retains both, and MiniStack itself knows how.
    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cfn-console-delete-stack.html
    """
    stack = handlers._resolve_stack(stack_id)
    held = None if force or stack is None else Held(stack)
    token = _held.set(held)
    try:
        await _delete_stack(stack_name, stack_id, retained, force=force)
    finally:
        _held.reset(token)
        if held is not None:
            held.stack["_resources"].update(held.records)


async def roll_back(stack_name: str, stack_id: str, stack: dict[str, Any], *rest: Any, **options: Any) -> None:
    """Takes back what an operation did. What could not be deleted stays in a stack that then is ROLLBACK_FAILED."""
    known = dict(stack.get("_resources", {}))
    await _roll_back(stack_name, stack_id, stack, *rest, **options)
    if stack["StackStatus"] == "ROLLBACK_FAILED":
        failed = {"ResourceStatus": "DELETE_FAILED"}
        stack["_resources"] |= {each: known[each] | failed for each in stack["_rollback_failed"]}


def _require(needed: Sequence[Permission]) -> None:
    """Raises ValueError, whose text the stack's event shows, when one of the actions is not allowed."""
    try:
        acting = _acting.get()() if needed else None
        for one in needed:
            roles.require(acting, one.action, one.resource, one.keys)
    except roles.RoleError as error:
        raise ValueError(f'Resource handler returned message: "{error}" (HandlerErrorCode: AccessDenied)') from None
