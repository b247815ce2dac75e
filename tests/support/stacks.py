"""Creates and deletes CloudFormation stacks, and reads their events."""

from __future__ import annotations

import json
import time
import uuid
from typing import TYPE_CHECKING, Any

import boto3

from tests.support.account import ACCOUNT

if TYPE_CHECKING:
    from collections.abc import Mapping


def wait_until_settled(stack_id: str) -> str:
    """Waits until an operation on a stack ends. Returns the status."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        status = boto3.client("cloudformation").describe_stacks(StackName=stack_id)["Stacks"][0]["StackStatus"]
        if not status.endswith("IN_PROGRESS"):
            return status
        time.sleep(0.05)
    raise AssertionError(f"{stack_id} is still in progress")


def reasons(stack_id: str, status: str) -> list[str]:
    """Returns the reasons of events that set a resource to a status."""
    events = boto3.client("cloudformation").describe_stack_events(StackName=stack_id)["StackEvents"]
    return [
        event.get("ResourceStatusReason", "")
        for event in events
        if event.get("ResourceStatus") == status and event.get("ResourceType") != "AWS::CloudFormation::Stack"
    ]


def create(template: Mapping[str, Any], session: Any = boto3, **options: Any) -> tuple[str, str]:
    """Creates a stack. Returns its ID and the final status."""
    stack_id: str = session.client("cloudformation").create_stack(
        StackName=f"evaluated-{uuid.uuid4().hex[:8]}",
        TemplateBody=json.dumps(template),
        Capabilities=["CAPABILITY_NAMED_IAM"],
        **options,
    )["StackId"]
    return stack_id, wait_until_settled(stack_id)


def delete(stack_id: str, **options: Any) -> str:
    """Deletes a stack. Returns the final status."""
    boto3.client("cloudformation").delete_stack(StackName=stack_id, **options)
    return wait_until_settled(stack_id)


def access_denied_reason(role_name: str, action: str) -> str:
    """Returns the beginning of the reason when CloudFormation's role lacks an action."""
    return (
        f'Resource handler returned message: "User: arn:aws:sts::{ACCOUNT}:assumed-role/{role_name}/AWSCloudFormation '
        f"is not authorized to perform: {action} on resource: "
    )
