"""Every emulated operation against the service model: requests, responses and validation errors."""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError
from moto.core.utils import get_service_model  # pyright: ignore[reportMissingTypeStubs]

from local_agentcore.emulator import Emulator
from local_agentcore.errors import ValidationError
from local_agentcore.operations import OPERATIONS, SERVICES
from local_agentcore.settings import Settings
from local_agentcore.validation import validate
from sandpiper_contract.aws import MANAGED_INTERPRETER

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

MODELS: list[Any] = [get_service_model(service) for service in SERVICES]
VPC = {"subnets": ["subnet-12345678"], "securityGroups": ["sg-12345678"], "requireServiceS3Endpoint": True}
SECRET = {"location": {"secretsManager": {"secretArn": "arn:aws:secretsmanager:us-east-1:123456789012:secret:a-B1"}}}
FILE_SYSTEM = {
    "efsConfiguration": {
        "accessPointArn": "arn:aws:elasticfilesystem:us-east-1:123456789012:access-point/fsap-01234567",
        "fileSystemArn": "arn:aws:elasticfilesystem:us-east-1:123456789012:file-system/fs-01234567",
        "mountPath": "/mnt/data",
    }
}
ROLE = "arn:aws:iam::123456789012:role/execution"
EVERY_MEMBER: dict[str, Any] = {
    "name": "whole",
    "description": "All of it",
    "executionRoleArn": ROLE,
    "networkConfiguration": {"networkMode": "VPC", "vpcConfig": VPC},
    "certificates": [SECRET],
    "filesystemConfigurations": [FILE_SYSTEM],
    "clientToken": "0123456789-0123456789-0123456789-0123456789",
    "tags": {"team": "a b", "empty": ""},
}


def operation(name: str) -> Any:
    """Returns an operation's model."""
    return next(model.operation_model(name) for model in MODELS if name in model.operation_names)


def test_every_operation_has_a_handler(agentcore_runtime: Path, tmp_path: Path) -> None:
    emulator = Emulator(Settings(runtime=agentcore_runtime, state=tmp_path))
    assert set(emulator.handlers) == set(OPERATIONS)  # test_agentcore_faults.py compares OPERATIONS with the models


def test_every_request_member_is_stored_and_every_response_fits_the_model(
    agentcore_runtime: Path, tmp_path: Path
) -> None:
    returned: dict[str, set[str]] = {}

    async def live() -> None:
        emulator = Emulator(Settings(runtime=agentcore_runtime, state=tmp_path, pool=0))
        await emulator.open()

        async def call(name: str, /, **parameters: Any) -> dict[str, Any]:
            model = operation(name)
            validate(parameters, model.input_shape)
            response = await emulator.call(name, parameters)
            if not model.has_event_stream_output:
                validate(response, model.output_shape)
            assert response.keys() <= model.output_shape.members.keys()
            returned.setdefault(name, set()).update(response)
            return response

        try:
            created = await call("CreateCodeInterpreter", **EVERY_MEMBER)
            identifier, arn = created["codeInterpreterId"], created["codeInterpreterArn"]
            described = await call("GetCodeInterpreter", codeInterpreterId=identifier)
            members = EVERY_MEMBER.keys() & operation("GetCodeInterpreter").output_shape.members.keys()
            assert {name: described[name] for name in members} == {name: EVERY_MEMBER[name] for name in members}
            assert (await call("ListTagsForResource", resourceArn=arn))["tags"] == EVERY_MEMBER["tags"]
            await call("TagResource", resourceArn=arn, tags={"team": "c"})
            await call("UntagResource", resourceArn=arn, tagKeys=["empty"])
            assert (await call("ListTagsForResource", resourceArn=arn))["tags"] == {"team": "c"}
            await call("ListCodeInterpreters", type="CUSTOM", maxResults=1)
            started = await call(
                "StartCodeInterpreterSession",
                codeInterpreterIdentifier=arn,
                traceId="Root=1-5759e988-bd862e3fe1be46a994272793",
                traceParent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
                name="whole",
                sessionTimeoutSeconds=28800,
                certificates=[SECRET],
                filesystemConfigurations=[FILE_SYSTEM],
                clientToken=EVERY_MEMBER["clientToken"],
            )
            session = {"codeInterpreterIdentifier": identifier, "sessionId": started["sessionId"]}
            assert started["codeInterpreterIdentifier"] == identifier
            got = await call("GetCodeInterpreterSession", **session)
            assert (got["name"], got["sessionTimeoutSeconds"], got["status"]) == ("whole", 28800, "READY")
            assert (got["certificates"], got["filesystemConfigurations"]) == ([SECRET], [FILE_SYSTEM])
            listed = await call("ListCodeInterpreterSessions", codeInterpreterIdentifier=arn, status="READY")
            assert [item["lastUpdatedAt"] for item in listed["items"]] == [started["createdAt"]]
            result = await call("InvokeCodeInterpreter", **session, name="listFiles", traceId="", traceParent="")
            assert result["sessionId"] == started["sessionId"]
            await call("StopCodeInterpreterSession", **session, clientToken=EVERY_MEMBER["clientToken"])
            await call("DeleteCodeInterpreter", codeInterpreterId=identifier, clientToken=EVERY_MEMBER["clientToken"])
        finally:
            await emulator.close()

    asyncio.run(live())
    assert set(returned) == set(OPERATIONS)
    missing = {name: set(operation(name).output_shape.members) - members for name, members in returned.items()}
    assert {name: members for name, members in missing.items() if members} == {
        "GetCodeInterpreter": {"failureReason"},  # creation never fails
        "ListCodeInterpreters": {"nextToken"},  # the list has one page
        "ListCodeInterpreterSessions": {"nextToken"},
    }


