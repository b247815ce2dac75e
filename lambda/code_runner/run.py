"""The way of one run: inputs, session, code once, files, stop, S3, result."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from code_runner.changes import find_files
from code_runner.fitting import fit
from code_runner.outputs import changed, choose, read
from code_runner.session import open_session
from code_runner.storage import RunStorage, run_token
from sandpiper_contract.errors import DeadlineExceeded, InterpreterNotFound, SessionLost
from sandpiper_contract.result import RunResult

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mypy_boto3_s3 import S3Client

    from code_runner.clients import Clients
    from code_runner.session import CodeSession, Outcome
    from sandpiper_contract.errors import RunError
    from sandpiper_contract.request import RunRequest

RESERVED_SECONDS = 20
"""Kept of the time there is for what follows the code: reading its files, stopping the session, writing to S3."""
LEAST_SECONDS = 10
"""With less than this left a run is not begun."""


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


@dataclass(frozen=True)
class Services:
    """What a run calls. `clients` makes AgentCore clients that wait so many seconds for an answer to Invoke."""

    clients: Callable[[int], Clients]
    s3: S3Client
    not_stopped: Callable[[str, RunError], None]


def run_code(request: RunRequest, run_id: str, place: Place, services: Services, seconds_left: float) -> RunResult:
    """Runs the request's code once and returns what it printed and left.

    `run_id` is unique for the run: outputs lie below it and the session's clientToken derives from it. `seconds_left`
    is the time there is for all of it. Raises the contract's RunError; a failing program is a result.
    """
    interpreter_id = place.interpreter_id(request.interpreter)
    clients = services.clients(_answer_seconds(request.session_timeout_seconds, seconds_left))
    storage = RunStorage(services.s3, place.bucket, place.prefix, run_id)
    inputs = storage.load(request.inputs)
    begun = time.monotonic()
    with open_session(
        clients,
        interpreter_id,
        timeout_seconds=request.session_timeout_seconds,
        name="sandpiper-run",
        client_token=run_token(run_id),
        not_stopped=services.not_stopped,
    ) as session:
        if inputs:
            session.write_files(inputs)
        outcome = _execute(session, request, begun)
        largest = max(request.outputs.max_bytes, *(len(data) for data in inputs.values()), 0)
        chosen, skipped = choose(changed(find_files(session, largest), inputs), request.outputs)
        files, unread = read(session, chosen)
    result = RunResult(
        stdout=outcome.stdout,
        stderr=outcome.stderr,
        exit_code=outcome.exit_code,
        execution_time_ms=round(outcome.seconds * 1000, 3),
        files=tuple(storage.keep(file) for file in files),
        skipped=(*skipped, *unread),
    )
    return fit(result, storage.keep_own)


def _execute(session: CodeSession, request: RunRequest, begun: float) -> Outcome:
    """Runs the code; a session that ended because its time was over says so instead of being merely lost."""
    try:
        return session.execute_code(request.code, request.language)
    except SessionLost as lost:
        seconds = request.session_timeout_seconds
        if time.monotonic() - begun < seconds:
            raise
        raise DeadlineExceeded(
            f"the session's {seconds} s (sessionTimeoutSeconds) were over before the code: {lost}"
        ) from lost


def _answer_seconds(session_timeout_seconds: int, seconds_left: float) -> int:
    """How long to wait for the code: its session's lifetime or the time there is, in tens: clients are shared."""
    available = int(seconds_left - RESERVED_SECONDS)
    if available < LEAST_SECONDS:
        raise DeadlineExceeded(
            f"{seconds_left:.0f} s are left; a run needs at least {LEAST_SECONDS + RESERVED_SECONDS} s"
        )
    return min(session_timeout_seconds + LEAST_SECONDS, available // 10 * 10)
