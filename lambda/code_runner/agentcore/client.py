"""The nine tools of a Code Interpreter session as typed methods, each one call of InvokeCodeInterpreter.

Not what is done with them: that is the session's. A call that runs somebody's code is sent once; the others do no harm
when they are sent again.
"""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, cast
from urllib.parse import unquote

from code_runner.agentcore.limits import REQUEST_BYTES
from code_runner.agentcore.service_errors import FAILURES, from_service, session_had_ended, was_accepted
from sandpiper_contract.errors import (
    DeadlineExceeded,
    InvalidRequest,
    PayloadTooLarge,
    RunError,
    ServiceFault,
    SessionLost,
    Throttled,
)
from sandpiper_contract.field_types import MAX_NUMBER, AnyString, Base64, ListOf, Number
from sandpiper_contract.handles import SessionHandle, TaskHandle
from sandpiper_contract.invalid_values import require_instance
from sandpiper_contract.requests import RunInSession, StartCommand
from sandpiper_contract.results import EXIT_CODE, MILLISECONDS, RUNNING_STATUSES, TASK_STATUSES, TaskStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    from code_runner.agentcore.boto_clients import Clients
    from code_runner.agentcore.deadline import Deadline
    from sandpiper_contract.requests import Language, Runtime

WAITS_SECONDS = (0.2, 0.5, 1.0, 2.0, 4.0)
"""Waits before a call is sent again: at 30 calls a second an account, 200 calls have passed by then."""
LEAST_SECONDS = 3
"""A call is not sent with less time than this for its answer."""
TOOL_SECONDS = 60
"""How long a call that runs no code of the user's may take."""
LONGEST_CALL_SECONDS = 900
"""The service's limit for a call that waits for code."""
CLOCKS_SECONDS = 5
"""How much earlier than it was reckoned a session may end, for clocks that differ."""
STARTING_SECONDS = 60
"""How much later: it lives from its start, which may be answered late."""
PATHS = ListOf(AnyString(), MAX_NUMBER)
SECONDS = Number("seconds")


@dataclass(frozen=True)
class Outcome:
    """What code or a command printed and how it ended. `seconds` is the service's own measurement.

    `content` has the answer's blocks as the service sent them: text, and images and tables that the code showed.
    """

    stdout: str
    stderr: str
    exit_code: int
    seconds: float
    content: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True)
class Task:
    """A command that was started, and what it printed so far. `exit_code` and `seconds` are there once it has ended."""

    task_id: str
    status: TaskStatus
    stdout: str = ""
    stderr: str = ""
    exit_code: int | None = None
    seconds: float | None = None

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self.status in RUNNING_STATUSES


@dataclass(frozen=True)
class ListedFile:
    """A name in a folder; the service tells no sizes."""

    name: str
    kind: Literal["file", "folder"]


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
                exit_code=_exit_code(answer["exitCode"]),
                seconds=_seconds(answer["executionTime"]),
                content=tuple(self.content),
            )
        except (KeyError, TypeError, ValueError, InvalidRequest):
            return None

    @property
    def text(self) -> str:
        """The first text of the answer, which is the message of a refusal."""
        return next((str(block["text"]) for block in self.content if "text" in block), "")


def nothing() -> None:
    """For who does not need to know that code was refused."""


