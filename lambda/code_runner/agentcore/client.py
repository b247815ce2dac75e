"""The nine tools of a Code Interpreter session as typed methods; each is one call of InvokeCodeInterpreter.

A call that runs a caller's code is sent once. All other calls are safe to repeat.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, cast

from code_runner.agentcore.programs import Code, Command
from code_runner.agentcore.tool_invoker import MAX_CALL_SECONDS, TOOL_TIMEOUT_SECONDS, ToolInvoker
from sandpiper_contract.errors import RunError, ServiceFault, SessionLost
from sandpiper_contract.field_types import MAX_NUMBER, AnyString, Base64, ListOf, Number, Text
from sandpiper_contract.invalid_values import require_instance

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from contextlib import AbstractContextManager

    from code_runner.agentcore.boto_clients import Clients
    from code_runner.agentcore.deadline import Deadline
    from code_runner.agentcore.responses import ListedFile, Outcome, Task

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
        self._invoker = ToolInvoker(clients, self.interpreter_id, self.session_id, deadline, lifetime)

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
        result = self._invoker.invoke_once(
            "startCommandExecution", action, arguments, TOOL_TIMEOUT_SECONDS, on_rejected
        )
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
        result = self._invoker.invoke_repeatable("getTask", {"taskId": task_id}, shorten=True)
        return result.task(f"getTask in session {self.session_id}", task_id)

    def stop_task(self, task_id: str) -> None:
        """Stops a started command. Raises InvalidRequest when it has already ended."""
        IDENTIFIER.validate("taskId", task_id)
        self._invoker.invoke_successful("stopTask", {"taskId": task_id})

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
        self._invoker.invoke_successful("writeFiles", {"content": content})

    def read_files(self, paths: Sequence[str]) -> dict[str, bytes] | None:
        """Reads whole files in one call.

        Returns:
            Contents by path, without the paths that the service left out; None when the tool returned an error.

        Raises:
            PayloadTooLarge: The files exceed the limit of one event (24 MiB after base64).
        """
        result = self._invoker.invoke_repeatable("readFiles", {"paths": list(PATHS.validate("paths", paths))})
        return None if result.is_error else dict(result.file_contents(paths))

    def list_files(self, folder: str = "") -> list[ListedFile]:
        """Lists the entries of one folder, including hidden ones."""
        return self._invoker.invoke_successful(
            "listFiles", {"directoryPath": AnyString().validate("folder", folder)}
        ).listed_files()

    def remove_files(self, paths: Sequence[str]) -> None:
        """Removes files."""
        self._invoker.invoke_successful("removeFiles", {"paths": list(PATHS.validate("paths", paths))})

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
        outcome = self._invoker.invoke_once(tool, action, arguments, seconds, on_rejected, while_sent).outcome()
        if outcome is None:
            raise SessionLost(f"{action}: the response has no outcome; it may have run")
        return outcome

    def _execute_repeatable(self, tool: str, arguments: dict[str, Any], seconds: float) -> Outcome:
        outcome = self._invoker.invoke_repeatable(tool, arguments, seconds).outcome()
        if outcome is None:
            raise ServiceFault(f"{tool} in session {self.session_id}: the response has no outcome")
        return outcome


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
