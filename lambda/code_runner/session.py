"""One Code Interpreter session: started once, always stopped, its tools as typed methods."""

from __future__ import annotations

import random
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import unquote

from botocore.exceptions import ClientError

from code_runner.service_errors import FAILURES, from_service, was_accepted
from sandpiper_contract.errors import DeadlineExceeded, RunError, ServiceFault, SessionLost, Throttled

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping, Sequence

    from code_runner.clients import Clients
    from code_runner.deadline import Deadline

WAITS_SECONDS = (0.2, 0.5, 1.0, 2.0, 4.0)
"""Waits before a call is sent again: at 30 calls a second an account, 200 calls have passed by then."""
LEAST_SECONDS = 3
"""A call is not sent with less time than this for its answer."""
TOOL_SECONDS = 60
"""How long a call that runs no code of the user's may take."""


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

    def outcome(self) -> Outcome | None:
        """The answer of executeCode and executeCommand, or None when it is something else."""
        answer = self.structured
        try:
            return Outcome(
                stdout=str(answer["stdout"]),
                stderr=str(answer["stderr"]),
                exit_code=int(answer["exitCode"]),
                seconds=float(answer["executionTime"]),
            )
        except (KeyError, TypeError, ValueError):
            return None


class CodeSession:
    """A session that runs. Get one from `open_session`, which stops it.

    No call waits beyond `deadline`: it raises DeadlineExceeded instead.
    """

    def __init__(self, clients: Clients, interpreter_id: str, session_id: str, deadline: Deadline) -> None:
        self._clients = clients
        self._interpreter_id = interpreter_id
        self._deadline = deadline
        self.session_id = session_id

    def execute_code(self, code: str, language: str, seconds: float) -> Outcome:
        """Runs code once and waits up to `seconds`. A failing program is an Outcome.

        Throttled and the other refusals mean that it did not run; SessionLost that it may have, and nobody knows.
        """
        doing = f"running the code in session {self.session_id}"
        try:
            answer = self._patiently(
                doing, lambda: self._send("executeCode", {"code": code, "language": language}, seconds)
            )
        except FAILURES as error:
            known = from_service(doing, error)
            if was_accepted(error) and not isinstance(known, DeadlineExceeded):
                raise SessionLost(f"{known}; the code may have run") from error
            raise known from error
        if (outcome := answer.outcome()) is None:
            raise SessionLost(f"{doing}: the service answered without an outcome; the code may have run")
        return outcome

    def execute_command(self, command: str) -> Outcome:
        """Runs a command of our own in a fresh shell of the working directory. It may run more than once."""
        outcome = self._tool("executeCommand", {"command": command}).outcome()
        if outcome is None:
            raise ServiceFault(f"running a command in session {self.session_id}: an answer without an outcome")
        return outcome

    def write_files(self, files: Mapping[str, bytes]) -> None:
        """Writes files, by paths relative to the working directory, in one call."""
        content = [{"path": path, "blob": data} for path, data in files.items()]
        if self._tool("writeFiles", {"content": content}).is_error:
            raise ServiceFault(f"writing the input files in session {self.session_id}: the service refused them")

    def read_files(self, paths: Sequence[str]) -> dict[str, bytes] | None:
        """Reads whole files in one call, or None when the service refuses it; a path it leaves out is missing.

        Raises PayloadTooLarge when the answer is more than one event carries (24 MiB after base64).
        """
        answer = self._tool("readFiles", {"paths": list(paths)})
        return None if answer.is_error else dict(_resources(answer.content, paths))

    def _tool(self, tool: str, arguments: dict[str, Any]) -> ToolAnswer:
        """Calls a tool that does no harm when it is called again, which a fault of the service is worth."""
        doing = f"{tool} in session {self.session_id}"

        def call() -> ToolAnswer:
            try:
                return self._send(tool, arguments, TOOL_SECONDS)
            except FAILURES as error:
                raise from_service(doing, error) from error

        return self._patiently(doing, call)

    def _patiently(self, doing: str, call: Callable[[], ToolAnswer]) -> ToolAnswer:
        """Sends a call again that was throttled, as often as there is time, and one that is known to be repeatable."""
        for wait in (random.uniform(0.5, 1.5) * wait for wait in WAITS_SECONDS):  # noqa: S311 - jitter, not a secret
            self._deadline.require(LEAST_SECONDS, doing)
            try:
                return call()
            except Exception as error:
                if not _is_worth_another(error) or self._deadline.seconds_left < wait + LEAST_SECONDS:
                    raise
                time.sleep(wait)
        return call()

    def _send(self, tool: str, arguments: dict[str, Any], seconds: float) -> ToolAnswer:
        """One InvokeCodeInterpreter, sent once. Raises one of FAILURES."""
        client = self._clients.invoke(min(seconds, self._deadline.seconds_left))
        response = client.invoke_code_interpreter(
            codeInterpreterIdentifier=self._interpreter_id,
            sessionId=self.session_id,
            name=cast("Any", tool),
            arguments=cast("Any", arguments),
        )
        return _merged(event["result"] for event in response["stream"] if "result" in event)


@contextmanager
def open_session(
    clients: Clients,
    interpreter_id: str,
    *,
    timeout_seconds: int,
    deadline: Deadline,
    not_stopped: Callable[[str, RunError], None],
) -> Generator[CodeSession]:
    """Starts a session and stops it, whatever happens between.

    A session that could not be stopped, or whose start had no answer, is told to `not_stopped` and ends by its
    lifetime; it never hides the result or the error of the run.
    """
    doing = f"starting a session on {interpreter_id}"
    try:
        started = clients.sessions.start_code_interpreter_session(
            codeInterpreterIdentifier=interpreter_id, name="sandpiper-run", sessionTimeoutSeconds=timeout_seconds
        )
    except FAILURES as error:
        known = from_service(doing, error)
        if was_accepted(error):
            not_stopped("unknown", known)
        raise known from error
    session_id = started["sessionId"]
    try:
        yield CodeSession(clients, interpreter_id, session_id, deadline)
    finally:
        try:
            clients.sessions.stop_code_interpreter_session(
                codeInterpreterIdentifier=interpreter_id, sessionId=session_id
            )
        except FAILURES as error:
            if not _already_ended(error):
                not_stopped(session_id, from_service(f"stopping session {session_id}", error))


def _already_ended(error: Exception) -> bool:
    """A session that its lifetime ended answers a stop with ConflictException."""
    return isinstance(error, ClientError) and error.response.get("Error", {}).get("Code") == "ConflictException"


def _is_worth_another(error: Exception) -> bool:
    """A refusal for the rate always; a fault only where `_tool` has already judged that the call may be repeated."""
    if isinstance(error, RunError):
        return isinstance(error, Throttled | ServiceFault)
    return not was_accepted(error) and isinstance(from_service("", error), Throttled)


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
