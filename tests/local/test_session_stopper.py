"""Deletes, updates and rolls back the ten-line example while its interpreter has live sessions."""

from __future__ import annotations

import json
import sys
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from code_runner.agentcore.deadline import Deadline
from code_runner.custom_resources.session_stopper import SessionsStillLive, stop_all
from sandpiper.cdk_cli import PROJECT
from tests.support.cdk_commands import cdk
from tests.support.target import ON_AWS

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from local_aws.running_instance import RunningInstance

pytestmark = pytest.mark.skipif(ON_AWS, reason="it deploys an example and removes grants")

EXAMPLE = PROJECT / "examples" / "ten_line_app" / "app.py"
PATIENCE_SECONDS = 120
INTERPRETER = "AWS::BedrockAgentCore::CodeInterpreterCustom"
ENTRY = "Custom::SandpiperLiveSessions"
Template = dict[str, Any]


@pytest.fixture(scope="module")
def example(
    bootstrapped: None,  # noqa: ARG001
    tmp_path_factory: pytest.TempPathFactory,
) -> Template:
    """Returns the example's template, deployed by the CDK CLI, which also uploads its code to S3."""
    output = tmp_path_factory.mktemp("cdk.out")
    app = f"{sys.executable} {EXAMPLE}"
    cdk(["deploy", "--app", app, "--require-approval", "never", "--output", str(output)], PROJECT, print)
    return json.loads((output / "ten-lines.template.json").read_text())


def test_deployed_example_runs_code(example: Template) -> None:
    assert example["Resources"]
    stacks: Any = boto3.client("cloudformation")
    (output,) = stacks.describe_stacks(StackName="ten-lines")["Stacks"][0]["Outputs"]
    request = {"operation": "run_code", "run": {"execution": "a", "state": "b"}, "request": {"code": "print(6 * 7)"}}
    function: Any = boto3.client("lambda")
    result = json.loads(
        function.invoke(FunctionName=output["OutputValue"], Payload=json.dumps(request))["Payload"].read()
    )
    assert (result["stdout"].strip(), result["exitCode"]) == ("42", 0)


@dataclass
class Stack:
    """A copy of the example under unique names."""

    name: str
    template: Template

    @property
    def interpreter_id(self) -> str:
        """Returns the id of the current interpreter of the stack."""
        resources: Any = boto3.client("cloudformation").describe_stack_resources(StackName=self.name)["StackResources"]
        (identifier,) = (each["PhysicalResourceId"] for each in resources if each["ResourceType"] == INTERPRETER)
        return identifier

    def resource(self, type_: str) -> Template:
        """Returns the only resource of a type in the template."""
        (resource,) = (each for each in self.template["Resources"].values() if each["Type"] == type_)
        return resource

    def create(self) -> str:
        """Creates the stack and returns its status."""
        boto3.client("cloudformation").create_stack(
            StackName=self.name, TemplateBody=json.dumps(self.template), Capabilities=["CAPABILITY_IAM"]
        )
        return self.wait_until_settled()

    def update(self) -> str:
        """Updates the stack to the current template and returns its status."""
        boto3.client("cloudformation").update_stack(
            StackName=self.name, TemplateBody=json.dumps(self.template), Capabilities=["CAPABILITY_IAM"]
        )
        return self.wait_until_settled()

    def delete(self, keep: Sequence[str] = ()) -> str:
        """Deletes the stack, with a second attempt that retains some resources, and returns its status."""
        stacks: Any = boto3.client("cloudformation")
        identifier = stacks.describe_stacks(StackName=self.name)["Stacks"][0]["StackId"]
        stacks.delete_stack(StackName=self.name, RetainResources=list(keep))
        return self.wait_until_settled(identifier)

    def wait_until_settled(self, identifier: str = "") -> str:
        """Waits for the final status and returns it."""
        until, stacks = time.monotonic() + PATIENCE_SECONDS, boto3.client("cloudformation")
        while time.monotonic() < until:
            status = stacks.describe_stacks(StackName=identifier or self.name)["Stacks"][0]["StackStatus"]
            if not status.endswith("IN_PROGRESS"):
                return status
            time.sleep(0.1)
        raise AssertionError(f"{self.name} is still in progress")

    def replace_interpreter(self) -> None:
        """Changes a create-only property together with the name, as the construct does."""
        properties = self.resource(INTERPRETER)["Properties"]
        properties["Name"] = properties["Name"][:-8] + uuid.uuid4().hex[:8]
        properties["Description"] = "Changed"
        # The construct also replaces the role, because its trust policy contains the name of the interpreter.
        text = json.dumps(self.template["Resources"])
        self.template["Resources"] = json.loads(text.replace(self._name, properties["Name"]))
        self._name = properties["Name"]

    def __post_init__(self) -> None:
        self._name: str = self.resource(INTERPRETER)["Properties"]["Name"]


