"""One Code Interpreter session: started once, always stopped, its tools as typed methods."""

from __future__ import annotations

import random
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import unquote

from botocore.eventstream import ParserError
from botocore.exceptions import BotoCoreError, ClientError

from code_runner.service_errors import from_service, was_accepted
from sandpiper_contract.errors import PayloadTooLarge, RunError, ServiceFault, SessionLost, Throttled

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping, Sequence

    from code_runner.clients import Clients

THROTTLE_WAITS_SECONDS = (0.2, 0.5, 1.0, 2.0, 4.0)
"""Waits before a throttled call is sent again: at 30 calls a second an account, 200 calls have passed by then."""


@dataclass(frozen=True)
class Outcome:
    """What code or a command printed and how it ended. `seconds` is the service's own measurement."""

    stdout: str
    stderr: str
    exit_code: int
    seconds: float


@dataclass(frozen=True)
class ToolAnswer:
    """One tool's answer, its events merged."""

    content: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    structured: dict[str, Any] = field(default_factory=dict[str, Any])
    is_error: bool = False

    def text(self) -> str:
        """What the text blocks say, for messages."""
        return " ".join(str(block["text"]) for block in self.content if "text" in block)

    def outcome(self, doing: str) -> Outcome:
        """The answer of executeCode and executeCommand; raises ServiceFault when it is something else."""
        answer = self.structured
        try:
            return Outcome(
                stdout=str(answer["stdout"]),
                stderr=str(answer["stderr"]),
                exit_code=int(answer["exitCode"]),
                seconds=float(answer["executionTime"]),
            )
        except (KeyError, TypeError, ValueError):
            raise ServiceFault(f"{doing}: the service answered without an outcome: {self.text()[:200]}") from None


class CodeSession:
    """A session that runs. Get one from `open_session`, which stops it."""

    def __init__(self, clients: Clients, interpreter_id: str, session_id: str) -> None:
        self._clients = clients
        self._interpreter_id = interpreter_id
        self.session_id = session_id

    def execute_code(self, code: str, language: str) -> Outcome:
        """Runs code once. A failing program is an Outcome; SessionLost means that it may have run and nobody knows."""
        arguments = {"code": code, "language": language}
        return self._invoke("executeCode", arguments, runs_code=True).outcome("running the code")

    def execute_command(self, command: str) -> Outcome:
        """Runs a command in a fresh shell of the session's working directory."""
        return self._invoke("executeCommand", {"command": command}).outcome("running a command")

    def write_files(self, files: Mapping[str, bytes]) -> None:
        """Writes files, by paths relative to the working directory, in one call."""
        content = [{"path": path, "blob": data} for path, data in files.items()]
        answer = self._invoke("writeFiles", {"content": content})
        if answer.is_error:
            raise ServiceFault(f"writing the input files: {answer.text()}")

    def read_files(self, paths: Sequence[str]) -> dict[str, bytes] | None:
        """Reads whole files in one call, or None when the service refuses it; a path it leaves out is missing.

        Raises PayloadTooLarge when the answer is more than one event carries (24 MiB after base64).
        """
        answer = self._invoke("readFiles", {"paths": list(paths)})
        return None if answer.is_error else dict(_resources(answer.content, paths))

    def _invoke(self, tool: str, arguments: dict[str, Any], *, runs_code: bool = False) -> ToolAnswer:
        doing = f"{tool} in session {self.session_id}"

        def call() -> ToolAnswer:
            try:
                response = self._clients.invoke.invoke_code_interpreter(
                    codeInterpreterIdentifier=self._interpreter_id,
                    sessionId=self.session_id,
                    name=cast("Any", tool),
                    arguments=cast("Any", arguments),
                )
                return _merged(event["result"] for event in response["stream"] if "result" in event)
            except (BotoCoreError, ClientError) as error:
                known = from_service(doing, error)
                if runs_code and was_accepted(error) and isinstance(known, Throttled | ServiceFault):
                    raise SessionLost(f"{known}; the code may have run") from error
                raise known from error
            except ParserError as error:
                raise PayloadTooLarge(f"{doing}: {error}") from error

        return _patiently(call)


@contextmanager
def open_session(
    clients: Clients,
    interpreter_id: str,
    *,
    timeout_seconds: int,
    name: str,
    client_token: str,
    not_stopped: Callable[[str, RunError], None],
) -> Generator[CodeSession]:
    """Starts a session and stops it, whatever happens between.

    `client_token` makes a repeated start the same session (33 to 256 characters). A session that could not be stopped
    is told to `not_stopped` with its id, and ends by its lifetime; it never hides the result or the error of the run.
    """
    try:
        started = clients.sessions.start_code_interpreter_session(
            codeInterpreterIdentifier=interpreter_id,
            name=name,
            sessionTimeoutSeconds=timeout_seconds,
            clientToken=client_token,
        )
    except (BotoCoreError, ClientError) as error:
        raise from_service(f"starting a session on {interpreter_id}", error) from error
    session_id = started["sessionId"]
    try:
        yield CodeSession(clients, interpreter_id, session_id)
    finally:
        try:
            clients.sessions.stop_code_interpreter_session(
                codeInterpreterIdentifier=interpreter_id, sessionId=session_id
            )
        except (BotoCoreError, ClientError) as error:
            if not _already_ended(error):
                not_stopped(session_id, from_service(f"stopping session {session_id}", error))


def _already_ended(error: BotoCoreError | ClientError) -> bool:
    """A session that its lifetime ended answers a stop with ConflictException."""
    return isinstance(error, ClientError) and error.response.get("Error", {}).get("Code") == "ConflictException"


def _patiently(call: Callable[[], ToolAnswer]) -> ToolAnswer:
    """Sends a throttled call again: Throttled always means that the service refused it whole."""
    for wait in THROTTLE_WAITS_SECONDS:
        try:
            return call()
        except Throttled:
            time.sleep(wait * random.uniform(0.5, 1.5))  # noqa: S311 - jitter, not a secret
    return call()


def _merged(results: Iterator[Any]) -> ToolAnswer:
    """One answer from all events: the service sends one today, and its model allows more."""
    content: list[dict[str, Any]] = []
    structured: dict[str, Any] = {}
    is_error = False
    for result in results:
        content += result.get("content", [])
        is_error = is_error or result.get("isError", False)
        for name, value in result.get("structuredContent", {}).items():
            joined = name in ("stdout", "stderr") and name in structured
            structured[name] = structured[name] + value if joined else value
    return ToolAnswer(content, structured, is_error)


def _resources(content: list[dict[str, Any]], paths: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    """Each path that was asked for with its bytes: text and blob alike, so that nothing is decoded on the way."""
    wanted = set(paths)
    for block in content:
        resource = block.get("resource")
        if resource is None:
            continue
        path = str(resource.get("uri", "")).removeprefix("file:///")
        if path not in wanted:
            path = unquote(path)
        if path in wanted:
            yield path, resource["blob"] if "blob" in resource else str(resource.get("text", "")).encode()
