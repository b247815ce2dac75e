"""The way of one run: inputs, session, code once, files, stop, S3, result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from code_runner.deadline import Deadline
from code_runner.fitting import fit
from code_runner.outputs import collect
from code_runner.session import open_session
from code_runner.storage import RunStorage
from sandpiper_contract.errors import DeadlineExceeded, InterpreterNotFound, SessionLost
from sandpiper_contract.result import RunResult

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from code_runner.clients import Clients
    from code_runner.session import CodeSession, Outcome
    from sandpiper_contract.errors import RunError
    from sandpiper_contract.request import RunRequest

ENDING_SECONDS = 20
"""Kept of the time there is for stopping the session and writing to S3."""
COLLECTING_SECONDS = 10
"""Kept for listing and reading files, before that."""
LEAST_SECONDS = 10
"""With less than this for the code a run is not begun."""
SLOW_ANSWER_SECONDS = 20
"""How much longer than its session may live an answer is waited for, so that the service has the last word.

Clients cut waits to whole tens, so that at least ten of these are left.
"""


@dataclass(frozen=True)
class Place:
    """Where a tenant's runs happen: interpreter identifiers by key, the default first, and its part of the bucket."""

    interpreters: Mapping[str, str]
    bucket: str
    prefix: str

    def interpreter_id(self, key: str | None) -> str:
        """The identifier for a key, or the default's; raises InterpreterNotFound naming the keys there are."""
        if key is None:
            return next(iter(self.interpreters.values()))
        if key not in self.interpreters:
            raise InterpreterNotFound(f"interpreter is {key!r}; allowed: {' | '.join(self.interpreters)}")
        return self.interpreters[key]


def run_code(
    request: RunRequest,
    run_id: str,
    place: Place,
    clients: Clients,
    *,
    seconds: float,
    not_stopped: Callable[[str, RunError], None],
) -> RunResult:
    """Runs the request's code once and returns what it printed and left.

    `run_id` is unique for the run: its outputs lie below it. `seconds` is the time there is for all of it, the end
    included. `not_stopped` is told the id of a session that could not be stopped, and why. Raises the contract's
    RunError, one that may be retried only where the code has not run; a failing program is a result.
    """
    end = Deadline.after(seconds)
    end.earlier(ENDING_SECONDS + COLLECTING_SECONDS).require(LEAST_SECONDS, "running the code")
    interpreter_id = place.interpreter_id(request.interpreter)
    storage = RunStorage(clients.s3, place.bucket, place.prefix, run_id)
    inputs = storage.load(request.inputs)
    with open_session(
        clients,
        interpreter_id,
        timeout_seconds=request.session_timeout_seconds,
        deadline=end.earlier(ENDING_SECONDS),
        not_stopped=not_stopped,
    ) as session:
        lifetime = Deadline.after(request.session_timeout_seconds)
        if inputs:
            session.write_files(inputs)
        outcome = _execute(session, request, lifetime, end)
        read, skipped = collect(session, inputs, request.outputs)
    files, not_stored = storage.keep_all(read, end)
    result = RunResult(
        stdout=outcome.stdout,
        stderr=outcome.stderr,
        exit_code=outcome.exit_code,
        execution_time_ms=round(outcome.seconds * 1000, 3),
        files=tuple(files),
        skipped=(*skipped, *not_stored),
    )
    return fit(result, storage.keep_own)


def _execute(session: CodeSession, request: RunRequest, lifetime: Deadline, end: Deadline) -> Outcome:
    """Runs the code; a session that ended because its time was over says so instead of being merely lost."""
    available = end.earlier(ENDING_SECONDS + COLLECTING_SECONDS).seconds_left
    wait = min(lifetime.seconds_left + SLOW_ANSWER_SECONDS, available)
    try:
        return session.execute_code(request.code, request.language, wait)
    except SessionLost as lost:
        if lifetime.seconds_left > 0:
            raise
        seconds = request.session_timeout_seconds
        message = f"the session's {seconds} s (sessionTimeoutSeconds) were over before the code: {lost}"
        raise DeadlineExceeded(message) from lost