# Validation errors that only the model defines


def invalid_members(name: str, parameters: dict[str, Any]) -> list[str]:
    """Returns the invalid members of a request."""
    with pytest.raises(ValidationError) as raised:
        validate(parameters, operation(name).input_shape)
    assert raised.value.reason == "FieldValidationFailed"
    return [problem.name for problem in raised.value.problems]


EMPTY: dict[str, Any] = {}
INVALID: list[tuple[dict[str, Any], list[str]]] = [
    ({"name": "a" * 49}, ["name"]),
    ({"name": "a-b"}, ["name"]),
    ({"name": None}, ["name"]),
    ({"description": ""}, ["description"]),
    ({"description": "a" * 4097}, ["description"]),
    ({"executionRoleArn": "role"}, ["executionRoleArn"]),
    ({"networkConfiguration": EMPTY}, ["networkConfiguration.networkMode"]),
    ({"clientToken": "short"}, ["clientToken"]),
    ({"clientToken": "a_" * 20}, ["clientToken"]),
    ({"clientToken": "a" * 257}, ["clientToken"]),
    ({"tags": {"a": "ä"}}, ["tags.a"]),
    ({"tags": {"": "a"}}, ["tags.key"]),
    ({"tags": {str(number): "" for number in range(51)}}, ["tags"]),
    ({"certificates": []}, ["certificates"]),
    ({"certificates": [EMPTY]}, ["certificates.1.member.location"]),
    ({"certificates": [{"location": EMPTY}]}, ["certificates.1.member.location"]),
    ({"filesystemConfigurations": [FILE_SYSTEM] * 11}, ["filesystemConfigurations"]),
    (
        {"networkConfiguration": {"networkMode": "VPC", "vpcConfig": {"subnets": [], "securityGroups": ["sg-1"]}}},
        [
            "networkConfiguration.vpcConfig.securityGroups.1.member",
            "networkConfiguration.vpcConfig.subnets",
        ],
    ),
    ({"name": 1, "description": "", "tags": []}, ["name", "description", "tags"]),
]


@pytest.mark.parametrize(("changes", "names"), INVALID)
def test_each_invalid_member_is_reported(changes: dict[str, Any], names: list[str]) -> None:
    assert invalid_members("CreateCodeInterpreter", EVERY_MEMBER | changes) == names


@pytest.mark.parametrize(
    ("name", "parameters", "names"),
    [
        ("GetCodeInterpreter", {"codeInterpreterId": "no id"}, ["codeInterpreterId"]),
        ("TagResource", {"resourceArn": "arn:aws:s3:::bucket/of/mine", "tags": {}}, ["resourceArn"]),
        ("UntagResource", {"resourceArn": "short"}, ["resourceArn", "resourceArn", "tagKeys"]),
        ("ListCodeInterpreters", {"maxResults": 101, "type": "OURS"}, ["maxResults", "type"]),
        (
            "StartCodeInterpreterSession",
            {"codeInterpreterIdentifier": "a", "sessionTimeoutSeconds": 28801, "name": ""},
            ["name", "sessionTimeoutSeconds"],
        ),
        ("StopCodeInterpreterSession", {"codeInterpreterIdentifier": "a", "sessionId": "!"}, ["sessionId"]),
        ("ListCodeInterpreterSessions", {"codeInterpreterIdentifier": "a", "status": "BUSY"}, ["status"]),
        (
            "InvokeCodeInterpreter",
            {"codeInterpreterIdentifier": "a", "name": "fly", "arguments": {"language": "cobol", "paths": [1]}},
            ["name", "arguments.language", "arguments.paths.1.member"],
        ),
        (
            "InvokeCodeInterpreter",
            {"codeInterpreterIdentifier": "a", "name": "writeFiles", "arguments": {"content": [{"text": "x"}]}},
            ["arguments.content.1.member.path"],
        ),
    ],
)
def test_each_operation_is_validated_against_its_model(name: str, parameters: dict[str, Any], names: list[str]) -> None:
    assert sorted(invalid_members(name, parameters)) == sorted(names)


def test_the_number_of_reported_members_is_limited() -> None:
    arguments = {"paths": [1] * 500, "content": [EMPTY] * 500}
    names = invalid_members(
        "InvokeCodeInterpreter", {"codeInterpreterIdentifier": "a", "name": "readFiles", "arguments": arguments}
    )
    assert names == [f"arguments.paths.{number}.member" for number in range(1, 101)]