class ToolCalls:
    """The tools of one session. No call waits beyond `deadline`: it raises DeadlineExceeded instead.

    `lifetime` is when the service ends the session, if that is known. Every method raises the contract's RunError. What
    the contract does not take is InvalidRequest before anything is sent. A refusal by the tool itself, such as for a
    file that is not there, is InvalidRequest with the service's words.
    """

    def __init__(
        self,
        clients: Clients,
        interpreter_id: str,
        session_id: str,
        deadline: Deadline,
        *,
        lifetime: Deadline | None = None,
    ) -> None:
        self._clients = clients
        self._handle = SessionHandle(interpreter_id, session_id)
        self.lifetime = lifetime
        self.deadline = deadline
        self.interpreter_id = interpreter_id
        self.session_id = session_id

    def execute_code(
        self,
        code: str,
        language: Language = "python",
        *,
        runtime: Runtime | None = None,
        clear_context: bool = False,
        seconds: float = LONGEST_CALL_SECONDS,
        refused: Callable[[], None] = nothing,
    ) -> Outcome:
        """Runs code once and waits up to `seconds`. A failing program is an Outcome.

        `refused` is called when the code surely did not run. SessionLost that does not say so means that it may have,
        and nobody knows.
        """
        with telling(refused):
            RunInSession(
                session=self._handle, code=code, language=language, runtime=runtime, clear_context=clear_context
            )
            SECONDS.validate("seconds", seconds)
        return self._execute_code(code, language, runtime, clear_context, seconds, refused)

    def _execute_code(
        self,
        code: str,
        language: Language,
        runtime: Runtime | None,
        clear_context: bool,
        seconds: float,
        refused: Callable[[], None],
    ) -> Outcome:
        """What is checked, or was read from a request, is sent."""
        arguments: dict[str, Any] = {"code": code, "language": language}
        if runtime is not None:
            arguments["runtime"] = runtime
        if clear_context:
            arguments["clearContext"] = True
        return self._run("executeCode", "running the code", arguments, seconds, refused)

    def execute_command(
        self, command: str, *, seconds: float = LONGEST_CALL_SECONDS, refused: Callable[[], None] = nothing
    ) -> Outcome:
        """Runs a command once, in a fresh shell of the working directory, and waits up to `seconds`.

        The service writes all output of a command that fails to stderr.
        """
        with telling(refused):
            RunInSession(session=self._handle, command=command)
            SECONDS.validate("seconds", seconds)
        return self._execute_command(command, seconds, refused)

    def _execute_command(self, command: str, seconds: float, refused: Callable[[], None]) -> Outcome:
        return self._run("executeCommand", "running the command", {"command": command}, seconds, refused)

    def execute_own_command(self, command: str, seconds: float = TOOL_SECONDS) -> Outcome:
        """Runs a command of the product's own, which does no harm when it runs more than once."""
        return self._run_own("executeCommand", {"command": command}, seconds)

    def execute_own_code(self, code: str, *, clear_context: bool = False) -> Outcome:
        """Runs Python of the product's own in the programs' interpreter, likewise."""
        cleared = {"clearContext": True} if clear_context else {}
        return self._run_own("executeCode", {"code": code, "language": "python", **cleared}, TOOL_SECONDS)

    def start_command_execution(self, command: str, *, refused: Callable[[], None] = nothing) -> Task:
        """Starts a command once that runs on without a caller, for up to eight hours."""
        with telling(refused):
            StartCommand(command=command)
        return self._start_execution(command, refused)

    def _start_execution(self, command: str, refused: Callable[[], None]) -> Task:
        doing = f"starting the command in session {self.session_id}"
        answer = self._once("startCommandExecution", doing, {"command": command}, TOOL_SECONDS, refused)
        if "taskId" not in answer.structured:
            raise SessionLost(f"{doing}: the service answered without a task; it may run")
        return _task(doing, answer, str(answer.structured["taskId"]))

    def get_task(self, task_id: str) -> Task:
        """How a started command is."""
        TaskHandle(self._handle, task_id)
        return _task(f"getTask in session {self.session_id}", self._tool("getTask", {"taskId": task_id}), task_id)

    def stop_task(self, task_id: str) -> None:
        """Ends a started command; one that has ended is refused with InvalidRequest."""
        TaskHandle(self._handle, task_id)
        self._accepted("stopTask", {"taskId": task_id})

    def write_files(self, files: Mapping[str, bytes]) -> None:
        """Writes files, by paths relative to the working directory, in one call.

        Raises PayloadTooLarge for more than one call carries (100 MB).
        """
        content = [
            {"path": AnyString().validate("a path of files", path), "blob": Base64().validate(f"files[{path!r}]", data)}
            for path, data in cast("Mapping[object, object]", require_instance("files", files, Mapping)).items()
        ]
        self._accepted("writeFiles", {"content": content})

    def read_files(self, paths: Sequence[str]) -> dict[str, bytes] | None:
        """Reads whole files in one call, or None when the service refuses it; a path it leaves out is missing.

        Raises PayloadTooLarge when the answer is more than one event carries (24 MiB after base64).
        """
        answer = self._tool("readFiles", {"paths": list(PATHS.validate("paths", paths))})
        return None if answer.is_error else dict(_resources(answer.content, paths))

    def list_files(self, folder: str = "") -> list[ListedFile]:
        """The names in one folder, hidden ones too."""
        answer = self._accepted("listFiles", {"directoryPath": AnyString().validate("folder", folder)})
        return [_listed(block) for block in answer.content if block.get("type") == "resource_link"]

    def remove_files(self, paths: Sequence[str]) -> None:
        """Removes files."""
        self._accepted("removeFiles", {"paths": list(PATHS.validate("paths", paths))})

    def _run(
        self, tool: str, doing: str, arguments: dict[str, Any], seconds: float, refused: Callable[[], None]
    ) -> Outcome:
        doing = f"{doing} in session {self.session_id}"
        if (outcome := self._once(tool, doing, arguments, seconds, refused).outcome()) is None:
            raise SessionLost(f"{doing}: the service answered without an outcome; it may have run")
        return outcome

    def _run_own(self, tool: str, arguments: dict[str, Any], seconds: float) -> Outcome:
        if (outcome := self._tool(tool, arguments, seconds).outcome()) is None:
            raise ServiceFault(f"{tool} in session {self.session_id}: an answer without an outcome")
        return outcome

    def _once(
        self, tool: str, doing: str, arguments: dict[str, Any], seconds: float, refused: Callable[[], None]
    ) -> ToolAnswer:
        """Sends somebody's code. A refusal for the rate is sent again; nothing is, once it may have been accepted."""
        sent = [0.0]

        def send() -> ToolAnswer:
            sent[0] = time.monotonic()
            return self._send(tool, arguments, seconds)

        try:
            return self._patiently(doing, send)
        except FAILURES as error:
            known = from_service(doing, error)
            if not was_accepted(error) or (session_had_ended(error) and self._came_too_late(sent[0])):
                refused()
                if isinstance(known, SessionLost):
                    raise SessionLost(f"{known}; it has not run") from error
            elif isinstance(known, PayloadTooLarge):
                message = f"{known}: it ran, and printed more than one answer carries; let it write to a file"
                raise PayloadTooLarge(message) from error
            elif not isinstance(known, DeadlineExceeded):
                raise SessionLost(f"{known}; it may have run") from error
            raise known from error
        except RunError:  # there was no time left to send it, or it is too large
            refused()
            raise

    def _came_too_late(self, sent: float) -> bool:
        """Whether a call of that moment, to which the service says that its session is over, surely found it so.

        One that was under way when its session was stopped is answered otherwise, and one under way when the lifetime
        ended is not: so the answer tells where the lifetime cannot have ended meanwhile.
        """
        if self.lifetime is None:
            return False
        return self.lifetime.earlier(CLOCKS_SECONDS).seconds_left > 0 or sent > self.lifetime.at + STARTING_SECONDS

    def _accepted(self, tool: str, arguments: dict[str, Any]) -> ToolAnswer:
        """The answer of a tool that did what it was asked; raises InvalidRequest with the service's words otherwise."""
        answer = self._tool(tool, arguments)
        if answer.is_error:
            raise InvalidRequest(f"{tool} in session {self.session_id}: {answer.text or 'the service refused it'}")
        return answer

    def _tool(self, tool: str, arguments: dict[str, Any], seconds: float = TOOL_SECONDS) -> ToolAnswer:
        """Calls a tool that does no harm when it is called again, which a fault of the service is worth."""
        doing = f"{tool} in session {self.session_id}"

        def call() -> ToolAnswer:
            try:
                return self._send(tool, arguments, seconds)
            except FAILURES as error:
                raise from_service(doing, error) from error

        return self._patiently(doing, call)

    def _patiently(self, doing: str, call: Callable[[], ToolAnswer]) -> ToolAnswer:
        """Sends a call again that was throttled, as often as there is time, and one that is known to be repeatable."""
        for wait in (random.uniform(0.5, 1.5) * wait for wait in WAITS_SECONDS):  # noqa: S311 - jitter, not a secret
            self.deadline.require(LEAST_SECONDS, doing)
            try:
                return call()
            except Exception as error:
                if not _is_worth_another(error) or self.deadline.seconds_left < wait + LEAST_SECONDS:
                    raise
                time.sleep(wait)
        return call()

    def _send(self, tool: str, arguments: dict[str, Any], seconds: float) -> ToolAnswer:
        """One InvokeCodeInterpreter, sent once. Raises one of FAILURES, or PayloadTooLarge before it is sent."""
        if (size := _size(arguments)) > REQUEST_BYTES:
            raise PayloadTooLarge(
                f"{tool} in session {self.session_id}: {size:,} bytes; one call carries {REQUEST_BYTES:,}: "
                "send fewer at a time, or let the code fetch them from S3"
            )
        client = self._clients.invoke(min(seconds, self.deadline.seconds_left))
        response = client.invoke_code_interpreter(
            codeInterpreterIdentifier=self.interpreter_id,
            sessionId=self.session_id,
            name=cast("Any", tool),
            arguments=cast("Any", arguments),
        )
        return _merged(event["result"] for event in response["stream"] if "result" in event)


