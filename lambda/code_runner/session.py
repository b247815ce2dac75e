"""One Code Interpreter session, which is started once and always stopped.

This module offers the contract's operations as plain methods, for scripts and notebooks. `operations` adds idempotency
over retries with records in S3.
"""

from __future__ import annotations

import secrets
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import chain, repeat
from typing import TYPE_CHECKING, Protocol, cast

from code_runner.agentcore.boto_clients import AwsClients
from code_runner.agentcore.client import CodeInterpreterClient
from code_runner.agentcore.deadline import Deadline
from code_runner.agentcore.live_sessions import log_stop_failure, stop_after_deadline, stop_or_report, stop_session
from code_runner.agentcore.programs import Code, Command, as_command
from code_runner.agentcore.service_errors import AWS_ERRORS, from_service, was_accepted
from code_runner.agentcore.tool_invoker import MAX_CALL_SECONDS, RETRY_DELAYS_SECONDS
from code_runner.files.discovery import fits_in_command
from code_runner.files.figures import save_figures_of_next_program
from code_runner.files.outputs import CollectedOutputs, OutputSink, collect
from code_runner.program_timeout import program_seconds, run_for
from code_runner.started_commands import (
    as_started_command,
    has_timed_out,
    new_output_token,
    running_state,
    started_command_seconds,
    with_stopped_output,
)
from sandpiper_contract.aws import MANAGED_INTERPRETER
from sandpiper_contract.errors import DeadlineExceeded, InvalidRequest, RunError, SessionLost
from sandpiper_contract.field_types import Integer, ListOf, Text
from sandpiper_contract.files import DEFAULT_OUTPUTS, InputFile, Outputs
from sandpiper_contract.handles import SessionHandle, TaskHandle
from sandpiper_contract.invalid_values import invalid_without_value, require_instance
from sandpiper_contract.records import Nested
from sandpiper_contract.requests import (
    DEFAULT_SESSION_TIMEOUT_SECONDS,
    SESSION_TIMEOUT_SECONDS,
    CollectFiles,
    PollCommand,
    RunInSession,
    StartCommand,
)
from sandpiper_contract.results import TIMED_OUT_EXIT_CODE, CommandState, RunResult

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from typing import Any

    from code_runner.agentcore.boto_clients import Clients
    from code_runner.agentcore.responses import Task
    from code_runner.files.discovery import WrittenInput
    from code_runner.files.storage import Storage
    from code_runner.program_timeout import TimedOutcome


LIFETIME = Integer(1, SESSION_TIMEOUT_SECONDS[1], "seconds")
"""The service's limits for the lifetime of a session."""
SESSION_NAME = "sandpiper-run"
"""Default name of sessions."""
MAX_WRITTEN_FILES = 1_000
"""Maximum number of inputs of one call: the maximum number of objects in an input folder."""
COLLECTION_SECONDS = 10
"""Time reserved for listing and reading files."""


class ExecutionListener(Protocol):
    """Callbacks around the sending of code."""

    def before_execution(self) -> None:
        """Called immediately before the code is sent. If it raises an exception, the code is not sent."""
        ...

    def on_rejected(self) -> None:
        """Called when the code certainly did not run."""
        ...


class _NoListener:
    """Does nothing. The code runs at most once for this call; a second call runs it again."""

    def before_execution(self) -> None:
        """Does nothing."""

    def on_rejected(self) -> None:
        """Does nothing."""


NO_LISTENER = _NoListener()


@dataclass(frozen=True, eq=False, repr=False)
class Files:
    """The storage of the inputs and outputs of a session.

    Attributes:
        storage: The folders in S3. None for no bucket: requests and results contain the files.
        inline_bytes: Maximum size of the files in one result, in bytes. None for no limit.
    """

    storage: Storage | None = None
    inline_bytes: int | None = None


