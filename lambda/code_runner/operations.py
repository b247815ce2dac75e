"""The contract's operations, each claimed in S3 before it begins, so that a retry or a redrive runs nothing twice."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeVar, cast

from code_runner.agentcore.deadline import Deadline
from code_runner.agentcore.programs import Code, Command
from code_runner.files.staging import Staging
from code_runner.files.storage import Storage
from code_runner.idempotency.fingerprint import digests
from code_runner.idempotency.record import Claim, Lost, OwnSession, Settled, take
from code_runner.result_truncation import fit
from code_runner.session import (
    COLLECTING_SECONDS,
    CodeSession,
    Files,
    open_session,
    start_session,
    stop_or_tell,
    stop_session,
    stopped_in_time,
)
from sandpiper_contract import requests, results
from sandpiper_contract.errors import CodeFailed, InterpreterNotFound, InvalidRequest, RunError, SessionLost
from sandpiper_contract.files import SkipReason
from sandpiper_contract.handles import SessionHandle, TaskHandle
from sandpiper_contract.s3_objects import S3Object
from sandpiper_contract.settings import INPUTS, RUNS, SANDBOX, STAGING

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

    from code_runner.agentcore.boto_clients import Clients
    from sandpiper_contract.records import Record
    from sandpiper_contract.run import Run

ENDING_SECONDS = 20
"""Kept of the time there is for stopping the session and writing to S3."""
LEAST_SECONDS = 10
"""With less than this for the code a run is not begun."""
SENDING_SECONDS = 5
"""With less than this for it the code is not sent."""
INLINE_BYTES = 64 * 1024
"""Of files that a result carries itself: a third more in base64, in a workflow's state of 256 KiB."""

_WITH_OUTPUTS = (
    requests.RunCode,
    requests.RunCommand,
    requests.PollCommand,
    requests.StopCommand,
    requests.RunInSession,
    requests.CollectFiles,
)
_STARTING = (requests.RunCode, requests.RunCommand, requests.StartCommand, requests.OpenSession)
_SESSION_SECONDS = (requests.DEFAULT_SESSION_TIMEOUT_SECONDS, requests.SESSION_TIMEOUT_SECONDS[1])
Result = TypeVar("Result", bound="Record")
Ended = TypeVar("Ended", results.RunResult, results.CommandState)


@dataclass(frozen=True, eq=False, repr=False)
class Place:
    """Where a tenant's runs happen: interpreter identifiers by key, the default first, and its part of the bucket."""

    interpreters: Mapping[str, str]
    bucket: str
    prefix: str
    session_seconds: Mapping[str, tuple[int, int]] = field(default_factory=dict[str, "tuple[int, int]"])
    """By interpreter key: how long a session lives that nobody asked a time for, and the longest that one may."""

    def interpreter_key(self, key: str | None) -> str:
        """The key, or the default's; raises InterpreterNotFound naming the keys there are."""
        if key is None:
            return next(iter(self.interpreters))
        if key not in self.interpreters:
            raise InterpreterNotFound(f"interpreter is {key!r}; allowed: {' | '.join(self.interpreters)}")
        return key

    def interpreter_id(self, key: str | None) -> str:
        """The identifier of the interpreter of that key, or of the default. Raises as `interpreter_key` does."""
        return self.interpreters[self.interpreter_key(key)]

    def lifetime(self, request: requests.StartRequest) -> int:
        """How many seconds the session that the request starts lives. Raises InvalidRequest for too many."""
        key = self.interpreter_key(request.interpreter)
        default, longest = self.session_seconds.get(key, _SESSION_SECONDS)
        asked = request.session_timeout_seconds
        if asked is None:
            is_command = isinstance(request, requests.StartCommand)
            return min(requests.DEFAULT_COMMAND_TIMEOUT_SECONDS, longest) if is_command else default
        if asked > longest:
            least = requests.SESSION_TIMEOUT_SECONDS[0]
            raise InvalidRequest(
                f"sessionTimeoutSeconds is {asked}; allowed: {least} to {longest:,} seconds for the interpreter {key}"
            )
        return asked

    def folder(self, *parts: str) -> S3Object:
        """A folder below the tenant's."""
        return S3Object(self.bucket, "/".join((self.prefix, *parts)))


