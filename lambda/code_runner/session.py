"""One Code Interpreter session: started once, always stopped, and what is done in it.

The operations of the contract as plain methods, for scripts and notebooks. For at most once over retries see
`operations`, which claims runs in S3 before it comes here.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import chain, repeat
from typing import TYPE_CHECKING, Protocol, cast

from botocore.exceptions import ClientError

from code_runner.agentcore.boto_clients import AwsClients
from code_runner.agentcore.client import LONGEST_CALL_SECONDS, WAITS_SECONDS, ToolCalls
from code_runner.agentcore.deadline import Deadline
from code_runner.agentcore.programs import Code, Command, as_file
from code_runner.agentcore.service_errors import FAILURES, error_code, from_service, was_accepted
from code_runner.files.discovery import can_be_told
from code_runner.files.figures import remember_shown
from code_runner.files.outputs import Collected, Keeper, collect
from sandpiper_contract.aws import MANAGED_INTERPRETER
from sandpiper_contract.errors import DeadlineExceeded, InvalidRequest, RunError, SessionLost
from sandpiper_contract.field_types import Integer, ListOf, Text
from sandpiper_contract.files import DEFAULT_OUTPUTS, InputFile, Outputs
from sandpiper_contract.handles import TaskHandle
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
from sandpiper_contract.results import CommandState, RunResult

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from code_runner.agentcore.boto_clients import Clients
    from code_runner.agentcore.client import Outcome, Task
    from code_runner.files.discovery import Given
    from code_runner.files.storage import Storage
    from sandpiper_contract.requests import Language, Runtime

log = logging.getLogger(__name__)

LIFETIME = Integer(1, SESSION_TIMEOUT_SECONDS[1], "seconds")
"""Of a session, as the service has it."""
MOST_WRITTEN = 1_000
"""Inputs at a time, which is what a folder in S3 may have."""
COLLECTING_SECONDS = 10
"""Kept of the time there is for listing and reading files."""
OVERRUN_SECONDS = 8
"""How long after its deadline a session is stopped whatever is still under way: calls to S3 are not cut to it."""
SLOW_ANSWER_SECONDS = 20
"""How much longer than its session may live an answer is waited for, so that the service has the last word.

