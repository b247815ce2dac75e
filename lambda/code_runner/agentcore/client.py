"""The nine tools of a Code Interpreter session as typed methods; each is one call of InvokeCodeInterpreter.

A call that runs a caller's code is sent once. All other calls are safe to repeat.
"""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, cast

from code_runner.agentcore.event_stream import read_events
from code_runner.agentcore.limits import MAX_REQUEST_BYTES
from code_runner.agentcore.programs import Code, Command
from code_runner.agentcore.responses import ListedFile, Outcome, Task, ToolResult
from code_runner.agentcore.retries import with_retries
from code_runner.agentcore.service_errors import AWS_ERRORS, from_service, session_had_ended, was_accepted
from sandpiper_contract.errors import (
    DeadlineExceeded,
    InvalidRequest,
    PayloadTooLarge,
    RunError,
    ServiceFault,
    SessionLost,
    Throttled,
)
from sandpiper_contract.field_types import MAX_NUMBER, AnyString, Base64, ListOf, Number, Text
from sandpiper_contract.invalid_values import require_instance

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from contextlib import AbstractContextManager

    from code_runner.agentcore.boto_clients import Clients
    from code_runner.agentcore.deadline import Deadline

RETRY_DELAYS_SECONDS = (0.2, 0.5, 1.0, 2.0, 4.0)
"""Delays before a call is repeated. In their total time, an account can make more than 200 calls at its quota of 30
calls per second."""
MIN_REMAINING_SECONDS = 3
"""A call is not sent if less time remains for its response."""
TOOL_TIMEOUT_SECONDS = 60
"""Timeout of a call that does not run the caller's code."""
MAX_CALL_SECONDS = 900
"""The service's limit for a call that waits for code."""
CLOCK_SKEW_SECONDS = 5
"""A session may end this much earlier than computed, because clocks differ."""
START_LATENCY_SECONDS = 60
"""A session may end this much later than computed: its lifetime begins at its start, and the response may be late."""
PATHS = ListOf(AnyString(), MAX_NUMBER)
SECONDS = Number("seconds")
IDENTIFIER = Text(255)


def ignore_rejection() -> None:
    """Does nothing: the default of `on_rejected`."""