@pytest.fixture
def stack(example: Template) -> Generator[Stack]:
    """Deploys the example under other names and deletes it after the test."""
    unique = f"s{uuid.uuid4().hex[:8]}"
    text = json.dumps(example).replace("ten_lines", unique).replace("ten-lines", unique)
    stack = Stack(f"stack-{unique}", json.loads(text))
    assert stack.create() == "CREATE_COMPLETE"
    yield stack
    names = [
        each["StackName"]
        for each in boto3.client("cloudformation").list_stacks()["StackSummaries"]
        if each["StackStatus"] != "DELETE_COMPLETE"
    ]
    assert stack.name not in names or stack.delete() == "DELETE_COMPLETE"


def start(interpreter_id: str, count: int = 1) -> list[str]:
    data: Any = boto3.client("bedrock-agentcore")
    return [
        data.start_code_interpreter_session(codeInterpreterIdentifier=interpreter_id)["sessionId"] for _ in range(count)
    ]


def live(interpreter_id: str) -> list[str]:
    data: Any = boto3.client("bedrock-agentcore")
    sessions = data.list_code_interpreter_sessions(codeInterpreterIdentifier=interpreter_id, status="READY")["items"]
    return [each["sessionId"] for each in sessions]


def exists(interpreter_id: str) -> bool:
    control: Any = boto3.client("bedrock-agentcore-control")
    try:
        control.get_code_interpreter(codeInterpreterId=interpreter_id)
    except control.exceptions.ResourceNotFoundException:
        return False
    return True


def test_stack_with_live_sessions_is_deleted(stack: Stack) -> None:
    interpreter = stack.interpreter_id
    start(interpreter, 3)
    assert stack.delete() == "DELETE_COMPLETE"
    assert not exists(interpreter)


def test_without_the_custom_resource_the_deletion_fails(stack: Stack) -> None:
    entries = [name for name, each in stack.template["Resources"].items() if each["Type"] == ENTRY]
    for each in stack.template["Resources"].values():
        if isinstance(each.get("DependsOn"), list):
            each["DependsOn"] = [name for name in each["DependsOn"] if name not in entries]
    del stack.template["Resources"][entries[0]]
    assert stack.update() == "UPDATE_COMPLETE"
    start(stack.interpreter_id)
    assert stack.delete() == "DELETE_FAILED"
    stop_all(boto3.client("bedrock-agentcore"), stack.interpreter_id, Deadline.after(60))


def test_an_interpreter_with_live_sessions_is_replaced(stack: Stack) -> None:
    before = stack.interpreter_id
    start(before, 2)
    stack.replace_interpreter()
    assert stack.update() == "UPDATE_COMPLETE"
    after = stack.interpreter_id
    assert before != after
    assert not exists(before)
    assert exists(after)


def test_a_rollback_stops_no_session_of_the_remaining_interpreter(stack: Stack) -> None:
    before = stack.interpreter_id
    sessions = start(before, 2)
    stack.replace_interpreter()
    (entry,) = (name for name, each in stack.template["Resources"].items() if each["Type"] == ENTRY)
    broken = {"Name": "broken", "NetworkConfiguration": {"NetworkMode": "SANDBOX"}, "ExecutionRoleArn": "none"}
    stack.template["Resources"]["Broken"] = {"Type": INTERPRETER, "Properties": broken, "DependsOn": [entry]}
    assert stack.update() == "UPDATE_ROLLBACK_COMPLETE"
    assert stack.interpreter_id == before
    assert sorted(live(before)) == sorted(sessions)