Clients cut waits to whole tens, so that at least ten of these are left.
"""


class Sending(Protocol):
    """Who must know that code is about to be sent, and that it was refused."""

    def accept(self) -> None:
        """Called just before; raises to keep the code from being sent."""
        ...

    def refused(self) -> None:
        """Called when it surely has not run."""
        ...


class _Unclaimed:
    """Nobody: the code runs at most once for this call, and a second call runs it again."""

    def accept(self) -> None:
        """As Sending has it."""

    def refused(self) -> None:
        """As Sending has it."""


UNCLAIMED = _Unclaimed()


@dataclass(frozen=True, eq=False, repr=False)
class Files:
    """Where a session's files come from and go to; without a bucket they travel in requests and results.

    `inline_bytes` is how much a result may carry of them, None for any number.
    """

    storage: Storage | None = None
    inline_bytes: int | None = None


class CodeSession(ToolCalls):
    """A session that runs. Get one from `open_session`, which stops it, or join one that is open.

    `deadline` is when the last call must have ended, `lifetime` when the service ends the session, if that is known.
    `seen` is the sandbox's clock, in µs, when its files were last looked at: what changed since is new.
    """

    def __init__(
        self,
        clients: Clients,
        interpreter_id: str,
        session_id: str,
        deadline: Deadline,
        *,
        files: Files | None = None,
        lifetime: Deadline | None = None,
        seen: int = 0,
    ) -> None:
        super().__init__(clients, interpreter_id, session_id, deadline, lifetime=lifetime)
        self._files = Files() if files is None else require_instance("files", files, Files)
        self.seen = seen

    def run_code(
        self,
        code: str,
        language: Language = "python",
        *,
        runtime: Runtime | None = None,
        clear_context: bool = False,
        inputs: Sequence[InputFile] = (),
        outputs: Outputs | None = None,
    ) -> RunResult:
        """Runs a program once, as `run` does. Python's variables are there for the next one."""
        return self.run(Code(code, language, runtime, clear_context), inputs=inputs, outputs=outputs)

    def run_command(
        self, command: str, *, inputs: Sequence[InputFile] = (), outputs: Outputs | None = None
    ) -> RunResult:
        """Runs a line for /bin/sh once, as `run` does."""
        return self.run(Command(command), inputs=inputs, outputs=outputs)

    def start_command(self, command: str, *, inputs: Sequence[InputFile] = ()) -> Task:
        """Starts a line for /bin/sh once, as `start` does."""
        return self.start(Command(command), inputs=inputs)

    def run(
        self,
        program: Code | Command,
        *,
        inputs: Sequence[InputFile] = (),
        outputs: Outputs | None = None,
        sending: Sending = UNCLAIMED,
    ) -> RunResult:
        """Runs a program once and brings its files back. A failing program is a result.

        Raises the contract's RunError, one that may be retried only where the program has not run, and InvalidRequest
        for what the contract does not take before anything is sent.
        """
        clear_context = isinstance(program, Code) and program.clear_context
        asked = RunInSession(
            session=self._handle,
            **_program(program).asked(),
            clear_context=clear_context,
            inputs=cast("tuple[InputFile, ...]", inputs),
            outputs=self._wanted(outputs),
        )
        outputs = asked.outputs
        given = self._before_code(asked.inputs)
        if given and outputs.collects_files and not can_be_told(given, outputs):
            self.look()
            given = {}
        if outputs.figures and isinstance(program, Code):
            remember_shown(self, clear_context=program.clear_context)
            program = replace(program, clear_context=False)
        sending.accept()
        outcome = self._execute(program, sending)
        collected = self._collect(outputs, given)
        return RunResult(
            stdout=outcome.stdout,
            stderr=outcome.stderr,
            exit_code=outcome.exit_code,
            execution_time_ms=_milliseconds(outcome.seconds),
            files=tuple(collected.files),
            skipped=tuple(collected.skipped),
        )

    def start(self, program: Code | Command, *, inputs: Sequence[InputFile] = (), sending: Sending = UNCLAIMED) -> Task:
        """Starts a program once that runs on without a caller, for up to eight hours. `poll_command` says how it is."""
        asked = StartCommand(**_program(program).asked(), inputs=cast("tuple[InputFile, ...]", inputs))
        command, files = as_file(program)
        if self._before_code([*asked.inputs, *files]):
            self.look()  # who asks for the command's files later does not know what it was given
        sending.accept()
        return self._start_execution(command.text, sending.refused)

    def poll_command(self, task_id: str, *, outputs: Outputs | None = None) -> CommandState:
        """How a started command is; once it has ended, with its files."""
        asked = PollCommand(task=TaskHandle(self._handle, task_id), outputs=self._wanted(outputs))
        task = self.get_task(task_id)
        if task.running:
            return CommandState(task.status, ended=False)
        collected = self._collect(asked.outputs, {})
        return CommandState(
            status=task.status,
            ended=True,
            stdout=task.stdout,
            stderr=task.stderr,
            exit_code=task.exit_code,
            execution_time_ms=None if task.seconds is None else _milliseconds(task.seconds),
            files=tuple(collected.files),
            skipped=tuple(collected.skipped),
        )

    def stop_command(self, task_id: str, *, outputs: Outputs | None = None) -> CommandState:
        """Ends a started command, unless it has ended already, and says how it is then, with what it has left.

        The service may call it working for a while after it took the stop: it is asked until it does not. A state that
        has not `ended` says that the time for that is over.
        """
        PollCommand(task=TaskHandle(self._handle, task_id), outputs=self._wanted(outputs))
        with suppress(InvalidRequest):
            self.stop_task(task_id)
        waits = chain(WAITS_SECONDS, repeat(WAITS_SECONDS[-1]))
        while not (state := self.poll_command(task_id, outputs=outputs)).ended:
            wait = next(waits)
            if self.deadline.earlier(COLLECTING_SECONDS).seconds_left < wait:
                break
            time.sleep(wait)
        return state

    def write_inputs(self, inputs: Sequence[InputFile]) -> dict[str, Given]:
        """Puts files beside the program and says how each was written, so that it is known again."""
        files = ListOf(Nested(InputFile), MOST_WRITTEN).validate("inputs", inputs)
        if not files:
            return {}
        from code_runner.files.inputs import write_inputs  # here, so that a function's start does not pay for it

        return write_inputs(self, files, self._files.storage, self.deadline)

    def collect_files(self, outputs: Outputs | None = None) -> Collected:
        """Brings back what changed since the last look, or what is asked for; what goes wrong costs files alone.

        Raises InvalidRequest for what the contract does not take.
        """
        return self._collect(CollectFiles(session=self._handle, outputs=self._wanted(outputs)).outputs, {})

    def _wanted(self, outputs: Outputs | None) -> Outputs:
        """Which files are asked for. Raises InvalidRequest for links, where there is no bucket to give them."""
        wanted = DEFAULT_OUTPUTS if outputs is None else require_instance("outputs", outputs, Outputs)
        if wanted.link_seconds is not None and self._files.storage is None:
            raise InvalidRequest(f"outputs.linkSeconds is {wanted.link_seconds}; allowed: only with a bucket (Files)")
        return wanted

    def _before_code(self, inputs: Sequence[InputFile]) -> dict[str, Given]:
        """Puts files beside code that is not sent yet, of which a session that is lost is told."""
        try:
            return self.write_inputs(inputs)
        except SessionLost as lost:
            raise SessionLost(f"{lost}; it has not run") from lost

    def _collect(self, outputs: Outputs, given: dict[str, Given]) -> Collected:
        """`given` are inputs, which are left out while they are as they were written. Nothing is raised."""
        keeper = Keeper(self._files.storage, self._files.inline_bytes, self.deadline)
        collected = collect(self, given, outputs, self.seen, keeper)
        self.seen = collected.clock
        return collected

    def look(self) -> None:
        """Takes the files that are there for known, without bringing any back."""
        self.seen = collect(self, {}, Outputs(max_files=0), self.seen, Keeper(None, 0, self.deadline)).clock

    def close_session(self) -> bool:
        """Ends the session; says whether this call did. Raises RunError when the service does not answer."""
        return stop_session(self._clients, self.interpreter_id, self.session_id)

    def _execute(self, program: Code | Command, sending: Sending) -> Outcome:
        """Sends the program; a session that ended because its time was over says so instead of being merely lost."""
        left = self.deadline.earlier(COLLECTING_SECONDS).seconds_left
        lifetime = LONGEST_CALL_SECONDS if self.lifetime is None else self.lifetime.seconds_left
        seconds = min(lifetime + SLOW_ANSWER_SECONDS, left)
        try:
            if isinstance(program, Command):
                return self._execute_command(program.text, seconds, sending.refused)
            return self._execute_code(
                program.text, program.language, program.runtime, program.clear_context, seconds, sending.refused
            )
        except SessionLost as lost:
            if self.lifetime is None or self.lifetime.seconds_left > 0 or lifetime <= 0:
                raise
            message = f"the session's time (sessionTimeoutSeconds) was over before the program: {lost}"
            raise DeadlineExceeded(message) from lost


