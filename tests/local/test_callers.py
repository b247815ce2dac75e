"""Callers run code in their interpreter only, with the permissions of its role. Starters start their workflow only."""

from __future__ import annotations

import json
import re
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from sandpiper_contract.aws import MANAGED_INTERPRETER
from tests.support.account import ACCOUNT
from tests.support.iam import Role, allow, document
from tests.support.status import DRIFTED, read_status
from tests.support.target import ON_AWS

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from sandpiper.deployment import Deployment
    from tests.support.environments import Environments

pytestmark = pytest.mark.skipif(ON_AWS, reason="creates roles and an environment")
INTERPRETERS = """\
  key: own
readers: [{reader.arn}]
writers: [{writer.arn}]
administrators: [{administrator.arn}]
interpreters:
  first:
    callers: [{agent.arn}]
  second:
    execution_role: {existing.arn}
    callers: [{other.arn}]
workflows:
  run-code:
    starters: [{starter.arn}]
    readers: [{auditor.arn}]
  run-code-express:
    starters: [{starter.arn}]
"""
PROGRAM = """
import boto3
from botocore.exceptions import ClientError
s3 = boto3.client("s3")
def attempt(name, call, **arguments):
    try:
        response = call(Bucket="{bucket}", **arguments)
        print(name, response["Body"].read().decode() if "Body" in response else "done")
    except ClientError as error:
        details = error.response["Error"]
        print(name, details["Code"], details["Message"].partition("perform: ")[2].partition(" ")[0])
"""


@dataclass(frozen=True)
class Sessions:
    """Sessions of an interpreter, for one caller."""

    session: boto3.Session
    interpreter: str

    @property
    def _data(self) -> Any:
        session: Any = self.session
        return session.client("bedrock-agentcore")

    def start(self) -> str:
        return self._data.start_code_interpreter_session(codeInterpreterIdentifier=self.interpreter)["sessionId"]

    def run(self, code: str, session: str) -> list[str]:
        """Runs a program. Returns the lines that it prints."""
        response = self._data.invoke_code_interpreter(
            codeInterpreterIdentifier=self.interpreter,
            sessionId=session,
            name="executeCode",
            arguments={"code": code, "language": "python"},
        )
        (result,) = [event["result"]["structuredContent"] for event in response["stream"] if "result" in event]
        assert result["exitCode"] == 0, result["stderr"]
        return result["stdout"].splitlines()

    def live(self) -> list[Any]:
        return self._data.list_code_interpreter_sessions(codeInterpreterIdentifier=self.interpreter)["items"]

    def stop(self, session: str) -> None:
        self._data.stop_code_interpreter_session(codeInterpreterIdentifier=self.interpreter, sessionId=session)


