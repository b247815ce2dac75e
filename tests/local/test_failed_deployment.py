"""A failed deployment keeps the previous state and leaves no new resources."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import boto3
import pytest

from local_agentcore.faults import Rule
from local_aws.settings import ACCOUNT, REGION
from sandpiper import workflow
from sandpiper.errors import CliError
from tests.support.environments import HEAD

if TYPE_CHECKING:
    from pathlib import Path

    from local_agentcore.admin_client import FaultInjector
    from tests.support.environments import Environments

QUOTA = Rule("error", "CreateCodeInterpreter", code="ServiceQuotaExceededException")
"""Injected fault: the quota of interpreters is used up."""
BEFORE = "interpreters:\n  sandbox:\n"
AFTER = "interpreters:\n  sandbox:\n    description: The next one\n"


@dataclass(frozen=True)
class RemainingResources:
    """Resources of a tenant's stack that exist in the account."""

    interpreters: list[str]
    roles: list[str]
    functions: list[str]
    workflows: list[str]
    log_groups: list[str]


def remaining_resources(environment: str) -> RemainingResources:
    prefix = f"sandpiper-{environment}-main"
    control: Any = boto3.client("bedrock-agentcore-control")
    interpreters = control.list_code_interpreters(type="CUSTOM", maxResults=100)["codeInterpreterSummaries"]
    return RemainingResources(
        sorted(each["codeInterpreterId"] for each in interpreters if each["name"].startswith(f"{environment}__")),
        named(boto3.client("iam").list_roles()["Roles"], "RoleName", prefix),
        named(boto3.client("lambda").list_functions()["Functions"], "FunctionName", prefix),
        named(boto3.client("stepfunctions").list_state_machines()["stateMachines"], "name", prefix),
        named(boto3.client("logs").describe_log_groups()["logGroups"], "logGroupName", prefix),
    )


def named(items: Any, key: str, part: str) -> list[str]:
    return sorted(each[key] for each in items if part in each[key])


def status(stack: str) -> str:
    return boto3.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"]


def reasons(cloudformation: Any, stack: str) -> str:
    events = cloudformation.describe_stack_events(StackName=stack)["StackEvents"]
    return "; ".join(each["ResourceStatusReason"] for each in events if each["ResourceStatus"].endswith("FAILED"))


def run(environments: Environments, file: Path, code: str) -> str:
    tenant = environments.tenant(file, "main")
    completed = workflow.run(boto3.Session(), tenant, {"code": code}, [], environments.folder / "out", lambda _: None)
    return completed.result["stdout"].strip()


def test_failed_update_keeps_the_interpreter_and_its_sessions(
    environments: Environments, faults: FaultInjector
) -> None:
    file = environments.write("updated", BEFORE)
    environments.deploy(file)
    old, before = environments.tenant(file, "main").interpreters["sandbox"], remaining_resources("updated")
    data: Any = boto3.client("bedrock-agentcore")
    session = data.start_code_interpreter_session(codeInterpreterIdentifier=old)["sessionId"]

    def in_session(code: str) -> str:
        response = data.invoke_code_interpreter(
            codeInterpreterIdentifier=old,
            sessionId=session,
            name="executeCode",
            arguments={"code": code, "language": "python"},
        )
        (result,) = [event["result"] for event in response["stream"] if "result" in event]
        return result["structuredContent"]["stdout"].strip()

    in_session("kept = 6 * 7")

    environments.write("updated", AFTER)
    faults.inject(QUOTA)
    with pytest.raises(CliError, match="ServiceQuotaExceededException"):
        environments.deploy(file)
    assert status("sandpiper-updated-main") == "UPDATE_ROLLBACK_COMPLETE"
    assert "ServiceQuotaExceededException" in reasons(boto3.client("cloudformation"), "sandpiper-updated-main")
    assert in_session("print(kept)") == "42"
    assert run(environments, file, "print('unchanged')") == "unchanged"
    assert remaining_resources("updated") == before
    assert before.interpreters == [old]

    faults.clear()
    environments.deploy(file)
    assert status("sandpiper-updated-main") == "UPDATE_COMPLETE"
    assert run(environments, file, "print('again')") == "again"
    (new,) = remaining_resources("updated").interpreters
    assert new != old


def test_failed_first_deployment_keeps_the_bucket(environments: Environments, faults: FaultInjector) -> None:
    file = environments.write("first", BEFORE)
    faults.inject(QUOTA)
    with pytest.raises(CliError, match="ServiceQuotaExceededException"):
        environments.deploy(file)
    assert status("sandpiper-first-main") == "ROLLBACK_COMPLETE"
    assert remaining_resources("first") == RemainingResources([], [], [], [], [])
    assert status("sandpiper-first-storage") == "CREATE_COMPLETE"
    assert named(boto3.client("s3").list_buckets()["Buckets"], "Name", "sandpiper-first-")

    faults.clear()
    environments.deploy(file)
    assert run(environments, file, "print('now')") == "now"


def test_failed_first_storage_deployment_does_not_block_the_second(
    environments: Environments,
) -> None:
    file = environments.write("denied", "  key: own\n" + BEFORE, head=HEAD.replace("retain: false", "retain: true"))
    iam, s3 = boto3.client("iam"), cast("Any", boto3.client("s3"))
    name = f"sandpiper-denied-{ACCOUNT}-{REGION}"
    denied = {"Effect": "Deny", "Action": "s3:PutBucketPolicy", "Resource": f"arn:aws:s3:::{name}"}
    policy = {"RoleName": f"cdk-hnb659fds-cfn-exec-role-{ACCOUNT}-{REGION}", "PolicyName": "NoBucketPolicies"}
    iam.put_role_policy(**policy, PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [denied]}))
    with pytest.raises(CliError, match="PutBucketPolicy"):
        environments.deploy(file)
    assert status("sandpiper-denied-storage") == "ROLLBACK_COMPLETE"
    cloudformation: Any = boto3.client("cloudformation")
    events = cloudformation.describe_stack_events(StackName="sandpiper-denied-storage")["StackEvents"]
    created = [each["ResourceType"] for each in events if each["ResourceStatus"] == "CREATE_COMPLETE"]
    assert {kind: created.count(kind) for kind in ("AWS::KMS::Key", "AWS::S3::Bucket")} == {
        "AWS::KMS::Key": 1,
        "AWS::S3::Bucket": 2,
    }, "the key and the buckets must be created before the failure"
    assert named(s3.list_buckets()["Buckets"], "Name", "sandpiper-denied-") == []

    iam.delete_role_policy(**policy)
    environments.deploy(file)
    assert run(environments, file, "print('now')") == "now"

    # The bucket is retained after a successful deployment.
    environments.destroy()
    assert named(s3.list_buckets()["Buckets"], "Name", "sandpiper-denied-") == [name, f"{name}-logs"]
    assert s3.get_bucket_policy(Bucket=name)["Policy"]
    for each in (name, f"{name}-logs"):
        s3.delete_bucket(Bucket=each)
