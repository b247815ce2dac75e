"""The contract's operations, made idempotent by a record in S3, so that retries and redrives run no code twice."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar, cast

from code_runner.agentcore.live_sessions import stop_or_report, stop_session
from code_runner.agentcore.programs import Code, Command
from code_runner.files.storage import Storage
from code_runner.idempotency.fingerprint import fingerprints
from code_runner.idempotency.record import Abandoned, Completed, IdempotencyRecord, acquire
from code_runner.idempotency.stored_record import OwnSession
from code_runner.not_started import unless_permanent
from code_runner.result_truncation import truncate_result
from code_runner.run_sessions import MIN_REMAINING_SECONDS, RunSessions, session_handle, session_name
from code_runner.session import COLLECTION_SECONDS, CodeSession, Files, open_session
from sandpiper_contract import requests, results, workflows
from sandpiper_contract.errors import (
    CodeFailed,
    DeadlineExceeded,
    InvalidRequest,
    NotStarted,
    RunError,
    RunUnderWay,
    SessionLost,
    StorageError,
)
from sandpiper_contract.files import RESULT_BYTES, SkipReason
from sandpiper_contract.settings import INPUTS, RECORD_NAME, RUNS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from code_runner.agentcore.boto_clients import Clients
    from code_runner.agentcore.deadline import Deadline
    from code_runner.tenant_config import TenantConfig
    from sandpiper_contract.handles import SessionHandle
    from sandpiper_contract.records import Record
    from sandpiper_contract.run import Run
    from sandpiper_contract.s3_objects import S3Object

CLEANUP_SECONDS = 20
"""Time reserved for stopping the session and writing to S3."""
MIN_EXECUTION_SECONDS = 5
"""The code is not sent when less time remains for it."""
INLINE_BYTES = 64 * 1024
"""Maximum size of the files in a result: base64 adds a third, and a workflow's state has at most 256 KiB."""

_WITH_OUTPUTS = (
    requests.RunCode,
    requests.RunCommand,
    requests.PollCommand,
    requests.StopCommand,
    requests.RunInSession,
    requests.CollectFiles,
)
_STARTING = (requests.RunCode, requests.RunCommand, requests.StartCommand, requests.OpenSession)
_WITH_CODE = (*_STARTING, requests.RunInSession)
"""Requests that run code or open a session for it."""
Result = TypeVar("Result", bound="Record")
Ended = TypeVar("Ended", results.RunResult, results.CommandState)


def _ignore(_: object) -> None:
    """Does nothing: the default of the callbacks that count."""


