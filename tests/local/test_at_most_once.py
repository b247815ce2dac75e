"""Lambda is killed at each step and the event is sent again: code runs at most once and no session remains."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.jobs import Job
from tests.support.target import ON_AWS

if TYPE_CHECKING:
    from collections.abc import Generator

    from tests.support.product import Product
    from tests.support.run_attempts import Attempts, Moment

pytestmark = pytest.mark.skipif(ON_AWS, reason="the handler is killed in a process of the test, not in Lambda")

Row = tuple[str, int]
"""The outcome of the retry, and the total number of executions of the code."""
ONCE: Row = ("result", 1)
UNSENT: Row = ("SessionLost", 0)
LOST: Row = ("SessionLost", 1)
NO_CODE: Row = ("result", 0)
FIRST: dict[str, tuple[Row, Row]] = {
    "claimed": (ONCE, ONCE),
    "start": (ONCE, ONCE),
    "writeFiles": (ONCE, ONCE),
    "accepted": (ONCE, UNSENT),
}
LAST: dict[str, tuple[Row, Row]] = {
    "file": (LOST, LOST),
    "stop": (LOST, LOST),
    "done": (LOST, ONCE),
}
"""Once the code may have been sent, a retry returns SessionLost unless the record contains the result."""
COLLECTED = ("executeCommand", "file")
DIRECT = ("executeCommand", "executeCommand 2", "file")
KILLS: dict[str, dict[str, tuple[Row, Row]]] = {
    # step: outcome of a kill before the request, and after the response
    "run_code": {**FIRST, "executeCode": (UNSENT, LOST), "executeCommand": (LOST, LOST), **LAST},
    # The second command sends the file to S3, and the function asks S3 for it.
    "run_code direct": {**FIRST, "executeCode": (UNSENT, LOST), **dict.fromkeys(DIRECT, (LOST, LOST)), **LAST},
    "run_command": {**FIRST, "executeCommand": (UNSENT, LOST), "executeCommand 2": (LOST, LOST), **LAST},
    "start_command": {
        **dict.fromkeys(("claimed", "start", "writeFiles", "executeCommand"), (ONCE, ONCE)),
        "accepted": (ONCE, UNSENT),
        "startCommandExecution": (UNSENT, LOST),
        "done": (LOST, ONCE),
    },
    "run_in_session": {
        **{step: rows for step, rows in FIRST.items() if step != "start"},
        "executeCode": (UNSENT, LOST),
        "executeCommand": (LOST, LOST),
        **{step: rows for step, rows in LAST.items() if step != "stop"},
    },
    # Operations that send no code are repeated.
    "poll_command": dict.fromkeys(("claimed", "getTask", *COLLECTED, "done", "stop"), (ONCE, ONCE)),
    "stop_command": dict.fromkeys(  # the first command reads the output so far
        ("claimed", "stopTask", "getTask", "executeCommand", "executeCommand 2", "file", "done", "stop"), (ONCE, ONCE)
    ),
    "collect_files": dict.fromkeys(("claimed", *COLLECTED, "done"), (ONCE, ONCE)),
    "open_session": dict.fromkeys(("claimed", "start", "writeFiles", "executeCommand", "done"), (NO_CODE, NO_CODE)),
}
"""Every call to AWS of the operation, in order."""
AFTER = 1  # index of the outcome after the response
CASES = [
    (operation, step, moment, *rows[number])
    for operation, steps in KILLS.items()
    for step, rows in steps.items()
    for number, moment in enumerate(("before", "after"))
    if operation == "run_code" or (step in DIRECT if operation == "run_code direct" else number == AFTER)
]
"""AWS is in the same state after one step and before the next, so that other operations are killed only after steps."""


@pytest.fixture
def job(request: pytest.FixtureRequest, product: Product, attempts: Attempts) -> Generator[Job]:
    """Returns a job for the operation of the test, with an open session or a started command if it needs one."""
    job = Job.named(product, attempts, request.param)
    if job.operation in ("run_in_session", "collect_files"):
        job.open()
    if job.operation == "collect_files":
        job.leave_file()
    if job.operation in ("poll_command", "stop_command"):
        job.start()
    yield job
    job.close()
    assert product.live_sessions() == []


@pytest.mark.parametrize("job", KILLS, indirect=True)
def test_successful_attempt_takes_exactly_the_steps_of_the_table(job: Job) -> None:
    attempt = job.attempt()
    assert attempt.sent == tuple(KILLS[f"{job.operation} direct" if job.direct else job.operation])
    _check_result(job, attempt.result)


@pytest.mark.parametrize(
    ("job", "step", "moment", "outcome", "executions"),
    CASES,
    indirect=["job"],
    ids=[f"{operation}-{moment}-{step}" for operation, step, moment, *_ in CASES],
)
def test_retry_after_a_kill_does_not_run_the_code_again(
    job: Job, step: str, moment: Moment, outcome: str, executions: int
) -> None:
    assert job.attempt(kill=(step, moment)).outcome == "killed"
    if executions and outcome == "SessionLost" and job.operation == "start_command":
        job.wait_until_it_ran()
    retry = job.attempt()
    assert retry.outcome == outcome, retry.message
    again = job.attempt()
    assert (again.outcome, again.stored_result) == (retry.outcome, retry.stored_result)
    assert again.message == retry.message
    if retry.result is not None:
        _check_result(job, retry.result)
    assert job.executions() == executions
    assert job.live_sessions() == []


def _check_result(job: Job, result: Any) -> None:
    """Asserts that the result is complete. Stores a session that must remain open, so that the job closes it."""
    match job.operation:
        case "open_session":
            assert job.product.live_sessions() == [result["session"]["sessionId"]]
            job.session = result["session"]
        case "start_command":
            assert job.has_complete_file(job.wait_until_command_ended(result))
            assert job.executions() == 1
        case "stop_command" | "collect_files":
            assert result["skipped"] == []
            assert job.has_complete_file(result)
            assert job.executions() == 1
        case _:
            assert (result["exitCode"], result["skipped"]) == (0, [])
            assert job.has_complete_file(result)
            assert job.executions() == 1