class CodeInterpreterClient:
    """The tools of one session.

    No call waits beyond `deadline`; it raises DeadlineExceeded instead. Every method raises errors of the contract
    (RunError). Invalid arguments raise InvalidRequest before anything is sent. An error of the tool itself, such as a
    missing file, is InvalidRequest with the service's message.

    Args:
        clients: The boto clients.
        interpreter_id: Identifier of the interpreter.
        session_id: Identifier of the session.
        deadline: When the last call must have ended.
        lifetime: When the service ends the session, if known.

    Example:
        >>> client = CodeInterpreterClient(AwsClients(), "aws.codeinterpreter.v1", session_id, Deadline.after(60))
        >>> client.execute_code(Code("print(6 * 7)")).stdout
        '42'
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
        self.clients = clients
        self.lifetime = lifetime
        self.deadline = deadline
        self.interpreter_id = IDENTIFIER.validate("interpreter", interpreter_id)
        self.session_id = IDENTIFIER.validate("sessionId", session_id)

    @property
    def seconds_left(self) -> float:
        """The time in seconds until the deadline or the end of the session, whichever is earlier."""
        deadlines = (self.deadline, self.lifetime) if self.lifetime else (self.deadline,)
        return min(deadline.seconds_left for deadline in deadlines)

    def execute_code(
        self,
        code: Code,
        *,
        seconds: float = MAX_CALL_SECONDS,
        on_rejected: Callable[[], None] = ignore_rejection,
        while_sent: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> Outcome:
        """Runs code once. A program that fails returns an outcome and does not raise an error.

        Args:
            code: The program.
            seconds: How long to wait for the end of the program.
            on_rejected: Called when the code certainly did not run.
            while_sent: Returns a context that is entered for each call that is sent, until its response.

        Raises:
            SessionLost: The session ended. Unless the message says "it has not run", the code may have run.
            DeadlineExceeded: The program did not end in time.
        """
        with _notify_rejection(on_rejected):
            require_instance("code", code, Code)
            SECONDS.validate("seconds", seconds)
        arguments = _code_arguments(code)
        return self._execute_once("executeCode", "running the code", arguments, seconds, on_rejected, while_sent)

    def execute_command(
        self,
        command: Command,
        *,
        seconds: float = MAX_CALL_SECONDS,
        on_rejected: Callable[[], None] = ignore_rejection,
        while_sent: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> Outcome:
        """Runs a command once, in a new shell in the working directory.

        The service returns all output of a command that fails in `stderr`.

        Args:
            command: The command.
            seconds: How long to wait for the end of the command.
            on_rejected: Called when the command certainly did not run.
            while_sent: Returns a context that is entered for each call that is sent, until its response.

        Raises:
            SessionLost: The session ended. Unless the message says "it has not run", the command may have run.
            DeadlineExceeded: The command did not end in time.
        """
        with _notify_rejection(on_rejected):
            require_instance("command", command, Command)
            SECONDS.validate("seconds", seconds)
        arguments = {"command": command.text}
        return self._execute_once("executeCommand", "running the command", arguments, seconds, on_rejected, while_sent)

    def start_command_execution(self, command: Command, *, on_rejected: Callable[[], None] = ignore_rejection) -> Task:
        """Starts a command once. It continues without a caller, for up to eight hours.

        Args:
            command: The command.
            on_rejected: Called when the command certainly was not started.
        """
        with _notify_rejection(on_rejected):
            require_instance("command", command, Command)
        action = f"starting the command in session {self.session_id}"
        arguments = {"command": command.text}
        result = self._invoke_once("startCommandExecution", action, arguments, TOOL_TIMEOUT_SECONDS, on_rejected)
        if "taskId" not in result.structured:
            raise SessionLost(f"{action}: the response has no task id; it may run")
        return result.task(action, str(result.structured["taskId"]))

    def execute_idempotent_command(self, command: str, seconds: float = TOOL_TIMEOUT_SECONDS) -> Outcome:
        """Runs a command of this package that is safe to repeat, and repeats it after a service fault."""
        return self._execute_repeatable("executeCommand", {"command": command}, seconds)

    def execute_idempotent_code(self, code: str, *, clear_context: bool = False) -> Outcome:
        """Runs Python code of this package that is safe to repeat, in the interpreter of the caller's programs."""
        arguments = _code_arguments(Code(code, clear_context=clear_context))
        return self._execute_repeatable("executeCode", arguments, TOOL_TIMEOUT_SECONDS)

    def get_task(self, task_id: str) -> Task:
        """Returns the state of a started command."""
        IDENTIFIER.validate("taskId", task_id)
        result = self._invoke_repeatable("getTask", {"taskId": task_id}, shorten=True)
        return result.task(f"getTask in session {self.session_id}", task_id)

    def stop_task(self, task_id: str) -> None:
        """Stops a started command. Raises InvalidRequest when it has already ended."""
        IDENTIFIER.validate("taskId", task_id)
        self._invoke_successful("stopTask", {"taskId": task_id})

    def write_files(self, files: Mapping[str, bytes]) -> None:
        """Writes files in one call.

        Args:
            files: Contents by path relative to the working directory.

        Raises:
            PayloadTooLarge: The files exceed the limit of one call (100 MB).
        """
        content = [
            {"path": AnyString().validate("a path of files", path), "blob": Base64().validate(f"files[{path!r}]", data)}
            for path, data in cast("Mapping[object, object]", require_instance("files", files, Mapping)).items()
        ]
        self._invoke_successful("writeFiles", {"content": content})

    def read_files(self, paths: Sequence[str]) -> dict[str, bytes] | None:
        """Reads whole files in one call.

        Returns:
            Contents by path, without the paths that the service left out; None when the tool returned an error.

        Raises:
            PayloadTooLarge: The files exceed the limit of one event (24 MiB after base64).
        """
        result = self._invoke_repeatable("readFiles", {"paths": list(PATHS.validate("paths", paths))})
        return None if result.is_error else dict(result.file_contents(paths))

    def list_files(self, folder: str = "") -> list[ListedFile]:
        """Lists the entries of one folder, including hidden ones."""
        return self._invoke_successful(
            "listFiles", {"directoryPath": AnyString().validate("folder", folder)}
        ).listed_files()

    def remove_files(self, paths: Sequence[str]) -> None:
        """Removes files."""
        self._invoke_successful("removeFiles", {"paths": list(PATHS.validate("paths", paths))})

    def _execute_once(
        self,
        tool: str,
        action: str,
        arguments: dict[str, Any],
        seconds: float,
        on_rejected: Callable[[], None],
        while_sent: Callable[[], AbstractContextManager[object]],
    ) -> Outcome:
        action = f"{action} in session {self.session_id}"
        outcome = self._invoke_once(tool, action, arguments, seconds, on_rejected, while_sent).outcome()
        if outcome is None:
            raise SessionLost(f"{action}: the response has no outcome; it may have run")
        return outcome

    def _execute_repeatable(self, tool: str, arguments: dict[str, Any], seconds: float) -> Outcome:
        outcome = self._invoke_repeatable(tool, arguments, seconds).outcome()
        if outcome is None:
            raise ServiceFault(f"{tool} in session {self.session_id}: the response has no outcome")
        return outcome

    def _invoke_once(
        self,
        tool: str,
        action: str,
        arguments: dict[str, Any],
        seconds: float,
        on_rejected: Callable[[], None],
        while_sent: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> ToolResult:
        """Sends a caller's code. Only throttled calls are repeated, because they were not accepted."""
        sent_at = 0.0

        def send() -> ToolResult:
            nonlocal sent_at
            sent_at = time.monotonic()
            with while_sent():
                return self._send(tool, arguments, seconds, shorten=True)

        try:
            self._require_session(action)
            return self._retry(action, send)
        except AWS_ERRORS as error:
            contract_error = from_service(action, error)
            if not was_accepted(error) or (session_had_ended(error) and self._ended_before(sent_at)):
                on_rejected()
                if isinstance(contract_error, SessionLost):
                    raise SessionLost(f"{contract_error}; it has not run") from error
            elif not isinstance(contract_error, DeadlineExceeded):
                raise SessionLost(f"{contract_error}; it may have run") from error
            raise contract_error from error
        except RunError:  # not sent: no time was left, or the request is too large
            on_rejected()
            raise

    def _require_session(self, action: str) -> None:
        """Raises SessionLost if the session has ended with its lifetime, before the code is sent.

        After the code is sent, the same error of the service does not show whether the code ran.
        """
        if self.lifetime is None or self.lifetime.seconds_left > 0:
            return
        try:
            self.list_files()
        except SessionLost as lost:
            raise SessionLost(f"{action}: {lost}; it has not run") from lost

    def _ended_before(self, sent_at: float) -> bool:
        """Returns whether the session certainly ended before a call to which the service responded that it has ended.

        The service returns the same error if the session ended before the call and if its lifetime ended during the
        call. So the error is conclusive only if the lifetime cannot have ended during the call. A session that is
        stopped during the call causes another error.

        Args:
            sent_at: When the call was sent, on the monotonic clock.
        """
        if self.lifetime is None:
            return False
        lifetime_lasts = self.lifetime.earlier(CLOCK_SKEW_SECONDS).seconds_left > 0
        return lifetime_lasts or sent_at > self.lifetime.at + START_LATENCY_SECONDS

    def _invoke_successful(self, tool: str, arguments: dict[str, Any]) -> ToolResult:
        """Calls a tool; raises InvalidRequest with the service's message when the tool returns an error."""
        result = self._invoke_repeatable(tool, arguments)
        if result.is_error:
            raise InvalidRequest(f"{tool} in session {self.session_id}: {result.text or 'the service rejected it'}")
        return result

    def _invoke_repeatable(
        self, tool: str, arguments: dict[str, Any], seconds: float = TOOL_TIMEOUT_SECONDS, *, shorten: bool = False
    ) -> ToolResult:
        """Calls a tool that is safe to repeat, and repeats it when throttled and after a service fault."""
        action = f"{tool} in session {self.session_id}"

        def send() -> ToolResult:
            try:
                return self._send(tool, arguments, seconds, shorten=shorten)
            except AWS_ERRORS as error:
                raise from_service(action, error) from error

        return self._retry(action, send)

    def _retry(self, action: str, send: Callable[[], ToolResult]) -> ToolResult:
        """Sends a call and repeats it after retryable errors, while time remains."""
        self.deadline.require(MIN_REMAINING_SECONDS, action)

        def is_retryable(error: Exception, delay: float) -> bool:
            return _is_retryable(error) and self.deadline.seconds_left >= delay + MIN_REMAINING_SECONDS

        delays = (random.uniform(0.5, 1.5) * delay for delay in RETRY_DELAYS_SECONDS)  # noqa: S311 - jitter, no secret
        return with_retries(send, delays, is_retryable)

    def _send(self, tool: str, arguments: dict[str, Any], seconds: float, *, shorten: bool) -> ToolResult:
        """Sends one InvokeCodeInterpreter request once.

        Args:
            tool: Name of the tool.
            arguments: Its arguments.
            seconds: How long to wait for the response.
            shorten: Whether long texts of a response over the limit of one event are shortened.

        Raises:
            PayloadTooLarge: The request is too large. Nothing was sent.
            Exception: One of AWS_ERRORS.
        """
        if (size := _payload_bytes(arguments)) > MAX_REQUEST_BYTES:
            raise PayloadTooLarge(
                f"{tool} in session {self.session_id}: {size:,} bytes; allowed: {MAX_REQUEST_BYTES:,} in one call; "
                "send fewer files at a time, or let the code read them from S3"
            )
        client = self.clients.invoke(min(seconds, self.deadline.seconds_left))
        response = client.invoke_code_interpreter(
            codeInterpreterIdentifier=self.interpreter_id,
            sessionId=self.session_id,
            name=cast("Any", tool),
            arguments=cast("Any", arguments),
        )
        events = read_events(response["stream"], shorten=shorten)
        return ToolResult.from_events(event["result"] for event in events if "result" in event)


@contextmanager
def _notify_rejection(on_rejected: Callable[[], None]) -> Generator[None]:
    """Calls `on_rejected` when the block raises RunError, because nothing was sent then."""
    try:
        yield
    except RunError:
        on_rejected()
        raise


def _code_arguments(code: Code) -> dict[str, Any]:
    arguments: dict[str, Any] = {"code": code.text, "language": code.language}
    if code.runtime is not None:
        arguments["runtime"] = code.runtime
    if code.clear_context:
        arguments["clearContext"] = True
    return arguments


def _payload_bytes(value: object) -> int:
    """Returns the total size of the arguments in bytes, before JSON and base64 encoding."""
    if isinstance(value, Mapping):
        return sum(map(_payload_bytes, cast("Mapping[str, object]", value).values()))
    if isinstance(value, list):
        return sum(map(_payload_bytes, cast("list[object]", value)))
    if isinstance(value, bytes):
        return len(value)
    return len(value.encode("utf-8", "surrogatepass")) if isinstance(value, str) else 0


def _is_retryable(error: Exception) -> bool:
    """Returns whether a call may be repeated.

    A contract error comes from `_invoke_repeatable`, whose calls can be repeated after a throttle or a service fault.
    Any other error comes from a call that must not run twice, which can be repeated only after a throttle.
    """
    if isinstance(error, RunError):
        return isinstance(error, Throttled | ServiceFault)
    return not was_accepted(error) and isinstance(from_service("", error), Throttled)