@dataclass(frozen=True, eq=False, repr=False)
class Operations:
    """What one invocation does for one run. `end` is when all of it must be over.

    Every method takes a request of the contract and returns its result, or raises the contract's RunError, one that may
    be retried only where the code has not run. `not_stopped` is told the id of a session that could not be stopped, and
    why; `left` how many files the run has left and kept, and how many were skipped, once.
    """

    run: Run
    place: Place
    clients: Clients
    end: Deadline
    not_stopped: Callable[[str, RunError], None]
    left: Callable[[int, int], None] = lambda kept, skipped: None  # noqa: ARG005 - nobody counts

    def run_code(self, request: requests.RunCode) -> results.RunResult:
        """A program in a session of its own."""
        return self._alone(request, lambda: self._code(request))

    def run_command(self, request: requests.RunCommand) -> results.RunResult:
        """A command in a session of its own."""
        return self._alone(request, lambda: Command(request.command))

    def start_command(self, request: requests.StartCommand) -> results.StartedCommand:
        """A command, or a program as a file, that runs on in a session of its own after the answer."""

        def work(claim: Claim) -> results.StartedCommand:
            key = self.place.interpreter_key(request.interpreter)
            program = Command(request.command) if request.command is not None else self._code(request)
            with self._kept_open(claim, key, self.place.lifetime(request)) as session:
                sending = _Claimed(claim, session, self._working_end, owned=True)
                task = session.start(program, inputs=request.inputs, sending=sending)
            handle = _handle(key, session)
            return results.StartedCommand(TaskHandle(handle, task.task_id), task.status)

        return self._once(request, results.StartedCommand, work)

    def poll_command(self, request: requests.PollCommand) -> results.CommandState:
        """How the command is; once it has ended, with its files, and without its session."""
        return self._checked(request.fail_on_error, self._task_state(request))

    def stop_command(self, request: requests.StopCommand) -> results.CommandState:
        """Ends the command, with what it has left so far."""
        return self._task_state(request, stop=True)

    def open_session(self, request: requests.OpenSession) -> results.OpenedSession:
        """A session that is open until it is closed or its lifetime ends."""

        def work(claim: Claim) -> results.OpenedSession:
            key = self.place.interpreter_key(request.interpreter)
            with self._kept_open(claim, key, self.place.lifetime(request)) as session:
                if session.write_inputs(request.inputs):
                    session.look()
            return results.OpenedSession(_handle(key, session))

        return self._once(request, results.OpenedSession, work)

    def run_in_session(self, request: requests.RunInSession) -> results.RunResult:
        """A program or a command in an open session, whose variables and files it shares."""

        def work(claim: Claim) -> results.RunResult:
            session = self._joined(request.session)
            program = Command(request.command) if request.command is not None else self._code(request)
            sending = _Claimed(claim, session, self._working_end, owned=False)
            result = session.run(program, inputs=request.inputs, outputs=request.outputs, sending=sending)
            return replace(result, session=replace(request.session, seen=session.seen))

        return self._checked(request.fail_on_error, self._once(request, results.RunResult, work))

    def close_session(self, request: requests.CloseSession) -> results.ClosedSession:
        """Ends an open session; one that has ended is no error, so it is not claimed."""
        handle = request.session
        interpreter_id = self.place.interpreter_id(handle.interpreter)
        return results.ClosedSession(stop_session(self.clients, interpreter_id, handle.session_id))

    def collect_files(self, request: requests.CollectFiles) -> results.CollectedFiles:
        """Files of an open session."""

        def work(_: Claim) -> results.CollectedFiles:
            session = self._joined(request.session)
            collected = session.collect_files(request.outputs)
            if any(file.reason is SkipReason.NOT_LISTED for file in collected.skipped):
                session.list_files()  # raises where the session has ended
            handle = replace(request.session, seen=session.seen)
            return results.CollectedFiles(tuple(collected.files), tuple(collected.skipped), handle)

        return self._once(request, results.CollectedFiles, work)

    def _alone(
        self, request: requests.RunCode | requests.RunCommand, program: Callable[[], Code | Command]
    ) -> results.RunResult:
        def work(claim: Claim) -> results.RunResult:
            key = self.place.interpreter_key(request.interpreter)
            sent = program()
            with open_session(
                self.clients,
                self.place.interpreters[key],
                timeout_seconds=self.place.lifetime(request),
                deadline=self._working_end,
                not_stopped=self._told_of(claim),
                files=self._files(key),
                client_token=claim.client_token,
            ) as session:
                sending = _Claimed(claim, session, self._working_end, owned=True)
                return session.run(sent, inputs=request.inputs, outputs=request.outputs, sending=sending)

        return self._checked(request.fail_on_error, self._once(request, results.RunResult, work))

    def _task_state(
        self, request: requests.PollCommand | requests.StopCommand, *, stop: bool = False
    ) -> results.CommandState:
        """May be asked as often as anybody likes; once the command has ended, that is kept before its session goes."""
        handle, task_id = request.task.session, request.task.task_id

        def work(_: Claim) -> results.CommandState:
            session = self._joined(handle)
            look = session.stop_command if stop else session.poll_command
            return look(task_id, outputs=request.outputs)

        state = self._once(request, results.CommandState, work, is_last=lambda found: found.ended)
        if state.ended and request.task.closes:
            interpreter_id = self.place.interpreter_id(handle.interpreter)
            stop_or_tell(self.clients, interpreter_id, handle.session_id, self.not_stopped)
        return state

    def _once(
        self,
        request: Record,
        result: type[Result],
        work: Callable[[Claim], Result],
        is_last: Callable[[Result], bool] = lambda _: True,
    ) -> Result:
        """Does the work if this run has not been accepted before, and keeps how it ended, once that `is_last`."""
        if isinstance(request, _STARTING):
            self.place.lifetime(request)  # refused before anything is asked of AWS
        self.end.earlier(ENDING_SECONDS + COLLECTING_SECONDS).require(LEAST_SECONDS, "beginning the run")
        asked = digests(self.run, request)
        match take(self.clients.s3, self._claim_address, asked, watch_until=self._working_end, end=self.end):
            case Settled(RunError() as error):
                raise error
            case Settled(found):
                return self._linked_again(request, result.from_json(found, "result"))
            case Lost(uri, session):
                if session is not None:
                    stop_or_tell(self.clients, session.interpreter_id, session.session_id, self.not_stopped)
                raise SessionLost(
                    f"{uri}: an earlier attempt of this run sent the code and left no result; it may have run, and is "
                    "not run again"
                )
            case Claim() as claim:
                pass
        try:
            self._end_abandoned(claim, request)
            whole = work(claim)
            self.left(len(getattr(whole, "files", ())), len(getattr(whole, "skipped", ())))
            done = fit(whole, self._storage.keep_own)
        except RunError as error:
            claim.settle(error=error)
            raise
        claim.settle(result=done.to_json() if is_last(done) else None)
        return done

    def _linked_again(self, request: Record, result: Result) -> Result:
        """Links end, so that who asks for a result again is given new ones."""
        seconds = request.outputs.link_seconds if isinstance(request, _WITH_OUTPUTS) else None
        if seconds is None:
            return result
        files = (
            file if file.s3_uri is None else replace(file, link=self._storage.link(file.s3_uri, seconds))
            for file in cast("results.RunResult", result).files
        )
        return cast("Result", replace(cast("results.RunResult", result), files=tuple(files)))

    def _end_abandoned(self, claim: Claim, request: Record) -> None:
        """An attempt that died may have started a session: the same clientToken gives it, or a new one; it is ended.

        One that cannot be had costs the run nothing, nor does one for which the run would lack the time: it is told,
        and ends by its lifetime.
        """
        if not isinstance(request, _STARTING):
            return
        interpreter_id, seconds = self.place.interpreter_id(request.interpreter), self.place.lifetime(request)
        tell = self._told_of(claim)
        for token in claim.abandoned:
            try:
                self._working_end.earlier(COLLECTING_SECONDS).require(LEAST_SECONDS, "ending an earlier session")
                session = start_session(
                    self.clients,
                    interpreter_id,
                    timeout_seconds=seconds,
                    deadline=self._working_end,
                    not_stopped=_told_below,
                    client_token=token,
                )
            except RunError as error:
                tell("unknown", error)
            else:
                stop_or_tell(self.clients, interpreter_id, session.session_id, tell)

    def _told_of(self, claim: Claim) -> Callable[[str, RunError], None]:
        """Tells of a session that could not be stopped, and has the claim remember it."""

        def tell(session_id: str, error: RunError) -> None:
            claim.leaves_a_session = True
            self.not_stopped(session_id, error)

        return tell

    @contextmanager
    def _kept_open(self, claim: Claim, interpreter: str, timeout_seconds: int) -> Generator[CodeSession]:
        """A session that is stopped only when something fails before it is handed to the caller."""
        interpreter_id = self.place.interpreters[interpreter]
        tell = self._told_of(claim)
        session = start_session(
            self.clients,
            interpreter_id,
            timeout_seconds=timeout_seconds,
            deadline=self._working_end,
            not_stopped=tell,
            files=self._files(interpreter),
            client_token=claim.client_token,
        )
        try:
            with stopped_in_time(self.clients, session, self._working_end, tell):
                yield session
        except BaseException:
            stop_or_tell(self.clients, interpreter_id, session.session_id, tell)
            raise

    def _joined(self, handle: SessionHandle) -> CodeSession:
        key = self.place.interpreter_key(handle.interpreter)
        interpreter_id, files = self.place.interpreters[key], self._files(key)
        return CodeSession(
            self.clients,
            interpreter_id,
            handle.session_id,
            self._working_end,
            files=files,
            lifetime=None if handle.ends is None else Deadline.after(handle.ends - time.time()),
            seen=handle.seen,
        )

    def _code(self, request: requests.RunCode | requests.StartCommand | requests.RunInSession) -> Code:
        text = request.code if request.code_s3_uri is None else self._storage.program(request.code_s3_uri)
        clear_context = isinstance(request, requests.RunInSession) and request.clear_context
        return Code(cast("str", text), request.language, request.runtime, clear_context)

    def _checked(self, fail_on_error: bool, result: Ended) -> Ended:
        """The result, or CodeFailed where the request asks for it; what the program left is kept all the same."""
        if fail_on_error and result.exit_code:
            kept = self._claim_address.uri
            raise CodeFailed(f"the program ended with exit code {result.exit_code}; the whole result is at {kept}")
        return result

    @property
    def _claim_address(self) -> S3Object:
        return self.place.folder(RUNS, self.run.key, "claim.json")

    @property
    def _storage(self) -> Storage:
        return Storage(self.clients.s3, self.place.folder(INPUTS), self.place.folder(RUNS, self.run.key))

    def _files(self, interpreter: str) -> Files:
        """What a session of this interpreter, by its key, works with."""
        staging = Staging(self.clients, self.place.folder(SANDBOX, interpreter, STAGING, self.run.key))
        return Files(replace(self._storage, staging=staging), INLINE_BYTES)

    @property
    def _working_end(self) -> Deadline:
        return self.end.earlier(ENDING_SECONDS)


def _handle(interpreter: str, session: CodeSession) -> SessionHandle:
    """For the calls that follow, in a session that was started here."""
    ends = None if session.lifetime is None else int(time.time() + session.lifetime.seconds_left)
    return SessionHandle(interpreter, session.session_id, session.seen, ends)


def _told_below(session_id: str, error: RunError) -> None:
    """For a start whose every failure is told where it is called."""


@dataclass(frozen=True, eq=False, repr=False)
class _Claimed:
    """Tells the claim what becomes of the code."""

    claim: Claim
    session: CodeSession
    end: Deadline
    owned: bool

    def accept(self) -> None:
        """As Sending has it. Inputs may have taken the time that the code needs: then it is not sent."""
        self.end.earlier(COLLECTING_SECONDS).require(SENDING_SECONDS, "sending the code")
        own = OwnSession(self.session.interpreter_id, self.session.session_id) if self.owned else None
        self.claim.accept(own)

    def refused(self) -> None:
        """As Sending has it."""
        self.claim.not_accepted()
