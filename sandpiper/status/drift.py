"""What of a deployed stack is not what its template says.

CloudFormation detects it, and interpreters, roles and buckets are read and compared besides: CloudFormation does not
support all of them everywhere, nor policies that are resources of their own.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, cast

from sandpiper.errors import CliError
from sandpiper.plan.deployed import failing_as_messages
from sandpiper.plan.template import BUCKET, INTERPRETER, ROLE
from sandpiper.status import buckets, interpreters, roles
from sandpiper.status.comparison import Difference
from sandpiper.status.model import Drift
from sandpiper.status.physical import PhysicalTemplate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from sandpiper.plan.deployed import Account, DeployedStack

    Reader = Callable[[Account, PhysicalTemplate, str], Iterator[Difference]]

LONGEST_SECONDS = 600
CHANGED = "take the change back, or write it into the environment file: `cdk deploy` alone does not see it"
GONE = "`cdk deploy` does not bring it back: make it again under that name, or delete the stack and deploy it anew"
GONE_INTERPRETER = "change its description in the environment file and run `cdk deploy`, which makes another"
COMPARED = ("IN_SYNC", "MODIFIED", "DELETED")
READERS: dict[str, tuple[Reader, tuple[str, ...]]] = {
    BUCKET: (buckets.read, buckets.PROPERTIES),
    INTERPRETER: (interpreters.read, interpreters.PROPERTIES),
    ROLE: (roles.read, roles.PROPERTIES),
    roles.POLICY: (roles.read_policy, roles.POLICY_PROPERTIES),
}
"""Types that are read here, and the properties of which CloudFormation is therefore not asked."""


def of_stacks(account: Account, stacks: Sequence[DeployedStack]) -> tuple[list[Drift], list[str]]:
    """What drifted, and the resources and properties of which it cannot be told.

    Raises CliError where AWS refuses to say.
    """
    detections = {stack.name: _start(account, stack.name) for stack in stacks}
    found: list[Drift] = []
    unchecked: list[str] = []
    for stack in stacks:
        template = PhysicalTemplate(
            stack=stack.name,
            content=stack.template.content,
            place=stack.template.place,
            physical_ids=account.physical_ids(stack.name),
            parameters=stack.parameters,
            tags=stack.tags,
        )
        checked, differences = _of_cloudformation(account, template, detections[stack.name])
        differences = [*_read(account, template), *differences]
        found += [_drift(template, logical_id, one) for logical_id, one in differences if not one.is_unknown]
        unknown = [(logical_id, one.property) for logical_id, one in differences if one.is_unknown]
        unchecked += [
            f"{name} of {template.labels[logical_id]} of {stack.name}" for logical_id, name in dict.fromkeys(unknown)
        ]
        unchecked += [
            f"{template.labels[one.logical_id]} of {stack.name}"
            for one in template.resources.values()
            if one.type not in READERS and one.logical_id not in checked
        ]
    return found, unchecked


def _drift(template: PhysicalTemplate, logical_id: str, difference: Difference) -> Drift:
    gone = GONE_INTERPRETER if template.resources[logical_id].type == INTERPRETER else GONE
    return Drift(
        stack=template.stack,
        resource=template.labels[logical_id],
        property=difference.property,
        expected=difference.expected,
        found=difference.found,
        remedy=gone if difference.is_gone else CHANGED,
    )


def _start(account: Account, stack: str) -> str:
    with failing_as_messages("cloudformation:DetectStackDrift, and to read what the stack has; or --no-drift"):
        return account.session.client("cloudformation").detect_stack_drift(StackName=stack)["StackDriftDetectionId"]


def _of_cloudformation(
    account: Account, template: PhysicalTemplate, detection: str
) -> tuple[set[str], list[tuple[str, Difference]]]:
    """The resources that CloudFormation compared, and what it found but for what is read here."""
    client = account.session.client("cloudformation")
    end = time.monotonic() + LONGEST_SECONDS
    checked = set[str]()
    found: list[tuple[str, Difference]] = []
    with failing_as_messages("cloudformation:DescribeStackDriftDetectionStatus and DescribeStackResourceDrifts"):
        while (
            client.describe_stack_drift_detection_status(StackDriftDetectionId=detection)["DetectionStatus"]
            == "DETECTION_IN_PROGRESS"
        ):
            if time.monotonic() > end:
                raise CliError(f"CloudFormation still looks for drift of {template.stack}: try again, or --no-drift")
            time.sleep(2)
        token: dict[str, Any] = {}
        while True:
            page = cast("dict[str, Any]", client.describe_stack_resource_drifts(StackName=template.stack, **token))
            for one in page["StackResourceDrifts"]:
                logical_id = one["LogicalResourceId"]
                if one["StackResourceDriftStatus"] in COMPARED and logical_id in template.resources:
                    checked.add(logical_id)
                    found += [(logical_id, each) for each in _told(template.resources[logical_id].type, one)]
            if not page.get("NextToken"):
                return checked, found
            token = {"NextToken": page["NextToken"]}


def _told(kind: str, drift: Mapping[str, Any]) -> Iterator[Difference]:
    read_here = READERS[kind][1] if kind in READERS else ()
    if drift["StackResourceDriftStatus"] == "DELETED" and not read_here:
        yield Difference.gone()
    for each in drift.get("PropertyDifferences", ()):
        path = str(each["PropertyPath"]).strip("/").replace("/", ".")
        if path.partition(".")[0] not in read_here:
            yield Difference(path, str(each["ExpectedValue"]), str(each["ActualValue"]))


def _read(account: Account, template: PhysicalTemplate) -> Iterator[tuple[str, Difference]]:
    for logical_id, one in template.resources.items():
        if one.type in READERS and logical_id in template.physical_ids:
            with failing_as_messages("the read actions of IAM, S3 and AgentCore; or --no-drift"):
                yield from ((logical_id, each) for each in READERS[one.type][0](account, template, logical_id))