@pytest.fixture
def roles(bootstrapped: None) -> Generator[dict[str, Role]]:  # noqa: ARG001 - used by boto3
    """Two callers, a role that is no caller, roles for data and workflows, and the second execution role."""
    iam, unique = boto3.client("iam"), uuid.uuid4().hex[:8]
    account = {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
    service = {"Service": "bedrock-agentcore.amazonaws.com"}
    callers = ("agent", "other", "stranger", "reader", "writer", "administrator", "starter", "auditor")
    trusted = {**dict.fromkeys(callers, account), "existing": service}
    roles = {name: Role(f"{name}-{unique}") for name in trusted}
    for name, principal in trusted.items():
        trust = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
        policy = json.dumps({"Version": "2012-10-17", "Statement": trust})
        iam.create_role(RoleName=roles[name].name, AssumeRolePolicyDocument=policy)
    yield roles
    for role in roles.values():
        for name in iam.list_role_policies(RoleName=role.name)["PolicyNames"]:
            iam.delete_role_policy(RoleName=role.name, PolicyName=name)
        iam.delete_role(RoleName=role.name)


def program(deployment: Deployment, *calls: str) -> str:
    """Returns a program that makes each call and prints its result."""
    return PROGRAM.format(bucket=deployment.bucket) + "\n".join(f"attempt({call})" for call in calls)


def put(name: str, key: str) -> str:
    return f"'{name}', s3.put_object, Key='{key}', Body=b'{name}'"


def get(name: str, key: str) -> str:
    return f"'{name}', s3.get_object, Key='{key}'"


def test_callers_run_code_in_their_interpreter_with_the_permissions_of_its_role(
    environments: Environments, roles: dict[str, Role]
) -> None:
    file = environments.write("called", INTERPRETERS.format(**roles))
    environments.deploy(file)
    deployment = environments.tenant(file, "main")
    first, second = (f"{deployment.prefix}/sandbox/{key}" for key in ("first", "second"))
    s3: Any = boto3.client("s3")
    for folder in (first, second):
        s3.put_object(Bucket=deployment.bucket, Key=f"{folder}/before.txt", Body=b"existing")

    agent, other, stranger = (roles[name].session() for name in ("agent", "other", "stranger"))
    sessions = Sessions(agent, deployment.interpreters["first"])
    session = sessions.start()
    calls = (
        put("stored", f"{first}/stored.txt"),
        get("own", f"{first}/before.txt"),
        get("other interpreter", f"{second}/before.txt"),
        get("input", f"{deployment.prefix}/inputs/a.txt"),
        put("other folder", f"{second}/stored.txt"),
    )
    assert sessions.run(program(deployment, *calls), session) == [
        "stored done",
        "own existing",
        "other interpreter AccessDenied s3:GetObject",
        "input AccessDenied s3:GetObject",
        "other folder AccessDenied s3:PutObject",
    ]
    assert s3.head_object(Bucket=deployment.bucket, Key=f"{first}/stored.txt")["ServerSideEncryption"] == "aws:kms"

    assert_denied(lambda: Sessions(agent, deployment.interpreters["second"]).start(), "StartCodeInterpreterSession")
    assert_denied(lambda: Sessions(agent, MANAGED_INTERPRETER).start(), "StartCodeInterpreterSession")
    assert_denied(sessions.live, "ListCodeInterpreterSessions")
    assert_denied(
        lambda: agent.client("s3").get_object(Bucket=deployment.bucket, Key=f"{first}/before.txt"), "s3:GetObject"
    )
    for principal in (other, stranger):
        others = Sessions(principal, deployment.interpreters["first"])
        assert_denied(others.start, "StartCodeInterpreterSession")
        assert_denied(lambda others=others: others.run("print(1)", session), "InvokeCodeInterpreter")
        assert_denied(lambda others=others: others.stop(session), "StopCodeInterpreterSession")
    sessions.stop(session)

    check_permissions_of_an_existing_role(
        deployment, Sessions(other, deployment.interpreters["second"]), roles["existing"], second
    )
    check_access_of_named_roles(deployment, roles)
    reader = check_readers_of_the_workflow(deployment, roles)
    check_starters_of_the_workflow(deployment, roles["starter"], reader)
    check_drift(file, deployment, roles["agent"])


def check_access_of_named_roles(deployment: Deployment, roles: dict[str, Role]) -> None:
    """With the same permissions, each role has the access that the environment file gives it."""
    s3: Any = boto3.client("s3")
    parts = {
        "input": f"{deployment.prefix}/inputs/a.csv",
        "output": f"{deployment.prefix}/runs/report/e1/S/files/a.csv",
        "record": f"{deployment.prefix}/runs/report/e1/S/claim.json",
    }
    for key in parts.values():
        s3.put_object(Bucket=deployment.bucket, Key=key, Body=b"existing")
    expected = {"stranger": ("", ""), "reader": ("input output record", ""), "writer": ("input output record", "input"),
                "administrator": ("input output record", "input output")}  # fmt: skip
    for name, (readable, writable) in expected.items():
        roles[name].set_permissions(allow("s3:*", "kms:*"))
        client: Any = roles[name].session().client("s3")
        assert (
            " ".join(part for part, key in parts.items() if not is_denied(client.get_object, deployment.bucket, key))
            == readable
        )
        writes: list[tuple[Any, dict[str, Any]]] = [
            (client.put_object, {"Body": b"changed"}),
            (client.put_object_tagging, {"Tagging": {"TagSet": []}}),
            (client.delete_object, {}),
        ]
        for call, arguments in writes:
            assert (
                " ".join(
                    part for part, key in parts.items() if not is_denied(call, deployment.bucket, key, **arguments)
                )
                == writable
            )
        for key in parts.values():
            s3.put_object(Bucket=deployment.bucket, Key=key, Body=b"existing")


def outputs_of(stack: str) -> dict[str, str]:
    (found,) = boto3.client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
    return {each.get("OutputKey", ""): each.get("OutputValue", "") for each in found.get("Outputs", [])}


def refuses(call: Any, **arguments: Any) -> bool:
    """Returns whether a call lacks a permission."""
    try:
        call(**arguments)
    except ClientError as error:
        assert "not authorized to perform" in str(error), error
        return True
    return False


def check_readers_of_the_workflow(deployment: Deployment, roles: dict[str, Role]) -> str:
    """A reader assumes a role that reads executions and `runs/`, and does nothing else. Returns the ARN of the role."""
    s3, states = boto3.client("s3"), boto3.client("stepfunctions")
    workflow = deployment.run_code_arn
    started = states.start_execution(stateMachineArn=workflow, input=json.dumps({"code": "print('secret')"}))
    execution = wait_for(states, started["executionArn"])
    other = workflow.replace("-main-", "-other-")
    result, secret = f"{deployment.prefix}/runs/read/e1/S/files/a.csv", "tenants/other/runs/read/e1/S/files/a.csv"
    for key in (result, secret, f"{deployment.prefix}/inputs/b.csv", f"{deployment.prefix}/sandbox/first/b.csv"):
        s3.put_object(Bucket=deployment.bucket, Key=key, Body=b"existing")

    arn = outputs_of("sandpiper-called-main")["ReaderRoleRunCode"]
    for name in ("stranger", "starter", "reader"):
        session: Any = roles[name].session()
        assert refuses(session.client("sts").assume_role, RoleArn=arn, RoleSessionName="test"), name
    auditor: Any = roles["auditor"].session()
    assert refuses(auditor.client("stepfunctions").list_executions, stateMachineArn=workflow)
    assumed = auditor.client("sts").assume_role(RoleArn=arn, RoleSessionName="test")["Credentials"]
    session = boto3.Session(assumed["AccessKeyId"], assumed["SecretAccessKey"], assumed["SessionToken"])
    client: Any = session.client("stepfunctions")
    assert execution in [
        each["executionArn"] for each in client.list_executions(stateMachineArn=workflow)["executions"]
    ]
    assert "secret" in client.describe_execution(executionArn=execution)["output"]
    assert client.get_execution_history(executionArn=execution)["events"]
    assert refuses(client.start_execution, stateMachineArn=workflow, input="{}")
    assert refuses(client.stop_execution, executionArn=execution)
    assert refuses(client.describe_state_machine, stateMachineArn=workflow)
    assert refuses(client.list_executions, stateMachineArn=other)
    assert refuses(client.describe_execution, executionArn=execution.replace("-main-", "-other-"))

    objects: Any = session.client("s3")
    bucket = {"Bucket": deployment.bucket}
    assert objects.get_object(**bucket, Key=result)["Body"].read() == b"existing"
    assert objects.list_objects_v2(**bucket, Prefix=f"{deployment.prefix}/runs/")["KeyCount"] > 0
    assert refuses(objects.list_objects_v2, **bucket, Prefix="tenants/other/runs/")
    for key in (secret, f"{deployment.prefix}/inputs/b.csv", f"{deployment.prefix}/sandbox/first/b.csv"):
        assert refuses(objects.get_object, **bucket, Key=key), key
    for call, arguments in ((objects.put_object, {"Body": b"forged"}), (objects.delete_object, {})):
        assert refuses(call, **bucket, Key=result, **arguments)
    assert refuses(session.client("lambda").invoke, FunctionName=function_of(workflow))
    return arn


def check_starters_of_the_workflow(deployment: Deployment, starter: Role, reader: str) -> None:
    """A starter starts, describes and stops executions of its workflows, and does nothing else."""
    session: Any = starter.session()
    client: Any = session.client("stepfunctions")
    workflow = deployment.run_code_arn
    started = client.start_execution(stateMachineArn=workflow, input=json.dumps({"code": "print('started')"}))
    execution = wait_for(client, started["executionArn"])
    assert "started" in client.describe_execution(executionArn=execution)["output"]
    long = client.start_execution(stateMachineArn=workflow, input=json.dumps({"code": "import time; time.sleep(60)"}))
    client.stop_execution(executionArn=long["executionArn"])
    assert client.describe_execution(executionArn=long["executionArn"])["status"] == "ABORTED"

    # The client sends StartSyncExecution to a host with the prefix `sync-`, which does not exist on loopback.
    express: Any = session.client("stepfunctions", config=Config(inject_host_prefix=False))
    request = json.dumps({"code": "print('express')"})
    result = express.start_sync_execution(stateMachineArn=f"{workflow}-express", input=request)
    assert "express" in json.loads(result["output"])["stdout"]

    other = workflow.replace("-main-", "-other-")
    calls: list[tuple[Any, dict[str, Any]]] = [
        (client.start_execution, {"stateMachineArn": other, "input": "{}"}),
        (express.start_sync_execution, {"stateMachineArn": f"{other}-express", "input": "{}"}),
        (client.describe_execution, {"executionArn": execution.replace("-main-", "-other-")}),
        (client.stop_execution, {"executionArn": execution.replace("-main-", "-other-")}),
        (client.list_executions, {"stateMachineArn": workflow}),
        (client.get_execution_history, {"executionArn": execution}),
        (client.describe_state_machine, {"stateMachineArn": workflow}),
        (client.update_state_machine, {"stateMachineArn": workflow, "definition": "{}"}),
        (session.client("lambda").invoke, {"FunctionName": function_of(workflow)}),
        (session.client("sts").assume_role, {"RoleArn": reader, "RoleSessionName": "test"}),
    ]
    s3, bucket = session.client("s3"), {"Bucket": deployment.bucket}
    for tenant in (deployment.prefix, "tenants/other"):
        calls.append((s3.list_objects_v2, {**bucket, "Prefix": f"{tenant}/runs/"}))
        calls.append((s3.get_object, {**bucket, "Key": f"{tenant}/runs/read/e1/S/files/a.csv"}))
        calls.append((s3.put_object, {**bucket, "Key": f"{tenant}/inputs/a.csv", "Body": b""}))
    for call, arguments in calls:
        assert refuses(call, **arguments), arguments
    assert_denied(lambda: Sessions(session, deployment.interpreters["first"]).start(), "StartCodeInterpreterSession")


def wait_for(states: Any, execution: str) -> str:
    """Waits until an execution has succeeded. Returns its ARN."""
    for _ in range(600):
        described = states.describe_execution(executionArn=execution)
        if described["status"] != "RUNNING":
            assert described["status"] == "SUCCEEDED", described
            return execution
        time.sleep(0.1)
    raise AssertionError(f"{execution} still runs")


def function_of(workflow: str) -> str:
    """Returns the name of the session function in the stack of a workflow."""
    stack = workflow.rpartition(":")[2].removesuffix("-run-code")
    return outputs_of(stack)["SessionFunctionName"]


def is_denied(call: Any, bucket: str, key: str, **arguments: Any) -> bool:
    try:
        call(Bucket=bucket, Key=key, **arguments)
    except ClientError as error:
        assert "explicit deny in a resource-based policy" in str(error)
        return True
    return False


def check_permissions_of_an_existing_role(deployment: Deployment, others: Sessions, role: Role, folder: str) -> None:
    """Code of the second interpreter has the permissions of its existing role only, also for the KMS key."""
    objects = allow("s3:GetObject", "s3:PutObject", resource=f"arn:aws:s3:::{deployment.bucket}/{folder}/*")
    session = others.start()
    code = program(deployment, get("own", f"{folder}/before.txt"), put("stored", f"{folder}/stored.txt"))
    assert others.run(code, session) == ["own AccessDenied s3:GetObject", "stored AccessDenied s3:PutObject"]
    role.set_permissions(objects)
    assert others.run(code, session) == ["own AccessDenied kms:Decrypt", "stored AccessDenied kms:GenerateDataKey"]
    role.set_permissions(objects, allow("kms:Decrypt", "kms:GenerateDataKey"))
    assert others.run(code, session) == ["own existing", "stored done"]
    others.stop(session)


def check_drift(file: Path, deployment: Deployment, agent: Role) -> None:
    """`sandpiper status` shows a caller with an additional permission and a bucket without its KMS key."""
    before = read_status(file, DRIFTED)  # the existing execution role has too wide permissions
    assert before["drift"] == []
    assert before["externalResources"]
    assert not [each for each in before["unchecked"] if re.search("Callers|Starters|Readers", each)]
    iam, s3 = boto3.client("iam"), boto3.client("s3")
    (name,) = iam.list_role_policies(RoleName=agent.name)["PolicyNames"]
    extra = allow("bedrock-agentcore:ListCodeInterpreterSessions")
    iam.put_role_policy(RoleName=agent.name, PolicyName=name, PolicyDocument=document(extra))
    s3.delete_bucket_encryption(Bucket=deployment.bucket)
    drift = read_status(file, DRIFTED)["drift"]
    differences = {(difference["property"], difference["found"]) for difference in drift}
    assert differences >= {
        (f"policy of role {agent.name}", "allows bedrock-agentcore:ListCodeInterpreterSessions on *"),
        ("BucketEncryption.SSEAlgorithm", "AES256"),
        ("BucketEncryption.KMSMasterKeyID", "nothing"),
        ("BucketEncryption.BucketKeyEnabled", "false"),
    }
    (missing,) = (each["expected"] for each in drift if each["expected"].startswith("allows "))
    assert "bedrock-agentcore:StartCodeInterpreterSession" in missing
    assert deployment.interpreters["first"] in missing


def assert_denied(call: Any, action: str) -> None:
    with pytest.raises(ClientError, match=action) as raised:
        call()
    assert raised.value.response.get("Error", {}).get("Code") in ("AccessDenied", "AccessDeniedException")
