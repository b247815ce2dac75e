"""Three implementations that run a program and collect its files, and count their calls of InvokeCodeInterpreter.

Two of them follow other systems: the workflow connector compares listings before and after the program, the agent skill
lists the folder and reads each file. Both support one folder and read one file per call.
"""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import boto3

from code_runner.agentcore.boto_clients import AwsClients
from code_runner.agentcore.deadline import Deadline
from code_runner.operations import Operations
from sandpiper_contract.aws import MANAGED_INTERPRETER
from sandpiper_contract.requests import RunCode
from sandpiper_contract.run import Run
from tests.support.recording_clients import RecordingClients

if TYPE_CHECKING:
    from collections.abc import Mapping

    from code_runner.tenant_config import TenantConfig


PAUSE_SECONDS = 1 / 25
"""Delay before each call: the quota is 30 per second, and a repeated call would count twice."""
SECONDS = 900


@dataclass
class Calls:
    """Records the tools that were called, from botocore's events."""

    tools: list[str] = field(default_factory=list[str])

    def watch(self, client: Any) -> Any:
        """Records the client's later calls. Repeated registration has no effect."""
        event = "provide-client-params.bedrock-agentcore.InvokeCodeInterpreter"
        client.meta.events.register(event, self._note, unique_id="calls")
        return client

    def _note(self, params: Mapping[str, Any], **_: object) -> None:
        time.sleep(PAUSE_SECONDS)
        self.tools.append(params["name"])


def ours(tenant: TenantConfig, request: Mapping[str, object]) -> tuple[list[str], int]:
    """Runs the product's run_code. Returns the called tools and the number of files."""
    calls = Calls()
    operations = Operations(
        run=Run(str(uuid.uuid4())),
        tenant=tenant,
        clients=RecordingClients(AwsClients(), calls.watch),
        deadline=Deadline.after(SECONDS),
        on_stop_failed=_on_stop_failed,
    )
    result = operations.run_code(RunCode.from_json(request))
    return calls.tools, len(result.files)


def connector(code: str) -> tuple[list[str], int]:
    """Lists the folder, runs the code, lists the folder again, and reads each new file with one call."""
    with _Session() as session:
        before = session.names()
        session.call("executeCode", language="python", code=code)
        new = session.names() - before
        return session.calls.tools, session.read_one_by_one(new)


def skill(code: str) -> tuple[list[str], int]:
    """Runs `execute_code`, then `ci_push_to_workspace`: lists the folder and reads each file with one call.

    The files of the service are excluded, in favour of the skill, which would read them too.
    """
    with _Session() as session:
        session.call("executeCode", language="python", code=code)
        files = {name for name in session.names() if name.startswith("file-")}
        return session.calls.tools, session.read_one_by_one(files)


class _Session:
    """A session with plain boto3."""

    def __init__(self) -> None:
        self.calls = Calls()
        self._client: Any = self.calls.watch(boto3.client("bedrock-agentcore"))

    def __enter__(self) -> _Session:
        started = self._client.start_code_interpreter_session(codeInterpreterIdentifier=MANAGED_INTERPRETER)
        self._names = {"codeInterpreterIdentifier": MANAGED_INTERPRETER, "sessionId": started["sessionId"]}
        return self

    def __exit__(self, *_: object) -> None:
        self._client.stop_code_interpreter_session(**self._names)

    def call(self, tool: str, **arguments: object) -> list[dict[str, Any]]:
        """Calls a tool and returns its content. Raises RuntimeError for an error."""
        response = self._client.invoke_code_interpreter(**self._names, name=tool, arguments=arguments)
        results = [event["result"] for event in response["stream"]]
        if any(result.get("isError") for result in results):
            raise RuntimeError(f"{tool}: {results}")
        return [block for result in results for block in result["content"]]

    def names(self) -> set[str]:
        """Returns the names of the files in the folder."""
        return {block["name"] for block in self.call("listFiles", directoryPath="")}

    def read_one_by_one(self, names: set[str]) -> int:
        """Reads each file with one call. Returns their number."""
        return sum(len(self.call("readFiles", paths=[name])) for name in sorted(names))


def _on_stop_failed(session_id: str, error: Exception) -> None:
    raise RuntimeError(f"session {session_id} was not stopped: {error}")