@dataclass(frozen=True, eq=False, repr=False)
class Operations:
    """The operations of one invocation for one run.

    Every method takes a request of the contract and returns its result, or raises a RunError. Only if the code did not
    run is the error retryable. Requests are validated when they are created.

    Attributes:
        run: The run.
        tenant: The tenant's configuration.
        clients: The boto clients.
        deadline: When the invocation must have ended.
        on_stop_failed: Called with the session id and the error when a session could not be stopped.
        on_result: Called with the complete result of a run, before it is truncated. Not called for a stored result.
        on_duplicate: Called with the URI of the record when another attempt has sent the code of the run too, which a
            defect alone can cause.
        on_joined_session_ended: Called with the seconds that a session was live that an earlier invocation started and
            this one stopped.
        usage: Returns the calls and seconds that the run took, for its record. None: they are not counted.

    Example:
        >>> operations = Operations(
        ...     run=Run("arn:aws:states:eu-west-1:123456789012:execution:flow:daily-1", "Run"),
        ...     tenant=TenantConfig({"default": "aws.codeinterpreter.v1"}, "my-bucket", "tenants/analytics"),
        ...     clients=AwsClients(),
        ...     deadline=Deadline.after(900),
        ...     on_stop_failed=log_stop_failure,
        ... )
        >>> operations.run_code(RunCode(code="print(6 * 7)")).stdout
        '42'
    """

    run: Run
    tenant: TenantConfig
    clients: Clients
    deadline: Deadline
    on_stop_failed: Callable[[str, RunError], None]
    on_result: Callable[[Record], None] = _ignore
    on_duplicate: Callable[[str], None] = _ignore
    on_joined_session_ended: Callable[[float], None] = _ignore
    usage: Callable[[], Mapping[str, Any]] | None = None

    def run_code(self, request: requests.RunCode) -> results.RunResult:
        """Runs a program in a new session."""
        return self._run_in_new_session(request, lambda: self._code(request))

    def run_command(self, request: requests.RunCommand) -> results.RunResult:
        """Runs a command in a new session."""
        return self._run_in_new_session(request, lambda: Command(request.command))

    def run_code_in(self, request: requests.RunCode, session: Callable[[], CodeSession]) -> results.RunResult:
        """Runs a program in a session that is used for several runs and ends with this invocation.

        Args:
            request: The request.
            session: Returns the session; called after the run is acquired.
        """

        def work(record: IdempotencyRecord) -> results.RunResult:
            program = self._code(request)
            shared = session()
            own = CodeSession(shared.client, files=self._files, scanned_at_us=shared.scanned_at_us)
            try:
                return own.run(
                    program,
                    inputs=request.inputs,
                    outputs=request.outputs,
                    timeout_seconds=request.timeout_seconds,
                    listener=self._listener(record, own, owns_session=True),
                )
            finally:
                shared.scanned_at_us = own.scanned_at_us

        return self._raise_if_failed(request.fail_on_error, self.run_once(request, results.RunResult, work))

    def start_command(self, request: requests.StartCommand) -> results.StartedCommand:
        """Starts a command, or a program as a file, in a new session that continues after the response."""

        def work(record: IdempotencyRecord) -> results.StartedCommand:
            started = time.time()
            key = self.tenant.interpreter_key(request.interpreter)
            program = Command(request.command) if request.command is not None else self._code(request)
            with self._sessions.start(record, key, self.tenant.lifetime_seconds(request)) as session:
                listener = self._listener(record, session, owns_session=True)
                task = session.start(
                    program, inputs=request.inputs, timeout_seconds=request.timeout_seconds, listener=listener
                )
            handle = replace(session.task_handle(task.task_id), session=session_handle(key, session, started))
            return results.StartedCommand(handle, task.status)

        return self.run_once(request, results.StartedCommand, work)

    def poll_command(self, request: requests.PollCommand) -> results.CommandState:
        """Returns the state of a command. Once it has ended, collects its files and stops its session."""
        return self._raise_if_failed(request.fail_on_error, self._task_state(request))

    def stop_command(self, request: requests.StopCommand) -> results.CommandState:
        """Stops a command and collects its files."""
        return self._task_state(request, stop=True)

    def open_session(self, request: requests.OpenSession) -> results.OpenedSession:
        """Starts a session that stays open until it is closed or its lifetime ends."""

        def work(record: IdempotencyRecord) -> results.OpenedSession:
            started = time.time()
            key = self.tenant.interpreter_key(request.interpreter)
            with self._sessions.start(record, key, self.tenant.lifetime_seconds(request)) as session:
                if session.write_inputs(request.inputs):
                    session.mark_files_seen()
            return results.OpenedSession(session_handle(key, session, started))

        return self.run_once(request, results.OpenedSession, work)

    def run_in_session(self, request: requests.RunInSession) -> results.RunResult:
        """Runs a program or a command in an open session, with whose programs it shares variables and files."""

        def work(record: IdempotencyRecord) -> results.RunResult:
            session = self._sessions.join(request.session)
            program = Command(request.command) if request.command is not None else self._code(request)
            listener = self._listener(record, session, owns_session=False)
            result = session.run(
                program,
                inputs=request.inputs,
                outputs=request.outputs,
                timeout_seconds=request.timeout_seconds,
                listener=listener,
            )
            return replace(result, session=replace(request.session, seen=session.scanned_at_us))

        return self._raise_if_failed(request.fail_on_error, self.run_once(request, results.RunResult, work))

    def close_session(self, request: requests.CloseSession) -> results.ClosedSession:
        """Stops an open session. This is idempotent by nature and needs no record: an ended session is not an error."""
        handle = request.session
        interpreter_id = self.tenant.interpreter_id(handle.interpreter)
        closed = stop_session(self.clients, interpreter_id, handle.session_id)
        if closed:
            self._count_joined_session(handle)
        return results.ClosedSession(closed)

    def stop_sessions(self, request: requests.StopSessions) -> results.StoppedSessions:
        """Stops the sessions of the execution in `run`. This is idempotent by nature and needs no record."""
        from code_runner.execution_sessions import stop_sessions_of  # imported here to keep cold starts fast

        stopped = stop_sessions_of(
            self.run,
            self.tenant,
            self.clients,
            self.work_deadline,
            self.on_stop_failed,
            may_start=request.status != "FAILED",
        )
        return results.StoppedSessions(stopped)

    def collect_files(self, request: requests.CollectFiles) -> results.CollectedFiles:
        """Collects files of an open session."""

        def work(_: IdempotencyRecord) -> results.CollectedFiles:
            session = self._sessions.join(request.session)
            collected = session.collect_files(request.outputs)
            if any(file.reason is SkipReason.NOT_LISTED for file in collected.skipped):
                session.client.list_files()  # raises an error if the session has ended
            handle = replace(request.session, seen=session.scanned_at_us)
            return results.CollectedFiles(tuple(collected.files), tuple(collected.skipped), handle)

        return self.run_once(request, results.CollectedFiles, work)

    def check_request(self, request: workflows.CheckRequest) -> workflows.CheckedRequest:
        """Validates the input of a workflow and returns it with all defaults."""
        valid = workflows.WORKFLOWS[request.workflow].request.from_json(request.request)
        starting = valid.opening if isinstance(valid, workflows.SessionRequest) else valid
        if isinstance(starting, _STARTING):
            self.tenant.lifetime_seconds(starting)
        return workflows.CheckedRequest(valid.to_json())

    def await_approval(self, request: workflows.AwaitApproval) -> workflows.AwaitedApproval:  # noqa: ARG002
        """Accepts the task token of a state that waits. The state ends when a person answers."""
        return workflows.AwaitedApproval()

    def _run_in_new_session(
        self, request: requests.RunCode | requests.RunCommand, program: Callable[[], Code | Command]
    ) -> results.RunResult:
        def work(record: IdempotencyRecord) -> results.RunResult:
            key = self.tenant.interpreter_key(request.interpreter)
            loaded = program()
            with open_session(
                self.clients,
                self.tenant.interpreters[key],
                timeout_seconds=self.tenant.lifetime_seconds(request),
                deadline=self.work_deadline,
                on_stop_failed=self._sessions.stop_failure_callback(record),
                files=self._files,
                client_token=record.client_token,
                name=self.session_name,
            ) as session:
                listener = self._listener(record, session, owns_session=True)
                return session.run(
                    loaded,
                    inputs=request.inputs,
                    outputs=request.outputs,
                    timeout_seconds=request.timeout_seconds,
                    listener=listener,
                )

        return self._raise_if_failed(request.fail_on_error, self.run_once(request, results.RunResult, work))

    def _task_state(
        self, request: requests.PollCommand | requests.StopCommand, *, stop: bool = False
    ) -> results.CommandState:
        """Returns the state of a command. Once it has ended, the state is stored before its session is stopped."""
        handle = request.task.session

        def work(_: IdempotencyRecord) -> results.CommandState:
            session = self._sessions.join(handle)
            method = session.stop_command if stop else session.poll_command
            return method(request.task, outputs=request.outputs)

        state = self.run_once(request, results.CommandState, work, is_final=lambda found: found.ended)
        if state.ended and request.task.closes:
            interpreter_id = self.tenant.interpreter_id(handle.interpreter)
            if stop_or_report(self.clients, interpreter_id, handle.session_id, self.on_stop_failed):
                self._count_joined_session(handle)
        return state

    def run_once(
        self,
        request: Record,
        result_type: type[Result],
        work: Callable[[IdempotencyRecord], Result],
        is_final: Callable[[Result], bool] = lambda _: True,
    ) -> Result:
        """Does the work unless an earlier attempt's code was accepted, and stores the result.

        Args:
            request: The request.
            result_type: The type of its result.
            work: Returns the result; called with the record of the run.
            is_final: Whether a result is stored. If not, the run is released and the same request does the work again.

        Raises:
            SessionLost: An earlier attempt sent the code and left no result.
            NotStarted: A temporary failure before the code was sent.
            RunUnderWay: A temporary failure in a retry, before it was known whether an earlier attempt sent the code.
            RunError: The work failed, now or in an earlier attempt.
        """
        if isinstance(request, _STARTING):
            self.tenant.lifetime_seconds(request)  # raises an error before any call to AWS
        try:
            self.work_deadline.earlier(COLLECTION_SECONDS).require(MIN_REMAINING_SECONDS, "beginning the run")
            acquired = acquire(
                self.clients.s3,
                self._record_address,
                fingerprints(self.run, request),
                retry=self.run.attempt,
                wait_until=self.work_deadline,
                deadline=self.deadline,
            )
        except (DeadlineExceeded, StorageError) as error:
            reported = unless_permanent(error, "this attempt sent no code")
            if isinstance(reported, NotStarted) and self.run.attempt not in (None, (0, 0)):
                reported = RunUnderWay(str(reported))  # an earlier attempt may have sent the code
            raise reported from error
        match acquired:
            case Completed(RunError() as error):
                raise error
            case Completed() if not self.run.identifies_visit:
                raise InvalidRequest(
                    f"{self._record_address.uri}: the run has a result, and the event does not state whether it is a "
                    "retry, another item of a Map or another round of a loop; allowed: run.entered with "
                    "$$.State.EnteredTime, and in a Map a run.item that differs for each item"
                )
            case Completed(stored):
                return self._with_new_links(request, result_type.from_json(stored, "result"))
            case Abandoned(uri, session):
                if session is not None:
                    stop_or_report(self.clients, session.interpreter_id, session.session_id, self.on_stop_failed)
                raise SessionLost(
                    f"{uri}: an earlier attempt of this run sent the code and left no result; the code may have run, "
                    "and is not run again"
                )
            case IdempotencyRecord() as record:
                pass
        try:
            if isinstance(request, _STARTING):
                interpreter_id = self.tenant.interpreter_id(request.interpreter)
                self._sessions.stop_abandoned(record, interpreter_id, self.tenant.lifetime_seconds(request))
            complete = work(record)
            self.on_result(complete)
            max_bytes = request.outputs.max_result_bytes if isinstance(request, _WITH_OUTPUTS) else RESULT_BYTES[1]
            result = truncate_result(complete, self._storage.put_run_artifact, max_bytes)
        except RunError as error:
            self._complete(record, error=error)
            if isinstance(request, _WITH_CODE) and not record.is_accepted:
                joined = isinstance(request, requests.RunInSession)
                raise unless_permanent(error, "the code has not run", joined=joined) from error
            raise
        self._complete(record, result=result.to_json() if is_final(result) else None)
        return result

    def _complete(
        self, record: IdempotencyRecord, *, result: Mapping[str, object] | None = None, error: RunError | None = None
    ) -> None:
        """Stores how the run ended."""
        record.usage = self.usage and self.usage()
        record.complete(result=result, error=error)
        if record.is_accepted_twice:
            self.on_duplicate(record.address.uri)

    def _with_new_links(self, request: Record, result: Result) -> Result:
        """Replaces the links in a stored result, because links expire."""
        seconds = request.outputs.link_seconds if isinstance(request, _WITH_OUTPUTS) else None
        if seconds is None:
            return result
        files = (
            file if file.s3_uri is None else replace(file, link=self._storage.link(file.s3_uri, seconds))
            for file in cast("results.RunResult", result).files
        )
        return cast("Result", replace(cast("results.RunResult", result), files=tuple(files)))

    def _count_joined_session(self, handle: SessionHandle) -> None:
        """Counts how long a session was live. The handle comes from a workflow, so its time is limited."""
        if handle.started is not None:
            seconds = time.time() - handle.started
            self.on_joined_session_ended(min(max(seconds, 0), requests.SESSION_TIMEOUT_SECONDS[1]))

    def _code(self, request: requests.RunCode | requests.StartCommand | requests.RunInSession) -> Code:
        text = (
            request.code
            if request.code_s3_uri is None
            else self._storage.read_code(request.code_s3_uri, request.language)
        )
        clear_context = isinstance(request, requests.RunInSession) and request.clear_context
        return Code(cast("str", text), request.language, request.runtime, clear_context)

    def _raise_if_failed(self, fail_on_error: bool, result: Ended) -> Ended:
        """Returns the result, or raises CodeFailed if `fail_on_error` is set. The stored result remains."""
        if fail_on_error and result.exit_code:
            uri = self._record_address.uri
            how = "timed out and was ended" if result.timed_out else f"ended with exit code {result.exit_code}"
            raise CodeFailed(f"the program {how}; the complete result is at {uri}")
        return result

    def _listener(self, record: IdempotencyRecord, session: CodeSession, *, owns_session: bool) -> _RecordListener:
        own = OwnSession(session.client.interpreter_id, session.session_id) if owns_session else None
        return _RecordListener(record, own, self.work_deadline)

    @property
    def _record_address(self) -> S3Object:
        return self.tenant.folder(RUNS, self.run.key, RECORD_NAME)

    @property
    def _storage(self) -> Storage:
        return Storage(self.clients.s3, self.tenant.folder(INPUTS), self.tenant.folder(RUNS, self.run.key))

    @property
    def _files(self) -> Files:
        return Files(self._storage, INLINE_BYTES)

    @property
    def _sessions(self) -> RunSessions:
        return RunSessions(
            self.clients, self.tenant, self.session_name, self.work_deadline, self._files, self.on_stop_failed
        )

    @property
    def work_deadline(self) -> Deadline:
        """When the work must have ended, so that time is left for stopping the session and writing the record."""
        return self.deadline.earlier(CLEANUP_SECONDS)

    @property
    def session_name(self) -> str:
        """The name of sessions of the run's execution, by which they can be found without their records."""
        return session_name(self.run.execution)


@dataclass(frozen=True, eq=False, repr=False)
class _RecordListener:
    """Updates the idempotency record around the sending of the code."""

    record: IdempotencyRecord
    own_session: OwnSession | None
    work_deadline: Deadline

    def before_execution(self) -> None:
        """Marks the record accepted. Raises an error, so that the code is not sent, if too little time is left."""
        self.work_deadline.earlier(COLLECTION_SECONDS).require(MIN_EXECUTION_SECONDS, "sending the code")
        self.record.accept(self.own_session)

    def on_rejected(self) -> None:
        """Notes that the code did not run."""
        self.record.mark_not_accepted()