@contextmanager
def telling(refused: Callable[[], None]) -> Generator[None]:
    """Tells who must know of it when the block raises RunError, since nothing was sent."""
    try:
        yield
    except RunError:
        refused()
        raise


def _exit_code(value: object) -> int:
    return EXIT_CODE.parse("exitCode", value)


def _seconds(value: Any) -> float:
    return MILLISECONDS.parse("executionTime", float(value) * 1000) / 1000


def _size(value: object) -> int:
    """What arguments come to, before JSON and base64 make them longer."""
    if isinstance(value, Mapping):
        return sum(map(_size, cast("Mapping[str, object]", value).values()))
    if isinstance(value, list):
        return sum(map(_size, cast("list[object]", value)))
    if isinstance(value, bytes):
        return len(value)
    return len(value.encode("utf-8", "surrogatepass")) if isinstance(value, str) else 0


def _task(doing: str, answer: ToolAnswer, task_id: str) -> Task:
    found = answer.structured
    if "taskStatus" not in found and answer.is_error:
        raise InvalidRequest(f"{doing}: {answer.text or 'the service refused it'}")
    if found.get("taskStatus") not in TASK_STATUSES:
        raise ServiceFault(f"{doing}: an answer without a task's state")
    exit_code, seconds = found.get("exitCode"), found.get("executionTime")
    try:
        return Task(
            task_id,
            cast("TaskStatus", found["taskStatus"]),
            str(found.get("stdout", "")),
            str(found.get("stderr", "")),
            None if exit_code is None else _exit_code(exit_code),
            None if seconds is None else _seconds(seconds),
        )
    except (TypeError, ValueError, InvalidRequest) as error:
        raise ServiceFault(f"{doing}: an answer whose task is none: {error}") from error


def _listed(block: Mapping[str, Any]) -> ListedFile:
    return ListedFile(str(block.get("name", "")), "folder" if block.get("description") == "Directory" else "file")


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