def _program(program: Code | Command) -> Code | Command:
    if not isinstance(program, Code | Command):  # pyright: ignore[reportUnnecessaryIsInstance] - callers may err
        raise invalid_without_value("program", program, "Code | Command")
    return program


def _milliseconds(seconds: float) -> float:
    """The service reports seconds, whatever its model says; the contract's unit is milliseconds."""
    return round(seconds * 1000, 3)


def log_not_stopped(session_id: str, error: RunError) -> None:
    """Says in the log that a session goes on until its lifetime ends it."""
    log.error("session %s not stopped; its lifetime ends it: %s", session_id, error)


@contextmanager
def open_session(
    clients: Clients | None = None,
    interpreter_id: str = MANAGED_INTERPRETER,
    *,
    timeout_seconds: int = DEFAULT_SESSION_TIMEOUT_SECONDS,
    deadline: Deadline | None = None,
    not_stopped: Callable[[str, RunError], None] = log_not_stopped,
    files: Files | None = None,
    client_token: str | None = None,
) -> Generator[CodeSession]:
    """Starts a session and stops it, whatever happens between.

    `clients` has region and credentials; without it they are boto3's default chain's, and
    `AwsClients(boto3.Session(…))` gives others. `deadline` is when the last call must have ended, without it the end of
    the session's lifetime. Without `files` there is no bucket: inputs and results carry the files' bytes.

    A session that could not be stopped, or whose start had no answer, is told to `not_stopped` and ends by its
    lifetime; it never hides the result or the error of the run. Raises InvalidRequest for what cannot be, before
    anything is sent.
    """
    clients = clients or AwsClients()
    session = start_session(
        clients,
        interpreter_id,
        timeout_seconds=timeout_seconds,
        deadline=deadline,
        not_stopped=not_stopped,
        files=files,
        client_token=client_token,
    )
    try:
        with stopped_in_time(clients, session, session.deadline, not_stopped):
            yield session
    finally:
        stop_or_tell(clients, interpreter_id, session.session_id, not_stopped)


