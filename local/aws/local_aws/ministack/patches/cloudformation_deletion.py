"""Failed deletions and rollbacks: a resource that was not deleted stays in its stack with its dependencies."""

# MiniStack is installed in a separate environment, which the type checker does not see.
# pyright: reportMissingImports=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import contextvars
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ministack.services.cloudformation import handlers, provisioners, stacks

from local_aws.ministack.patches import cloudformation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from local_aws.ministack.resource_actions.permissions import Properties

MINISTACK_VERSION = "1.5.33"
_delete_stack, _roll_back = stacks._delete_stack_async, stacks._roll_back_operation


@dataclass
class RetainedDependencies:
    """Resources that a failed resource depends on.

    They are removed from the stack's record until the deletion of the stack ends, so that MiniStack does not delete
    them.
    """

    stack: dict[str, Any]
    records: dict[str, Any] = field(default_factory=dict[str, Any])

    def retain_dependencies(self, logical_id: str) -> None:
        """Retains all resources that a resource depends on."""
        resources, template = self.stack["_resources"], self.stack.get("_template") or {}
        with_dependencies = stacks._with_dependencies([logical_id], template.get("Resources", {}), set(resources))
        for dependency in with_dependencies - {logical_id}:
            self.records[dependency] = resources.pop(dependency)


_retained: contextvars.ContextVar[RetainedDependencies | None] = contextvars.ContextVar("retained", default=None)
"""The retained resources of the stack that is being deleted."""


def install() -> None:
    """Replaces MiniStack's deletion and rollback of stacks. Call it after `cloudformation.install`."""
    for module in (provisioners, stacks):
        module._delete_resource = delete_resource
    for module in (handlers, stacks):
        module._delete_stack_async = delete_stack
        module._roll_back_operation = roll_back


def delete_resource(
    resource_type: str, physical_id: str, properties: Properties, stack_name: str = "", logical_id: str = ""
) -> None:
    """Deletes a resource. If that fails while its stack is deleted, retains its dependencies."""
    try:
        cloudformation.delete(resource_type, physical_id, properties, stack_name, logical_id)
    except Exception:
        retained = _retained.get()
        if retained is not None and retained.stack["StackName"] == stack_name:
            retained.retain_dependencies(logical_id)
        raise


async def delete_stack(stack_name: str, stack_id: str, retained: Sequence[str] = (), *, force: bool = False) -> None:
    """Deletes a stack. A resource that could not be deleted keeps its dependencies; the next deletion tries again.

    A forced deletion retains both, which MiniStack does itself.
    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cfn-console-delete-stack.html
    """
    stack = handlers._resolve_stack(stack_id)
    dependencies = None if force or stack is None else RetainedDependencies(stack)
    token = _retained.set(dependencies)
    try:
        await _delete_stack(stack_name, stack_id, retained, force=force)
    finally:
        _retained.reset(token)
        if dependencies is not None:
            dependencies.stack["_resources"].update(dependencies.records)


async def roll_back(stack_name: str, stack_id: str, stack: dict[str, Any], *arguments: Any, **options: Any) -> None:
    """Rolls an operation back. After ROLLBACK_FAILED, resources that were not deleted stay in the stack."""
    resources = dict(stack.get("_resources", {}))
    await _roll_back(stack_name, stack_id, stack, *arguments, **options)
    if stack["StackStatus"] == "ROLLBACK_FAILED":
        failed = {"ResourceStatus": "DELETE_FAILED"}
        stack["_resources"] |= {name: resources[name] | failed for name in stack["_rollback_failed"]}
