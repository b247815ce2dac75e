"""Reads the dashboards and alarms of a cloud assembly, with values in place of references."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from sandpiper.dashboards.alarms import read_alarms
from sandpiper.dashboards.parse import parse_dashboard
from sandpiper.errors import CliError
from sandpiper.plan.resource_types import ALARM, BUCKET, FUNCTION, LOG_GROUP, WORKFLOW
from sandpiper.status.physical_template import PhysicalTemplate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from sandpiper.dashboards.alarms import Alarm
    from sandpiper.dashboards.model import Dashboard
    from sandpiper.plan.assembly import Assembly, Stack
    from sandpiper.plan.template import Template

DASHBOARD = "AWS::CloudWatch::Dashboard"
DASHBOARD_NAME = re.compile(r"[A-Za-z0-9_-]{1,255}")
NAME_PROPERTIES = {
    ALARM: "AlarmName",
    BUCKET: "BucketName",
    FUNCTION: "FunctionName",
    LOG_GROUP: "LogGroupName",
    WORKFLOW: "StateMachineName",
    "AWS::Events::Rule": "Name",
    "AWS::CloudWatch::CompositeAlarm": "AlarmName",
}
"""The property that names a resource, by type."""
WORKFLOW_ARN = "arn:{partition}:states:{region}:{account}:stateMachine:{name}"


@dataclass(frozen=True)
class AssemblyDashboards:
    """The dashboards of a cloud assembly, and all its alarms by name."""

    environment: str
    dashboards: tuple[Dashboard, ...]
    alarms: Mapping[str, Alarm]


def planned_ids(stack: Stack) -> dict[str, str]:
    """Returns the physical IDs by logical ID that are known before a deployment, from the names in the template."""
    template = stack.template
    found: dict[str, str] = {}
    for logical_id, resource in template.resources.items():
        name = resource.properties.get(NAME_PROPERTIES.get(resource.type, ""))
        found[logical_id] = str(template.resolve(name)) if name else logical_id
        if resource.type == WORKFLOW:
            target = template.target
            found[logical_id] = WORKFLOW_ARN.format(
                partition=target.partition, region=target.region, account=target.account, name=found[logical_id]
            )
    return found


def read_dashboards(assembly: Assembly, physical_ids: Callable[[Stack], Mapping[str, str]]) -> AssemblyDashboards:
    """Reads the dashboards of an assembly.

    Args:
        assembly: the cloud assembly.
        physical_ids: returns the physical IDs of a stack's resources by logical ID.

    Raises:
        CliError: The assembly has no dashboard, a dashboard is not valid, or two have the same name.
    """
    dashboards: list[Dashboard] = []
    alarms: dict[str, Alarm] = {}
    for stack in assembly.stacks.values():
        plain = stack.template
        template = PhysicalTemplate(plain.stack, plain.content, plain.target, physical_ids(stack))
        alarms |= read_alarms(template)
        dashboards += _dashboards(template)
    if not dashboards:
        stacks = ", ".join(assembly.stacks)
        raise CliError(
            f"the cloud assembly of {assembly.environment} has no dashboard in its stacks {stacks}: choose another "
            "--environment or --assembly"
        )
    if repeated := [name for name, uses in Counter(one.name for one in dashboards).items() if uses > 1]:
        raise CliError(f"two dashboards have the name {repeated[0]}: give each its own name")
    return AssemblyDashboards(assembly.environment, tuple(dashboards), alarms)


def _dashboards(template: Template) -> Iterable[Dashboard]:
    for logical_id, resource in template.of_type(DASHBOARD).items():
        name = str(template.resolve(resource.properties.get("DashboardName", logical_id)))
        if not DASHBOARD_NAME.fullmatch(name):
            raise CliError(
                f"stack {template.stack} has a dashboard with the name {name!r}; allowed: 1 to 255 of A-Z a-z 0-9 - _"
            )
        text = _body(template, resource.properties.get("DashboardBody", ""))
        yield parse_dashboard(name, template.stack, template.target.region, text)


def _body(template: Template, value: object) -> str:
    """Returns a body as text. A value that is inserted into its JSON is escaped; CloudFormation inserts it as it is."""
    if isinstance(value, str):
        return value
    function = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
    if "Fn::Join" in function:
        delimiter, parts = function["Fn::Join"]
        return str(delimiter).join(_body(template, part) for part in parts)
    if "Fn::Sub" in function:
        return str(template.resolve(function))
    return json.dumps(str(template.resolve(function)), ensure_ascii=False)[1:-1]
