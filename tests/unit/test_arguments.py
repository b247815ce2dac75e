"""Invalid arguments are rejected before any request is sent, with an error that names the argument."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from code_runner.agent_tools.tools import CodeInterpreterTools
from code_runner.agentcore.boto_clients import AwsClients
from code_runner.agentcore.client import CodeInterpreterClient
from code_runner.agentcore.deadline import Deadline
from code_runner.agentcore.programs import Code, Command
from code_runner.files.storage import Storage
from code_runner.session import CodeSession, open_session, start_session
from sandpiper_contract.aws import MANAGED_INTERPRETER
from sandpiper_contract.errors import InvalidRequest
from sandpiper_contract.files import InputFile, Outputs
from sandpiper_contract.s3_objects import S3Object
from tests.support.failing_clients import FailingClients

if TYPE_CHECKING:
    from collections.abc import Callable

    from code_runner.agent_tools.tools import CodeInterpreterTools as Tools

Call = "Callable[[Any], object]"
BLANK = "a string that is not blank"
LANGUAGES = "python | javascript | typescript"
LIFETIME = "a whole number of seconds from 1 to 28,800"
NONE: Any = None
ANY_CODE: Any = Code
ANY_COMMAND: Any = Command
FIGURES: Any = Outputs(figures=True)

SESSION: dict[str, Callable[[Any], object]] = {
    f"code is a number; allowed: {BLANK}": lambda session: session.run(ANY_CODE(5)),
    f"language is 'ruby'; allowed: {LANGUAGES}": lambda session: session.run(ANY_CODE("1", language="ruby")),
    "runtime is 'python3', but language is python; allowed: python": lambda session: session.run(
        ANY_CODE("1", runtime="python3")
    ),
    "clearContext is a list of 0; allowed: true | false": lambda session: session.run(ANY_CODE("1", clear_context=[])),
    "inputs[0] is an object of 2; allowed: InputFile": lambda session: session.run(
        Code("1"), inputs=[{"path": "a", "text": "b"}]
    ),
    "inputs is of type InputFile; allowed: a tuple or a list": lambda session: session.run(
        Code("1"), inputs=InputFile.from_bytes("a", b"")
    ),
    "outputs is an object of 0; allowed: Outputs": lambda session: session.run(Code("1"), outputs={}),
    "outputs.figures is true; allowed: only if language is python": lambda session: session.run(
        Code("1", "javascript"), outputs=FIGURES
    ),
    "outputs.figures is true; allowed: only without command": lambda session: session.run(
        Command("ls"), outputs=FIGURES
    ),
    "outputs.linkSeconds is 60; allowed: only with a bucket (Files)": lambda session: session.run(
        Code("1"), outputs=Outputs(link_seconds=60)
    ),
    f"command is empty; allowed: {BLANK}": lambda session: session.run(Command("")),
    "program is a string of 8 characters; allowed: Code | Command": lambda session: session.run("print(1)"),
    "none of command, code, codeS3Uri is set; allowed: exactly one of them": lambda session: session.start(Code(NONE)),  # pyright: ignore[reportArgumentType]
    f"command is a list of 1; allowed: {BLANK}": lambda session: session.start(ANY_COMMAND(["ls"])),
    "inputs[1].path is 'a'; allowed: unique paths, none below another file": lambda session: session.start(
        Command("ls"), inputs=[InputFile.from_bytes("a", b"")] * 2
    ),
    f"taskId is a number; allowed: {BLANK}": lambda session: session.poll_command(5),
    f"taskId is null; allowed: {BLANK}": lambda session: session.stop_command(None),
    "outputs is a list of 1; allowed: Outputs": lambda session: session.collect_files(["a.txt"]),
    "inputs[0] is a string of 5 characters; allowed: InputFile": lambda session: session.write_inputs(["a.txt"]),
    "paths is a string of 5 characters; allowed: a tuple or a list": lambda session: session.client.read_files("a.txt"),
    "paths[0] is a number; allowed: a string": lambda session: session.client.remove_files([1]),
    "folder is null; allowed: a string": lambda session: session.client.list_files(None),
    "files is a list of 1; allowed: Mapping": lambda session: session.client.write_files(["a.txt"]),
    "files['a'] is a string of 1 characters; allowed: bytes": lambda session: session.client.write_files({"a": "b"}),
    "seconds is '5'; allowed: a number of seconds from 0 to 9,007,199,254,740,992": lambda session: (
        session.client.execute_command(Command("ls"), seconds="5")
    ),
    f"language is 5; allowed: {LANGUAGES}": lambda session: session.client.execute_code(ANY_CODE("1", 5)),
}


@pytest.mark.parametrize(("message", "call"), SESSION.items(), ids=SESSION)
def test_a_session_rejects_invalid_arguments_before_it_sends_a_request(
    message: str, call: Callable[[CodeSession], object]
) -> None:
    clients: Any = FailingClients()
    with pytest.raises(InvalidRequest) as error:
        call(CodeSession(CodeInterpreterClient(clients, MANAGED_INTERPRETER, "1", Deadline.after(60))))
    assert str(error.value) == message
    assert clients.accesses == 0


@pytest.mark.parametrize("tool", ["execute_code", "execute_command", "start_command_execution"])
def test_the_rejection_callback_is_called_for_invalid_arguments(tool: str) -> None:
    calls: list[str] = []
    clients: Any = FailingClients()
    session = CodeSession(CodeInterpreterClient(clients, MANAGED_INTERPRETER, "1", Deadline.after(60)))
    with suppress(InvalidRequest):
        getattr(session.client, tool)("", on_rejected=lambda: calls.append("rejected"))
    assert calls == ["rejected"]


START: dict[str, dict[str, Any]] = {
    f"timeout_seconds is '60'; allowed: {LIFETIME}": {"timeout_seconds": "60"},
    f"timeout_seconds is 0; allowed: {LIFETIME}": {"timeout_seconds": 0},
    f"timeout_seconds is 28801; allowed: {LIFETIME}": {"timeout_seconds": 28_801},
    f"timeout_seconds is null; allowed: {LIFETIME}": {"timeout_seconds": None},
    f"interpreter_id is null; allowed: {BLANK}": {"interpreter_id": None},
    "deadline is a number; allowed: Deadline": {"deadline": 60},
    "files is of type S3Object; allowed: Files": {"files": S3Object("abc", "d")},
    "client_token is a number; allowed: str": {"client_token": 7},
}


@pytest.mark.parametrize(("message", "arguments"), START.items(), ids=START)
def test_a_session_is_not_started_with_invalid_arguments(message: str, arguments: dict[str, Any]) -> None:
    clients: Any = FailingClients()
    values: dict[str, Any] = {"interpreter_id": MANAGED_INTERPRETER, "timeout_seconds": 60} | arguments
    with pytest.raises(InvalidRequest) as error:
        start_session(clients, **values)
    assert str(error.value) == message
    with pytest.raises(InvalidRequest) as error, open_session(clients, **values):
        pytest.fail("the session started")
    assert str(error.value) == message
    assert clients.accesses == 0


def test_storage_rejects_an_invalid_bucket_name() -> None:
    s3: Any = None
    with pytest.raises(InvalidRequest, match="run is 's3://My_Bucket/runs'; allowed: s3://BUCKET/KEY"):
        Storage(s3, inputs=S3Object("my-bucket", "inputs"), run=S3Object("My_Bucket", "runs"))


TOOLS: dict[str, dict[str, Any]] = {
    f"interpreter_id is a number; allowed: {BLANK}": {"interpreter_id": 5},
    "workspace is 's3://Not_A_Bucket/code-interpreter/'; allowed: "
    "s3://BUCKET/KEY, BUCKET 3 to 63 of a-z 0-9 . - and KEY without control characters": {"bucket": "Not_A_Bucket"},
    "prefix is null; allowed: a string": {"prefix": None},
    "session_timeout_seconds is '60'; allowed: a whole number of seconds from 60 to 28,800": {
        "session_timeout_seconds": "60"
    },
    "uploads is a list of 1; allowed: Mapping": {"uploads": ["a.txt"]},
    "uploads['a.txt'] is a string of 4 characters; allowed: bytes": {"uploads": {"a.txt": "text"}},
    "uploads_uri is 's3://abc/d', which does not end with a slash; allowed: s3://BUCKET/FOLDER/": {
        "uploads_uri": "s3://abc/d"
    },
}


@pytest.mark.parametrize(("message", "arguments"), TOOLS.items(), ids=TOOLS)
def test_tools_are_not_created_with_invalid_arguments(message: str, arguments: dict[str, Any]) -> None:
    clients: Any = FailingClients()
    values: dict[str, Any] = {"interpreter_id": MANAGED_INTERPRETER, "bucket": "abc"} | arguments
    create: type[Tools] = CodeInterpreterTools
    with pytest.raises(InvalidRequest) as error:
        create(**values, clients=clients)
    assert str(error.value) == message
    assert clients.accesses == 0


def test_a_boto3_session_instead_of_clients_is_rejected_with_the_allowed_types() -> None:
    session: Any = boto3.Session(region_name="eu-west-1")
    with pytest.raises(InvalidRequest, match=r"clients is a Session; allowed: AwsClients\(\), or AwsClients\(boto3"):
        open_session(session).__enter__()
    name: Any = "eu-west-1"
    with pytest.raises(InvalidRequest, match=r"session is a str; allowed: a boto3.Session, or none"):
        AwsClients(name)