@contextmanager
def stopped_in_time(
    clients: Clients, session: CodeSession, deadline: Deadline, not_stopped: Callable[[str, RunError], None]
) -> Generator[None]:
    """Ends the session OVERRUN_SECONDS after the deadline if the block is still under way then.

    Lambda ends a function without a word, so that a session must be stopped before, even while S3 keeps it waiting.
    """
    seconds = min(max(deadline.seconds_left, 0) + OVERRUN_SECONDS, threading.TIMEOUT_MAX)
    told = (clients, session.interpreter_id, session.session_id, not_stopped)
    timer = threading.Timer(seconds, stop_or_tell, told)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def start_session(
    clients: Clients,
    interpreter_id: str,
    *,
    timeout_seconds: int,
    deadline: Deadline | None = None,
    not_stopped: Callable[[str, RunError], None] = log_not_stopped,
    files: Files | None = None,
    client_token: str | None = None,
) -> CodeSession:
    """Starts a session, which is the caller's to stop. The same `client_token` again gives the same session."""
    if not hasattr(type(clients), "invoke"):
        allowed = "AwsClients(), or AwsClients(boto3.Session(…))"
        raise InvalidRequest(f"clients is a {type(clients).__name__}; allowed: {allowed}")
    Text(255).validate("interpreter_id", interpreter_id)
    LIFETIME.validate("timeout_seconds", timeout_seconds)
    for place, value, of in (
        ("deadline", deadline, Deadline),
        ("files", files, Files),
        ("client_token", client_token, str),
    ):
        if value is not None:
            require_instance(place, value, of)
    doing = f"starting a session on {interpreter_id}"
    lifetime = Deadline.after(timeout_seconds)
    try:
        started = clients.sessions.start_code_interpreter_session(
            codeInterpreterIdentifier=interpreter_id,
            name="sandpiper-run",
            sessionTimeoutSeconds=timeout_seconds,
            clientToken=client_token or secrets.token_hex(32),
        )
    except FAILURES as error:
        known = from_service(doing, error)
        if was_accepted(error):
            not_stopped("unknown", known)
        raise known from error
    session_id = started["sessionId"]
    return CodeSession(clients, interpreter_id, session_id, deadline or lifetime, files=files, lifetime=lifetime)


def stop_session(clients: Clients, interpreter_id: str, session_id: str) -> bool:
    """Ends a session; False when it had ended before. Raises RunError."""
    try:
        clients.sessions.stop_code_interpreter_session(codeInterpreterIdentifier=interpreter_id, sessionId=session_id)
    except FAILURES as error:
        if not _already_ended(error):
            raise from_service(f"stopping session {session_id}", error) from error
        return False
    return True


def stop_or_tell(
    clients: Clients, interpreter_id: str, session_id: str, not_stopped: Callable[[str, RunError], None]
) -> None:
    """Ends a session that nobody waits for."""
    try:
        stop_session(clients, interpreter_id, session_id)
    except RunError as error:
        not_stopped(session_id, error)


def _already_ended(error: Exception) -> bool:
    """A session that its lifetime ended answers a stop with ConflictException."""
    return isinstance(error, ClientError) and error_code(error) == "ConflictException"
