"""Detects drift: deployed resources that differ from their templates.

CloudFormation detects drift of most types. Interpreters, roles, buckets and SSM parameters are read and compared here,
because CloudFormation does not support all of them in every region, nor policies that are separate resources.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, cast

from sandpiper.aws_errors import aws_errors_as_cli_errors
from sandpiper.errors import CliError
from sandpiper.plan.resource_types import BUCKET, INTERPRETER, ROLE
from sandpiper.status import buckets, interpreters, parameters, roles
from sandpiper.status.difference import Difference
from sandpiper.status.model import Drift
from sandpiper.status.physical_template import PhysicalTemplate, physical_template

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from sandpiper.plan.deployed import Account, DeployedStack

    Comparer = Callable[[Account, PhysicalTemplate, str], Iterator[Difference]]

DETECTION_TIMEOUT_SECONDS = 600
POLL_INTERVAL_SECONDS = 2
CHANGED = "undo the change, or write it into the environment file; `cdk deploy` alone does not detect it"
DELETED = "`cdk deploy` does not restore it: create it again under that name, or delete the stack and deploy it again"
DELETED_INTERPRETER = (
    "change its description in the environment file and run `cdk deploy`, which creates a new interpreter"
)
COMPARED_STATUSES = ("IN_SYNC", "MODIFIED", "DELETED")
COMPARERS: dict[str, tuple[Comparer, tuple[str, ...]]] = {
    BUCKET: (buckets.compare, buckets.PROPERTIES),
    INTERPRETER: (interpreters.compare, interpreters.PROPERTIES),
    ROLE: (roles.compare, roles.PROPERTIES),
    parameters.PARAMETER: (parameters.compare, parameters.PROPERTIES),
    roles.POLICY: (roles.compare_policy, roles.POLICY_PROPERTIES),
}
"""Types that are compared here, with the properties for which the result of CloudFormation is ignored."""


def detect_drift(account: Account, stacks: Sequence[DeployedStack]) -> tuple[list[Drift], list[str]]:
    """Returns the drift of stacks, and the resources and properties that could not be compared.

    Raises:
        CliError: AWS refuses a call, or the detection does not end within DETECTION_TIMEOUT_SECONDS.
    """
    detections = {stack.name: _start_detection(account, stack.name) for stack in stacks}
    found: list[Drift] = []
    unchecked: list[str] = []
    for stack in stacks:
        template = physical_template(stack, account.physical_ids(stack.name))
        checked, detected = _detected_by_cloudformation(account, template, detections[stack.name])
        differences = [*_compared_here(account, template), *detected]
        found += [_drift(template, logical_id, one) for logical_id, one in differences if not one.is_unresolved]
        unresolved = [(logical_id, one.property) for logical_id, one in differences if one.is_unresolved]
        unchecked += [
            f"{name} of {template.labels[logical_id]} of {stack.name}" for logical_id, name in dict.fromkeys(unresolved)
        ]
        unchecked += [
            f"{template.labels[one.logical_id]} of {stack.name}"
            for one in template.resources.values()
            if one.type not in COMPARERS and one.logical_id not in checked
        ]
    return found, unchecked


def _drift(template: PhysicalTemplate, logical_id: str, difference: Difference) -> Drift:
    deleted = DELETED_INTERPRETER if template.resources[logical_id].type == INTERPRETER else DELETED
    return Drift(
        stack=template.stack,
        resource=template.labels[logical_id],
        property=difference.property,
        expected=difference.expected,
        found=difference.found,
        remedy=deleted if difference.is_deleted else CHANGED,
    )


def _start_detection(account: Account, stack: str) -> str:
    actions = "cloudformation:DetectStackDrift and the read actions of the stack's resources; or use --no-drift"
    with aws_errors_as_cli_errors(actions):
        return account.session.client("cloudformation").detect_stack_drift(StackName=stack)["StackDriftDetectionId"]


def _detected_by_cloudformation(
    account: Account, template: PhysicalTemplate, detection: str
) -> tuple[set[str], list[tuple[str, Difference]]]:
    """Returns the logical IDs that CloudFormation compared, and its differences except those that are compared here."""
    client = account.session.client("cloudformation")
    checked = set[str]()
    found: list[tuple[str, Difference]] = []
    with aws_errors_as_cli_errors(
        "cloudformation:DescribeStackDriftDetectionStatus and cloudformation:DescribeStackResourceDrifts"
    ):
        _wait_for_detection(client, template.stack, detection)
        token: dict[str, Any] = {}
        while True:
            page = cast("dict[str, Any]", client.describe_stack_resource_drifts(StackName=template.stack, **token))
            for one in page["StackResourceDrifts"]:
                logical_id = one["LogicalResourceId"]
                if one["StackResourceDriftStatus"] in COMPARED_STATUSES and logical_id in template.resources:
                    checked.add(logical_id)
                    found += [(logical_id, each) for each in _differences(template.resources[logical_id].type, one)]
            if not page.get("NextToken"):
                return checked, found
            token = {"NextToken": page["NextToken"]}


def _wait_for_detection(client: Any, stack: str, detection: str) -> None:
    end = time.monotonic() + DETECTION_TIMEOUT_SECONDS
    while (
        client.describe_stack_drift_detection_status(StackDriftDetectionId=detection)["DetectionStatus"]
        == "DETECTION_IN_PROGRESS"
    ):
        if time.monotonic() > end:
            raise CliError(
                f"CloudFormation did not finish drift detection of {stack} within {DETECTION_TIMEOUT_SECONDS} s: try "
                "again, or use --no-drift"
            )
        time.sleep(POLL_INTERVAL_SECONDS)


def _differences(resource_type: str, drift: Mapping[str, Any]) -> Iterator[Difference]:
    compared_here = COMPARERS[resource_type][1] if resource_type in COMPARERS else ()
    if drift["StackResourceDriftStatus"] == "DELETED" and not compared_here:
        yield Difference.deleted()
    for each in drift.get("PropertyDifferences", ()):
        path = str(each["PropertyPath"]).strip("/").replace("/", ".")
        if path.partition(".")[0] not in compared_here:
            yield Difference(path, str(each["ExpectedValue"]), str(each["ActualValue"]))


def _compared_here(account: Account, template: PhysicalTemplate) -> Iterator[tuple[str, Difference]]:
    for logical_id, one in template.resources.items():
        if one.type in COMPARERS and logical_id in template.physical_ids:
            with aws_errors_as_cli_errors("the read actions of IAM, S3, SSM and AgentCore; or use --no-drift"):
                yield from ((logical_id, each) for each in COMPARERS[one.type][0](account, template, logical_id))