def test_a_removed_interpreter_is_deleted_with_its_sessions(stack: Stack) -> None:
    before = stack.interpreter_id
    start(before)
    stack.template["Resources"] = {
        name: each
        for name, each in stack.template["Resources"].items()
        if name.startswith(("Data", "StopperRole", "StopperLogs"))
        or (name.startswith("Stopper") and each["Type"] == "AWS::Lambda::Function")
    }
    stack.template.pop("Outputs")
    assert stack.update() == "UPDATE_COMPLETE"
    assert not exists(before)


def test_an_already_deleted_interpreter_does_not_fail_the_deletion(stack: Stack) -> None:
    boto3.client("bedrock-agentcore-control").delete_code_interpreter(codeInterpreterId=stack.interpreter_id)
    assert stack.delete() == "DELETE_COMPLETE"


def test_deletion_without_permission_to_stop_sessions_fails_with_a_remedy(stack: Stack) -> None:
    iam: Any = boto3.client("iam")
    resources: Any = boto3.client("cloudformation").describe_stack_resources(StackName=stack.name)["StackResources"]
    (role,) = (
        each["PhysicalResourceId"]
        for each in resources
        if each["LogicalResourceId"].startswith("StopperRole") and each["ResourceType"] == "AWS::IAM::Role"
    )
    (grant,) = (name for name in iam.list_role_policies(RoleName=role)["PolicyNames"] if "Grant" in name)
    interpreter = stack.interpreter_id
    start(interpreter)
    iam.delete_role_policy(RoleName=role, PolicyName=grant)
    assert stack.delete() == "DELETE_FAILED"
    events: Any = boto3.client("cloudformation").describe_stack_events(StackName=stack.name)["StackEvents"]
    reasons = " ".join(each.get("ResourceStatusReason", "") for each in events)
    assert f"stop-code-interpreter-session --code-interpreter-identifier {interpreter} --session-id ID" in reasons
    assert "AccessDenied" in reasons
    # MiniStack, unlike AWS, has deleted the function that the entry needs.
    stop_all(boto3.client("bedrock-agentcore"), interpreter, Deadline.after(60))
    (entry,) = (name for name, each in stack.template["Resources"].items() if each["Type"] == ENTRY)
    assert stack.delete(keep=[entry]) == "DELETE_COMPLETE"


@pytest.fixture
def interpreter_id(aws: RunningInstance) -> Generator[str]:  # noqa: ARG001 - boto3 talks to it
    """Creates an interpreter outside any stack."""
    control: Any = boto3.client("bedrock-agentcore-control")
    identifier = control.create_code_interpreter(
        name=f"separate_{uuid.uuid4().hex[:8]}", networkConfiguration={"networkMode": "SANDBOX"}
    )["codeInterpreterId"]
    yield identifier
    if exists(identifier):
        stop_all(boto3.client("bedrock-agentcore"), identifier, Deadline.after(60))
        control.delete_code_interpreter(codeInterpreterId=identifier)


def before_stops(data: Any, do: Callable[[], object]) -> None:
    """Calls a function before each stop that the client sends."""

    def before(**_: object) -> None:
        do()

    data.meta.events.register("before-call.bedrock-agentcore.StopCodeInterpreterSession", before)


def test_session_that_starts_during_the_deletion_is_stopped(interpreter_id: str) -> None:
    first, late = start(interpreter_id), list[str]()
    data: Any = boto3.client("bedrock-agentcore")
    before_stops(data, lambda: late or late.extend(start(interpreter_id)))
    stop_all(data, interpreter_id, Deadline.after(60))
    assert (len(first), len(late), live(interpreter_id)) == (1, 1, [])


def test_a_session_that_another_caller_stops_counts_as_stopped(interpreter_id: str) -> None:
    (session,) = start(interpreter_id)
    data, other = boto3.client("bedrock-agentcore"), boto3.client("bedrock-agentcore")
    before_stops(
        data, lambda: other.stop_code_interpreter_session(codeInterpreterIdentifier=interpreter_id, sessionId=session)
    )
    stop_all(data, interpreter_id, Deadline.after(60))
    assert live(interpreter_id) == []


def test_stopping_ends_at_the_deadline_and_reports_live_sessions(interpreter_id: str) -> None:
    start(interpreter_id, 2)
    data = boto3.client("bedrock-agentcore")
    before_stops(data, lambda: start(interpreter_id))
    with pytest.raises(SessionsStillLive, match=f"sessions of {interpreter_id} may still be live"):
        stop_all(data, interpreter_id, Deadline.after(2))