class CodeSession:
    """A running session. `open_session` starts one and stops it; the constructor joins an existing one.

    The service's nine tools are methods of `client`.

    Args:
        client: The client of the session.
        files: Storage of inputs and outputs; without it, requests and results contain them.
        scanned_at_us: The sandbox's clock, in µs, at the last listing of files. Later changes count as new.

    Example:
        >>> with open_session() as session:
        ...     session.run(Code("x = 41"))
        ...     print(session.run(Code("print(x + 1)")).stdout)
        ...     print(session.client.list_files())
        42
        []
    """

    def __init__(self, client: CodeInterpreterClient, *, files: Files | None = None, scanned_at_us: int = 0) -> None:
        self.client = client
        self.scanned_at_us = scanned_at_us
        self._files = Files() if files is None else require_instance("files", files, Files)
        self._handle = SessionHandle(client.interpreter_id, client.session_id)
        self._started: dict[str, TaskHandle] = {}

    @property
    def session_id(self) -> str:
        """The service's identifier of the session."""
        return self.client.session_id

    def run(
        self,
        program: Code | Command,
        *,
        inputs: Sequence[InputFile] = (),
        outputs: Outputs | None = None,
        timeout_seconds: int | None = None,
        listener: ExecutionListener = NO_LISTENER,
    ) -> RunResult:
        """Runs a program or a command once and collects its files.

        Variables of Python programs remain for later programs of the session, also after a timeout. A program that
        fails or times out returns a result and does not raise an error.

        Args:
            program: The program or command.
            inputs: Files that are written to the working directory first.
            outputs: Which files to collect; by default new and changed files, at most 10 files and 10 MiB.
            timeout_seconds: How long the program may run, 1 to 840 s. By default and at most, until the lifetime or the
                deadline ends, less 20 s for ending the program and collecting its files.
            listener: Callbacks around the sending of the code.

        Raises:
            InvalidRequest: An argument is not allowed. Nothing was sent.
            RunError: The run has no result. Only if the program did not run is the error retryable.

        Example:
            >>> session.run(Command("cat in.txt"), inputs=[InputFile.from_bytes("in.txt", b"hello")]).stdout
            'hello'
        """
        clear_context = isinstance(program, Code) and program.clear_context
        request = RunInSession(
            session=self._handle,
            **_request_fields(program),
            clear_context=clear_context,
            timeout_seconds=timeout_seconds,
            inputs=cast("tuple[InputFile, ...]", inputs),
            outputs=self._resolve(outputs),
        )
        outputs = request.outputs
        written = self._write_before_code(request.inputs)
        if written and outputs.collects_files and not fits_in_command(written, outputs):
            self.mark_files_seen()
            written = {}
        figures = None
        if outputs.figures and isinstance(program, Code):
            figures = save_figures_of_next_program(self.client, clear_context=program.clear_context)
            program = replace(program, clear_context=False)
        listener.before_execution()
        execution = self._execute(program, request.timeout_seconds, listener)
        outcome = execution.outcome
        collected = self._collect(outputs, written, figures)
        return RunResult(
            stdout=outcome.stdout,
            stderr=outcome.stderr,
            exit_code=outcome.exit_code,
            execution_time_ms=_milliseconds(outcome.seconds),
            timed_out=execution.timed_out,
            files=tuple(collected.files),
            skipped=tuple(collected.skipped),
        )

    def start(
        self,
        program: Code | Command,
        *,
        inputs: Sequence[InputFile] = (),
        timeout_seconds: int | None = None,
        listener: ExecutionListener = NO_LISTENER,
    ) -> Task:
        """Starts a program or a command once. It continues without a caller, for up to eight hours.

        Args:
            program: The program or command.
            inputs: Files that are written to the working directory first.
            timeout_seconds: How long the program may run, 1 to 28,780 s, at most until 20 s before the lifetime ends.
                Default: until the lifetime ends, less a twelfth of it, 20 to 300 s, for collecting the files.
            listener: Callbacks around the sending of the code.

        Returns:
            The task, whose `task_id` is the argument of `poll_command` and `stop_command`.
        """
        request = StartCommand(
            **_request_fields(program),
            timeout_seconds=timeout_seconds,
            inputs=cast("tuple[InputFile, ...]", inputs),
        )
        command, program_files = as_command(program)
        if self._write_before_code([*request.inputs, *program_files]):
            self.mark_files_seen()  # later calls, which collect the command's files, have no list of the inputs
        seconds = started_command_seconds(self.client, request.timeout_seconds)
        token = new_output_token()
        command = as_started_command(command, token, seconds)
        listener.before_execution()
        task = self.client.start_command_execution(command, on_rejected=listener.on_rejected)
        handle = TaskHandle(self._handle, task.task_id, output=token, timeout_seconds=max(int(seconds), 1))
        self._started[task.task_id] = handle
        return task

    def task_handle(self, task_id: str) -> TaskHandle:
        """Returns the handle of a started command, which another CodeSession of the same session accepts."""
        return self._started.get(task_id) or TaskHandle(self._handle, task_id)

    def poll_command(self, task: str | TaskHandle, *, outputs: Outputs | None = None) -> CommandState:
        """Returns the state of a started command with its last output and, once it has ended, all output and files.

        Args:
            task: The id of a command that this object has started, or the handle of any command of the session.
            outputs: Which files to collect.
        """
        handle = task if isinstance(task, TaskHandle) else self.task_handle(task)
        return self._poll(PollCommand(task=handle, outputs=self._resolve(outputs)))

    def stop_command(self, task: str | TaskHandle, *, outputs: Outputs | None = None) -> CommandState:
        """Stops a started command unless it has ended, and returns its final state with its output and files.

        The arguments are those of `poll_command`. The service may report the command as running for some time after the
        stop, so this polls until it has ended. A state whose `ended` is false means that no time was left to wait for
        that.
        """
        handle = task if isinstance(task, TaskHandle) else self.task_handle(task)
        request = PollCommand(task=handle, outputs=self._resolve(outputs))
        with suppress(InvalidRequest):
            self.client.stop_task(handle.task_id)
        delays = chain(RETRY_DELAYS_SECONDS, repeat(RETRY_DELAYS_SECONDS[-1]))
        while not (state := self._poll(request)).ended:
            delay = next(delays)
            if self.client.deadline.earlier(COLLECTION_SECONDS).seconds_left < delay:
                break
            time.sleep(delay)
        return state

    def write_inputs(self, inputs: Sequence[InputFile]) -> dict[str, WrittenInput]:
        """Writes files to the working directory and returns how each was written, by path."""
        return self._write_inputs(ListOf(Nested(InputFile), MAX_WRITTEN_FILES).validate("inputs", inputs))

    def collect_files(self, outputs: Outputs | None = None) -> CollectedOutputs:
        """Collects the files that changed since the last listing, or those that `outputs` requests.

        A file that cannot be collected is skipped; no error is raised.

        Raises:
            InvalidRequest: An argument is not allowed.
        """
        return self._collect(CollectFiles(session=self._handle, outputs=self._resolve(outputs)).outputs, {})

    def mark_files_seen(self) -> None:
        """Marks all present files as seen without collecting them, so that only later changes are collected."""
        listed = collect(self.client, {}, Outputs(max_files=0), self.scanned_at_us, OutputSink(None, 0))
        self.scanned_at_us = listed.clock

    def close_session(self) -> bool:
        """Stops the session. Returns False if it had already ended. Raises RunError."""
        return stop_session(self.client.clients, self.client.interpreter_id, self.session_id)

    def _resolve(self, outputs: Outputs | None) -> Outputs:
        """Returns `outputs` or the default. Raises InvalidRequest for links without a bucket."""
        resolved = DEFAULT_OUTPUTS if outputs is None else require_instance("outputs", outputs, Outputs)
        if resolved.link_seconds is not None and self._files.storage is None:
            raise InvalidRequest(f"outputs.linkSeconds is {resolved.link_seconds}; allowed: only with a bucket (Files)")
        return resolved

    def _write_inputs(self, files: Sequence[InputFile]) -> dict[str, WrittenInput]:
        if not files:
            return {}
        from code_runner.files.inputs import write_inputs  # imported here to keep cold starts fast

        return write_inputs(self.client, files, self._files.storage)

    def _write_before_code(self, inputs: Sequence[InputFile]) -> dict[str, WrittenInput]:
        """Writes inputs; SessionLost then states that the code has not run."""
        try:
            return self._write_inputs(inputs)
        except SessionLost as lost:
            raise SessionLost(f"{lost}; it has not run") from lost

    def _poll(self, request: PollCommand) -> CommandState:
        handle = request.task
        task = self.client.get_task(handle.task_id)
        if task.running:
            return running_state(self.client, task, handle)
        task = with_stopped_output(self.client, task, handle)
        timed_out = has_timed_out(task, handle)
        collected = self._collect(request.outputs, {})
        return CommandState(
            status=task.status,
            ended=True,
            stdout=task.stdout,
            stderr=task.stderr,
            exit_code=TIMED_OUT_EXIT_CODE if timed_out else task.exit_code,
            execution_time_ms=None if task.seconds is None else _milliseconds(task.seconds),
            timed_out=timed_out,
            files=tuple(collected.files),
            skipped=tuple(collected.skipped),
        )

    def _collect(
        self, outputs: Outputs, written: dict[str, WrittenInput], figures: str | None = None
    ) -> CollectedOutputs:
        """Collects files, except inputs that are unchanged since they were written. Raises no errors."""
        sink = OutputSink(self._files.storage, self._files.inline_bytes)
        collected = collect(self.client, written, outputs, self.scanned_at_us, sink, figures)
        self.scanned_at_us = collected.clock
        return collected

    def _execute(
        self, program: Code | Command, timeout_seconds: int | None, listener: ExecutionListener
    ) -> TimedOutcome:
        """Sends the program. Raises DeadlineExceeded instead of SessionLost when the session's lifetime ended."""
        lifetime = self.client.lifetime
        lifetime_seconds = MAX_CALL_SECONDS if lifetime is None else lifetime.seconds_left
        seconds = program_seconds(self.client, timeout_seconds)
        try:
            return run_for(self.client, program, seconds, listener.on_rejected)
        except SessionLost as lost:
            if lifetime is None or lifetime.seconds_left > 0 or lifetime_seconds <= 0:
                raise
            message = f"the session's lifetime (sessionTimeoutSeconds) ended before the program did: {lost}"
            raise DeadlineExceeded(message) from lost


