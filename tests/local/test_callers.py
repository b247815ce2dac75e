"""Roles that may run code in an interpreter run it there and nowhere else; the code reads what its own role may."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.local.target import ON_AWS
from tests.local.test_service_roles import ACCOUNT, Role, allow, document
from tests.local.test_status import AS_IT_SHOULD_BE, DRIFTED, as_json

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from sandpiper.deployment import Deployment
    from tests.local.environments import Environments

pytestmark = pytest.mark.skipif(ON_AWS, reason="it makes roles and an environment")
INTERPRETERS = """\
  key: own
interpreters:
  first:
    callers: [{agent.arn}]
  second:
    execution_role: {given.arn}
    callers: [{other.arn}]
"""
TRIES = """
import boto3
from botocore.exceptions import ClientError
s3 = boto3.client("s3")
def tries(what, call, **arguments):
    try:
        answer = call(Bucket="{bucket}", **arguments)
        print(what, answer["Body"].read().decode() if "Body" in answer else "done")
    except ClientError as error:
        said = error.response["Error"]
        print(what, said["Code"], said["Message"].partition("perform: ")[2].partition(" ")[0])
"""


@dataclass(frozen=True)
class Code:
    """Sessions of an interpreter, as somebody who signs."""

    session: boto3.Session
    interpreter: str

    @property
    def _data(self) -> Any:
        session: Any = self.session
        return session.client("bedrock-agentcore")

    def start(self) -> str:
        return self._data.start_code_interpreter_session(codeInterpreterIdentifier=self.interpreter)["sessionId"]

    def run(self, code: str, session: str) -> list[str]:
        """The lines that it prints."""
        answer = self._data.invoke_code_interpreter(
            codeInterpreterIdentifier=self.interpreter,
            sessionId=session,
            name="executeCode",
            arguments={"code": code, "language": "python"},
        )
        (result,) = [event["result"]["structuredContent"] for event in answer["stream"] if "result" in event]
        assert result["exitCode"] == 0, result["stderr"]
        return result["stdout"].splitlines()

    def live(self) -> list[Any]:
        return self._data.list_code_interpreter_sessions(codeInterpreterIdentifier=self.interpreter)["items"]

    def stop(self, session: str) -> None:
        self._data.stop_code_interpreter_session(codeInterpreterIdentifier=self.interpreter, sessionId=session)


@pytest.fixture
def roles(bootstrapped: None) -> Generator[dict[str, Role]]:  # noqa: ARG001 - boto3 talks to it
    """Two callers, a stranger, and whom code of the second interpreter acts as."""
    iam, unique = boto3.client("iam"), uuid.uuid4().hex[:8]
    account = {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
    service = {"Service": "bedrock-agentcore.amazonaws.com"}
    trusted = {"agent": account, "other": account, "stranger": account, "given": service}
    made = {name: Role(f"{name}-{unique}") for name in trusted}
    for name, principal in trusted.items():
        trust = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
        policy = json.dumps({"Version": "2012-10-17", "Statement": trust})
        iam.create_role(RoleName=made[name].name, AssumeRolePolicyDocument=policy)
    yield made
    for role in made.values():
        for name in iam.list_role_policies(RoleName=role.name)["PolicyNames"]:
            iam.delete_role_policy(RoleName=role.name, PolicyName=name)
        iam.delete_role(RoleName=role.name)


def tries(place: Deployment, *calls: str) -> str:
    """A program that does each and says how it went."""
    return TRIES.format(bucket=place.bucket) + "\n".join(f"tries({call})" for call in calls)


def put(what: str, key: str) -> str:
    return f"'{what}', s3.put_object, Key='{key}', Body=b'{what}'"


def get(what: str, key: str) -> str:
    return f"'{what}', s3.get_object, Key='{key}'"


def test_callers_run_code_in_their_interpreter_which_reads_what_its_role_may(
    environments: Environments, roles: dict[str, Role]
) -> None:
    file = environments.write("called", INTERPRETERS.format(**roles))
    environments.deploy(file)
    place = environments.tenant(file, "main")
    first, second = (f"{place.prefix}/sandbox/{key}" for key in ("first", "second"))
    s3: Any = boto3.client("s3")
    for folder in (first, second):
        s3.put_object(Bucket=place.bucket, Key=f"{folder}/before.txt", Body=b"was there")

    agent, other, stranger = (roles[name].session() for name in ("agent", "other", "stranger"))
    mine = Code(agent, place.interpreters["first"])
    session = mine.start()
    wants = (
        put("kept", f"{first}/kept.txt"),
        get("own", f"{first}/before.txt"),
        get("of the second", f"{second}/before.txt"),
        get("an input", f"{place.prefix}/inputs/a.txt"),
        put("beside", f"{second}/kept.txt"),
    )
    assert mine.run(tries(place, *wants), session) == [
        "kept done",
        "own was there",
        "of the second AccessDenied s3:GetObject",
        "an input AccessDenied s3:GetObject",
        "beside AccessDenied s3:PutObject",
    ]
    assert s3.head_object(Bucket=place.bucket, Key=f"{first}/kept.txt")["ServerSideEncryption"] == "aws:kms"

    refused(lambda: Code(agent, place.interpreters["second"]).start(), "StartCodeInterpreterSession")
    refused(lambda: Code(agent, "aws.codeinterpreter.v1").start(), "StartCodeInterpreterSession")
    refused(mine.live, "ListCodeInterpreterSessions")
    refused(lambda: agent.client("s3").get_object(Bucket=place.bucket, Key=f"{first}/before.txt"), "s3:GetObject")
    for foreign in (other, stranger):
        theirs = Code(foreign, place.interpreters["first"])
        refused(theirs.start, "StartCodeInterpreterSession")
        refused(lambda theirs=theirs: theirs.run("print(1)", session), "InvokeCodeInterpreter")
        refused(lambda theirs=theirs: theirs.stop(session), "StopCodeInterpreterSession")
    mine.stop(session)

    acts_as_the_role_that_exists(place, Code(other, place.interpreters["second"]), roles["given"], second)
    what_changes_by_hand_is_shown(file, place, roles["agent"])


def acts_as_the_role_that_exists(place: Deployment, theirs: Code, given: Role, folder: str) -> None:
    """Code of the second interpreter has that role's permissions as they are, those of the key among them."""
    objects = allow("s3:GetObject", "s3:PutObject", resource=f"arn:aws:s3:::{place.bucket}/{folder}/*")
    session = theirs.start()
    wants = tries(place, get("own", f"{folder}/before.txt"), put("kept", f"{folder}/kept.txt"))
    assert theirs.run(wants, session) == ["own AccessDenied s3:GetObject", "kept AccessDenied s3:PutObject"]
    given.may(objects)
    assert theirs.run(wants, session) == ["own AccessDenied kms:Decrypt", "kept AccessDenied kms:GenerateDataKey"]
    given.may(objects, allow("kms:Decrypt", "kms:GenerateDataKey"))
    assert theirs.run(wants, session) == ["own was there", "kept done"]
    theirs.stop(session)


