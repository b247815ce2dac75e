"""AWS's AgentCore SDK against the emulator: each public member of its code interpreter client.

The SDK finds the emulator through environment variables, which it reads when it is imported.
"""

from __future__ import annotations

import importlib
import inspect
import sys
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from sandpiper_contract.aws import MANAGED_INTERPRETER
from tests.support.account import REGION

if TYPE_CHECKING:
    from collections.abc import Generator

ROLE = "arn:aws:iam::123456789012:role/execution"
ENDPOINTS = ("BEDROCK_AGENTCORE_CP_ENDPOINT", "BEDROCK_AGENTCORE_DP_ENDPOINT")
MODULE = "bedrock_agentcore.tools.code_interpreter_client"


@pytest.fixture(scope="module")
def sdk(agentcore_endpoint: str) -> Generator[Any]:
    """The SDK's module, imported again with its environment variables set."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ENDPOINTS:
            patch.setenv(name, agentcore_endpoint)
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "test")
        for name in [name for name in sys.modules if name.partition(".")[0] == "bedrock_agentcore"]:
            patch.delitem(sys.modules, name)
        yield importlib.import_module(MODULE)
        for name in [name for name in sys.modules if name.partition(".")[0] == "bedrock_agentcore"]:
            del sys.modules[name]


@pytest.fixture
def client(sdk: Any) -> Generator[Any]:
    """A client of the SDK; its session is stopped after the test."""
    client = sdk.CodeInterpreter(REGION)
    yield client
    client.stop()


@pytest.fixture
def interpreter(client: Any) -> Generator[str]:
    """A custom interpreter, created with the SDK."""
    created = client.create_code_interpreter(
        name=f"sdk_{uuid.uuid4().hex[:12]}",
        execution_role_arn=ROLE,
        network_configuration={"networkMode": "SANDBOX"},
        description="SDK test",
        tags={"team": "a"},
        client_token=uuid.uuid4().hex + uuid.uuid4().hex,
    )
    identifier: str = created["codeInterpreterId"]
    yield identifier
    client.stop()
    client.delete_code_interpreter(identifier)


def result_of(response: Any) -> dict[str, Any]:
    """Returns the only result of a response stream."""
    (event,) = response["stream"]
    result: dict[str, Any] = event["result"]
    return result


def stdout_of(response: Any) -> str:
    """Returns the standard output of code."""
    return str(result_of(response)["structuredContent"]["stdout"])


def test_every_public_member_of_the_client_is_tested(sdk: Any) -> None:
    client_members: dict[str, Any] = dict(inspect.getmembers_static(sdk.CodeInterpreter))
    module_members: dict[str, Any] = dict(inspect.getmembers_static(sdk))
    members = [name for name in client_members if not name.startswith("_")]
    functions = [
        name
        for name, value in module_members.items()
        if inspect.isfunction(value) and value.__module__ == MODULE and not name.startswith("_")
    ]
    assert len(members) > 10
    assert functions == ["code_session"]
    source = Path(__file__).read_text()
    names = [f"client.{name}" for name in members] + [f"sdk.{name}(" for name in functions]
    assert [name for name in names if name not in source] == []


def test_an_interpreter_is_created_found_and_listed(client: Any, interpreter: str) -> None:
    described = client.get_code_interpreter(interpreter)
    assert (described["status"], described["description"]) == ("READY", "SDK test")
    assert described["executionRoleArn"] == ROLE
    listed: list[str] = []
    token: str | None = None
    while True:
        page = client.list_code_interpreters(interpreter_type="CUSTOM", max_results=1, next_token=token)
        listed += [summary["codeInterpreterId"] for summary in page["codeInterpreterSummaries"]]
        if (token := page.get("nextToken")) is None:
            break
    assert interpreter in listed
    assert len(listed) == len(set(listed))


def test_a_deleted_interpreter_does_not_exist(client: Any) -> None:
    created = client.create_code_interpreter(name=f"sdk_{uuid.uuid4().hex[:12]}", execution_role_arn=ROLE)
    identifier = created["codeInterpreterId"]
    assert client.get_code_interpreter(identifier)["networkConfiguration"] == {
        "networkMode": "PUBLIC"
    }  # the default of the SDK
    assert client.delete_code_interpreter(identifier)["status"] == "DELETING"
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        client.get_code_interpreter(identifier)


def test_a_session_is_started_described_listed_and_stopped(client: Any, interpreter: str) -> None:
    identifier = client.start(identifier=interpreter, name="sdk test", session_timeout_seconds=60)
    assert (client.identifier, client.session_id) == (interpreter, identifier)
    described = client.get_session()
    assert (described["name"], described["status"], described["sessionTimeoutSeconds"]) == ("sdk test", "READY", 60)
    assert [item["sessionId"] for item in client.list_sessions(status="READY")["items"]] == [identifier]
    assert client.stop() is True
    assert (client.identifier, client.session_id) == (None, None)
    assert client.get_session(interpreter, identifier)["status"] == "TERMINATED"
    assert [item["sessionId"] for item in client.list_sessions(interpreter)["items"]] == [identifier]


def test_a_session_can_be_resumed_by_its_identifiers(sdk: Any, client: Any) -> None:
    client.start()
    client.execute_code("x = 5")
    other = sdk.CodeInterpreter(REGION)
    other.identifier, other.session_id = client.identifier, client.session_id
    assert stdout_of(other.execute_code("print(x)")) == "5"


def test_invoking_starts_a_session_of_the_managed_interpreter(client: Any) -> None:
    names = {block["name"] for block in result_of(client.invoke("listFiles", {"path": ""}))["content"]}
    assert "package.json" in names
    assert client.identifier == MANAGED_INTERPRETER


def test_code_keeps_its_variables_until_the_context_is_cleared(client: Any) -> None:
    assert result_of(client.execute_code("x = 41"))["isError"] is False
    assert stdout_of(client.execute_code("print(x + 1)")) == "42"
    assert result_of(client.clear_context())["isError"] is False
    assert stdout_of(client.execute_code("print('x' in globals())")) == "False"
    client.execute_code("y = 1")
    assert stdout_of(client.execute_code("print('y' in globals())", clear_context=True)) == "False"


def test_a_command_runs_in_the_sessions_shell(client: Any) -> None:
    content = result_of(client.execute_command("echo out; exit 3"))["structuredContent"]
    assert (content["stderr"], content["exitCode"]) == ("out\r\n", 3)


def test_an_installed_package_is_not_installed_again(client: Any) -> None:
    assert "Requirement already satisfied: numpy" in stdout_of(client.install_packages(["numpy"]))


def test_files_are_uploaded_and_downloaded_as_text_and_as_bytes(client: Any) -> None:
    image = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
    assert result_of(client.upload_file("notes/a.txt", "ä text", description="Notes"))["isError"] is False
    files = [{"path": "b.csv", "content": "x,y\n1,2\n"}, {"path": "c.png", "content": image}]
    assert result_of(client.upload_files(files))["content"][0]["text"] == "Successfully wrote all 2 files"
    assert client.download_file("notes/a.txt") == "ä text"
    assert client.download_file("c.png") == image
    downloaded = client.download_files(["notes/a.txt", "b.csv", "c.png"])
    assert downloaded == {"/notes/a.txt": "ä text", "/b.csv": "x,y\n1,2\n", "/c.png": image}
    with pytest.raises(FileNotFoundError):
        client.download_file("none.txt")


def test_the_context_manager_starts_and_stops(sdk: Any, client: Any) -> None:
    with sdk.code_session(REGION) as session:
        assert stdout_of(session.execute_code("print(6 * 7)")) == "42"
        names = (session.identifier, session.session_id)
    assert client.get_session(*names)["status"] == "TERMINATED"