def _request_fields(program: Code | Command) -> dict[str, Any]:
    """Returns the fields of the contract's requests for a program."""
    match program:
        case Code(text, language, runtime):
            return {"code": text, "language": language, "runtime": runtime}
        case Command(text):
            return {"command": text}
        case _:  # pyright: ignore[reportUnnecessaryComparison] - callers without a type checker may pass anything
            raise invalid_without_value("program", program, "Code | Command")


def _milliseconds(seconds: float) -> float:
    """Converts seconds, which the service reports despite its model, into the contract's milliseconds."""
    return round(seconds * 1000, 3)


@contextmanager
def open_session(
    clients: Clients | None = None,
    interpreter_id: str = MANAGED_INTERPRETER,
    *,
    timeout_seconds: int = DEFAULT_SESSION_TIMEOUT_SECONDS,
    deadline: Deadline | None = None,
    on_stop_failed: Callable[[str, RunError], None] = log_stop_failure,
    files: Files | None = None,
    client_token: str | None = None,
    name: str = SESSION_NAME,
) -> Generator[CodeSession]:
    """Starts a session and stops it at the end of the block, also after an error.

    Args:
        clients: Region and credentials. The default is boto3's default chain; `AwsClients(boto3.Session(...))` selects
            others.
        interpreter_id: Identifier of the interpreter. The default is the managed interpreter.
        timeout_seconds: The session's lifetime in seconds, 1 to 28,800.
        deadline: When the last call must have ended. The default is the end of the lifetime.
        on_stop_failed: Called with the session id and the error when the session could not be stopped or its start had
            no response; the session then ends when its lifetime expires. The block's own result or error is unaffected.
        files: Storage of inputs and outputs. By default there is no bucket: requests and results contain the files.
        client_token: A repeated start with the same token returns the same session.
        name: The name of the session in the console and in listings.

    Raises:
        InvalidRequest: An argument is not allowed. Nothing was sent.
        RunError: The session could not be started.

    Example:
        >>> with open_session(timeout_seconds=60) as session:
        ...     print(session.run(Code("print(6 * 7)")).stdout)
        42
    """
    clients = clients or AwsClients()
    session = start_session(
        clients,
        interpreter_id,
        timeout_seconds=timeout_seconds,
        deadline=deadline,
        on_stop_failed=on_stop_failed,
        files=files,
        client_token=client_token,
        name=name,
    )
    try:
        with stop_after_deadline(session.client, on_stop_failed):
            yield session
    finally:
        stop_or_report(clients, interpreter_id, session.session_id, on_stop_failed)