def what_changes_by_hand_is_shown(file: Path, place: Deployment, agent: Role) -> None:
    """A caller that may more, and a bucket without its key."""
    assert as_json(file, AS_IT_SHOULD_BE)["drift"] == []
    iam, s3 = boto3.client("iam"), boto3.client("s3")
    (name,) = iam.list_role_policies(RoleName=agent.name)["PolicyNames"]
    more = allow("bedrock-agentcore:ListCodeInterpreterSessions")
    iam.put_role_policy(RoleName=agent.name, PolicyName=name, PolicyDocument=document(more))
    s3.delete_bucket_encryption(Bucket=place.bucket)
    drift = as_json(file, DRIFTED)["drift"]
    found = {(one["property"], one["found"]) for one in drift}
    assert found >= {
        (f"policy of role {agent.name}", "may bedrock-agentcore:ListCodeInterpreterSessions on *"),
        ("BucketEncryption.SSEAlgorithm", "AES256"),
        ("BucketEncryption.KMSMasterKeyID", "nothing"),
        ("BucketEncryption.BucketKeyEnabled", "false"),
    }
    (missing,) = (one["expected"] for one in drift if one["expected"].startswith("may "))
    assert "bedrock-agentcore:StartCodeInterpreterSession" in missing
    assert place.interpreters["first"] in missing


def refused(call: Any, action: str) -> None:
    with pytest.raises(ClientError, match=action) as raised:
        call()
    assert raised.value.response.get("Error", {}).get("Code") in ("AccessDenied", "AccessDeniedException")