# Pages


@pytest.fixture
def interpreters(agentcore_control: Any) -> Generator[list[str]]:
    """Creates five custom interpreters and returns their ids in order."""
    created = [
        agentcore_control.create_code_interpreter(
            name=f"page_{uuid.uuid4().hex[:12]}", networkConfiguration={"networkMode": "SANDBOX"}
        )["codeInterpreterId"]
        for _ in range(5)
    ]
    yield created
    for identifier in created:
        try:
            agentcore_control.delete_code_interpreter(codeInterpreterId=identifier)
        except agentcore_control.exceptions.ResourceNotFoundException:
            continue


def test_deletions_between_two_pages_skip_no_item(agentcore_control: Any, interpreters: list[str]) -> None:
    listed: list[str] = []
    token: dict[str, str] = {}
    while True:
        page = agentcore_control.list_code_interpreters(type="CUSTOM", maxResults=2, **token)
        page_ids = [summary["codeInterpreterId"] for summary in page["codeInterpreterSummaries"]]
        listed += page_ids
        if page_ids[0] in interpreters:
            agentcore_control.delete_code_interpreter(codeInterpreterId=page_ids[0])
        if "nextToken" not in page:
            break
        token = {"nextToken": page["nextToken"]}
    assert [identifier for identifier in listed if identifier in interpreters] == interpreters


def test_a_next_token_of_another_list_is_rejected(
    agentcore_control: Any, agentcore: Any, interpreters: list[str]
) -> None:
    assert interpreters
    token = agentcore_control.list_code_interpreters(maxResults=1)["nextToken"]
    attempts: list[Callable[[], object]] = [
        lambda: agentcore_control.list_code_interpreters(type="CUSTOM", nextToken=token),
        lambda: agentcore_control.list_code_interpreters(nextToken=token + "A"),
        lambda: agentcore_control.list_code_interpreters(nextToken="1"),
        lambda: agentcore.list_code_interpreter_sessions(
            codeInterpreterIdentifier=MANAGED_INTERPRETER, nextToken=token
        ),
    ]
    for attempt in attempts:
        with pytest.raises(ClientError, match=r"ValidationException.*next token"):
            attempt()


# Tokens, tags and names


@pytest.mark.parametrize("name", ["stop", "delete"])
def test_stop_and_delete_are_idempotent_by_client_token(
    agentcore: Any, agentcore_control: Any, interpreters: list[str], name: str
) -> None:
    token = str(uuid.uuid4())
    if name == "stop":
        started = agentcore.start_code_interpreter_session(codeInterpreterIdentifier=interpreters[0])
        where = {"codeInterpreterIdentifier": interpreters[0], "sessionId": started["sessionId"]}
        end: Callable[..., dict[str, Any]] = agentcore.stop_code_interpreter_session
        error = agentcore.exceptions.ConflictException
    else:
        where = {"codeInterpreterId": interpreters[0]}
        end = agentcore_control.delete_code_interpreter
        error = agentcore_control.exceptions.ResourceNotFoundException
    first, second = end(**where, clientToken=token), end(**where, clientToken=token)
    assert first["lastUpdatedAt"] == second["lastUpdatedAt"]
    with pytest.raises(error):
        end(**where, clientToken=str(uuid.uuid4()))


def test_a_resource_has_at_most_fifty_tags(agentcore_control: Any, interpreters: list[str]) -> None:
    arn = agentcore_control.get_code_interpreter(codeInterpreterId=interpreters[0])["codeInterpreterArn"]
    agentcore_control.tag_resource(resourceArn=arn, tags={str(number): "" for number in range(50)})
    with pytest.raises(agentcore_control.exceptions.ServiceQuotaExceededException):
        agentcore_control.tag_resource(resourceArn=arn, tags={"0": "new", "one too many": ""})
    assert agentcore_control.list_tags_for_resource(resourceArn=arn)["tags"]["0"] == ""
    agentcore_control.tag_resource(resourceArn=arn, tags={"0": "new"})


def test_the_managed_interpreter_has_no_tags(agentcore_control: Any) -> None:
    arn = agentcore_control.get_code_interpreter(codeInterpreterId=MANAGED_INTERPRETER)["codeInterpreterArn"]
    with pytest.raises(ClientError, match="ValidationException"):  # the model requires an account id in the ARN
        agentcore_control.tag_resource(resourceArn=arn, tags={})


def test_an_arn_of_another_account_or_region_is_not_found(
    agentcore: Any, agentcore_control: Any, interpreters: list[str]
) -> None:
    arn = agentcore_control.get_code_interpreter(codeInterpreterId=interpreters[0])["codeInterpreterArn"]
    for other in (arn.replace("123456789012", "210987654321"), arn.replace("us-east-1", "eu-central-1")):
        with pytest.raises(agentcore.exceptions.ResourceNotFoundException):
            agentcore.start_code_interpreter_session(codeInterpreterIdentifier=other)
