"""Three ways to run one program and bring back what it left, each counted by its calls of InvokeCodeInterpreter.

The two others follow what their systems do: the workflow connector compares the folder before and after, the agent
skill lists it and reads file by file. Both know one folder and one file a call.
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
from sandpiper_contract.requests import RunCode
from sandpiper_contract.run import Run
from tests.recording_clients import RecordingClients

if TYPE_CHECKING:
    from collections.abc import Mapping

    from code_runner.tenant_config import TenantConfig


INTERPRETER = "aws.codeinterpreter.v1"
PAUSE_SECONDS = 1 / 25
"""Before each call: 30 a second are allowed, and a call that is sent again would count twice."""
SECONDS = 900


@dataclass
class Calls:
    """The tools that were called, as botocore's own events tell."""

    tools: list[str] = field(default_factory=list[str])

    def watch(self, client: Any) -> Any:
        """Notes what the client calls from now on; once, however often it is asked to."""
        event = "provide-client-params.bedrock-agentcore.InvokeCodeInterpreter"
        client.meta.events.register(event, self._note, unique_id="calls")
        return client

    def _note(self, params: Mapping[str, Any], **_: object) -> None:
        time.sleep(PAUSE_SECONDS)
        self.tools.append(params["name"])


def ours(tenant: TenantConfig, request: Mapping[str, object]) -> tuple[list[str], int]:
    """The product's run_code. Returns the tools that were called and how many files came back."""
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
    """The folder before, the code, the folder after, and each file that is new by a call of its own."""
    with _Session() as session:
        before = session.names()
        session.call("executeCode", language="python", code=code)
        new = session.names() - before
        return session.calls.tools, session.read_one_by_one(new)


def skill(code: str) -> tuple[list[str], int]:
    """`execute_code`, then `ci_push_to_workspace`: the folder, and each file by a call of its own.

    What a session holds from its start is left out in the skill's favour, which would read that, too.
    """
    with _Session() as session:
        session.call("executeCode", language="python", code=code)
        files = {name for name in session.names() if name.startswith("file-")}
        return session.calls.tools, session.read_one_by_one(files)


class _Session:
    """A session by plain boto3."""

    def __init__(self) -> None:
        self.calls = Calls()
        self._client: Any = self.calls.watch(boto3.client("bedrock-agentcore"))

    def __enter__(self) -> _Session:
        started = self._client.start_code_interpreter_session(codeInterpreterIdentifier=INTERPRETER)
        self._names = {"codeInterpreterIdentifier": INTERPRETER, "sessionId": started["sessionId"]}
        return self

    def __exit__(self, *_: object) -> None:
        self._client.stop_code_interpreter_session(**self._names)

    def call(self, tool: str, **arguments: object) -> list[dict[str, Any]]:
        """One call's content. Raises RuntimeError for an error."""
        answer = self._client.invoke_code_interpreter(**self._names, name=tool, arguments=arguments)
        results = [event["result"] for event in answer["stream"]]
        if any(result.get("isError") for result in results):
            raise RuntimeError(f"{tool}: {results}")
        return [block for result in results for block in result["content"]]

    def names(self) -> set[str]:
        """What lies in the folder."""
        return {block["name"] for block in self.call("listFiles", directoryPath="")}

    def read_one_by_one(self, names: set[str]) -> int:
        """Reads each file by a call of its own. Returns how many there were."""
        return sum(len(self.call("readFiles", paths=[name])) for name in sorted(names))


def _on_stop_failed(session_id: str, error: Exception) -> None:
    raise RuntimeError(f"session {session_id} was not stopped: {error}")
