"""Creates the plan: compares each stack of the assembly with the deployed stack."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Protocol

from sandpiper.plan import notes
from sandpiper.plan.assembly import tenant_of
from sandpiper.plan.data_changes import compare_data
from sandpiper.plan.interpreters import compare_interpreters
from sandpiper.plan.model import Plan, StackPlan
from sandpiper.plan.permissions import compare_permissions
from sandpiper.plan.quotas import quota_usage
from sandpiper.plan.resources import compare_resources
from sandpiper.plan.template import Template

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sandpiper.environment.account import Quotas
    from sandpiper.plan.assembly import Assembly, Stack
    from sandpiper.plan.deployed import DeployedStack
    from sandpiper.plan.model import Costs, Objects, Session

FAILED_CREATION = "ROLLBACK_COMPLETE"
"""Status of a stack whose creation failed. It has no resources, and the CDK deletes it before it deploys again."""
NON_ASCII = re.compile("[\u0080-\U0010ffff]")


class DeployedResources(Protocol):
    """Reads deployed state that templates do not contain."""

    def physical_ids(self, stack: str) -> dict[str, str]:
        """Returns the physical IDs of a stack's resources by logical ID."""
        ...

    def sessions(self, interpreter: str) -> tuple[Session, ...]:
        """Returns the live sessions of an interpreter."""
        ...

    def count(self, bucket: str, folder: str, days: int) -> Objects | None:
        """Counts the objects of a folder, and those older than a number of days; None when they cannot be listed."""
        ...

    def has_bucket(self, name: str) -> bool:
        """Returns whether the account has a bucket of this name."""
        ...

    def bootstrap_version(self, parameter: str) -> int | None:
        """Returns the version in the SSM parameter of a bootstrap stack, or None when there is no such parameter."""
        ...


def create_plan(
    assembly: Assembly,
    deployed: Mapping[str, DeployedStack],
    resources: DeployedResources,
    quotas: Quotas,
    warnings: Sequence[str] = (),
    costs: Costs | None = None,
) -> Plan:
    """Returns the plan of `cdk deploy --all` for an environment.

    Args:
        assembly: the cloud assembly of the environment.
        deployed: the deployed stacks by name.
        resources: reads the deployed resources.
        quotas: the quotas of the account.
        warnings: the warnings about the environment file, which become notes.
        costs: the maximum cost, if the environment file is known.
    """
    removed = {name: one for name, one in deployed.items() if name not in assembly.stacks}
    stacks = [_stack(one, deployed.get(name), removed, resources) for name, one in assembly.stacks.items()]
    stacks += [
        _compare(one.name, "gone", one.template, None, resources, tuple(notes.removed_stack_notes(one)))
        for one in removed.values()
    ]
    return Plan(
        environment=assembly.environment,
        account=assembly.target.account,
        region=assembly.target.region,
        notes=(*warnings, *notes.error_notes(assembly), *notes.bootstrap_notes(assembly, resources.bootstrap_version)),
        stacks=tuple(stacks),
        quotas=tuple(quota_usage(quotas, assembly.stacks, [one.template for one in removed.values()])),
        costs=costs,
    )


def _stack(
    stack: Stack, deployed: DeployedStack | None, removed: Mapping[str, DeployedStack], resources: DeployedResources
) -> StackPlan:
    if deployed is None or deployed.status == FAILED_CREATION:
        found = tuple(notes.new_stack_notes(stack.template, deployed, removed, resources.has_bucket))
        return _compare(stack.name, "new", None, stack.template, resources, found)
    before, after = deployed.template, _as_returned(stack.template, deployed.template)
    found = tuple(notes.existing_stack_notes(stack, deployed))
    if before.content == after.content and stack.is_protected == deployed.is_protected:
        return StackPlan(name=stack.name, tenant=tenant_of(stack.name), change="unchanged", notes=found)
    found += tuple(notes.changed_stack_notes(before, after))
    return _compare(stack.name, "changed", before, after, resources, found)


def _compare(
    name: str,
    change: Any,
    before: Template | None,
    after: Template | None,
    resources: DeployedResources,
    stack_notes: tuple[str, ...],
) -> StackPlan:
    physical_ids = resources.physical_ids(name) if before else {}
    changes, follows = compare_resources(before, after)
    return StackPlan(
        name=name,
        tenant=tenant_of(name),
        change=change,
        notes=stack_notes,
        data=tuple(compare_data(before, after, resources.count)),
        interpreters=tuple(compare_interpreters(before, after, physical_ids, resources.sessions)),
        permissions=tuple(compare_permissions(before, after)),
        resources=tuple(changes),
        follows=tuple(follows),
    )


def _as_returned(template: Template, deployed: Template) -> Template:
    """Returns the template as GetTemplate would return it, with `?` for each non-ASCII character.

    https://github.com/aws/aws-cdk-cli, `mangleLikeCloudFormation`. The embedded AWS returns the characters unchanged.
    """
    if not json.dumps(deployed.content, ensure_ascii=False).isascii():
        return template
    returned = NON_ASCII.sub("?", json.dumps(template.content, ensure_ascii=False))
    return Template(template.stack, json.loads(returned), template.target)