def start_session(
    clients: Clients,
    interpreter_id: str,
    *,
    timeout_seconds: int,
    deadline: Deadline | None = None,
    on_stop_failed: Callable[[str, RunError], None] = log_stop_failure,
    files: Files | None = None,
    client_token: str | None = None,
    name: str = SESSION_NAME,
) -> CodeSession:
    """Starts a session that the caller must stop. The arguments and errors are those of `open_session`."""
    if not hasattr(type(clients), "invoke"):
        allowed = "AwsClients(), or AwsClients(boto3.Session(…))"
        raise InvalidRequest(f"clients is a {type(clients).__name__}; allowed: {allowed}")
    Text(255).validate("interpreter_id", interpreter_id)
    LIFETIME.validate("timeout_seconds", timeout_seconds)
    for location, value, expected in (
        ("deadline", deadline, Deadline),
        ("files", files, Files),
        ("client_token", client_token, str),
    ):
        if value is not None:
            require_instance(location, value, expected)
    lifetime = Deadline.after(timeout_seconds)
    try:
        started = clients.sessions.start_code_interpreter_session(
            codeInterpreterIdentifier=interpreter_id,
            name=name,
            sessionTimeoutSeconds=timeout_seconds,
            clientToken=client_token or secrets.token_hex(32),
        )
    except AWS_ERRORS as error:
        contract_error = from_service(f"starting a session on {interpreter_id}", error)
        if was_accepted(error):
            on_stop_failed("unknown", contract_error)
        raise contract_error from error
    client = CodeInterpreterClient(
        clients, interpreter_id, started["sessionId"], deadline or lifetime, lifetime=lifetime
    )
    return CodeSession(client, files=files)
