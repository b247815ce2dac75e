"""Callers run code in their interpreter only, and the code has the permissions of the execution role."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError

from sandpiper_contract.aws import MANAGED_INTERPRETER
from tests.support.account import ACCOUNT
from tests.support.iam import Role, allow, document
from tests.support.status import DRIFTED, IN_SYNC, read_status
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
    """Two callers, a role that is no caller, roles for data, and the execution role of the second interpreter."""
    iam, unique = boto3.client("iam"), uuid.uuid4().hex[:8]
    account = {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
    service = {"Service": "bedrock-agentcore.amazonaws.com"}
    callers = ("agent", "other", "stranger", "reader", "writer", "administrator")
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
    assert read_status(file, IN_SYNC)["drift"] == []
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
