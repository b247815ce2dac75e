"""Retries after faults of AgentCore and S3: the outcomes of both attempts, and the number of executions."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from local_agentcore.admin_client import LiveSessions
from local_agentcore.faults import Rule
from tests.support.jobs import Job
from tests.support.run_attempts import Attempts
from tests.support.target import ON_AWS

if TYPE_CHECKING:
    from collections.abc import Generator

    from local_agentcore.admin_client import FaultInjector
    from local_aws.running_instance import RunningInstance
    from sandpiper.deployment import Deployment
    from tests.support.product import Product
    from tests.support.run_attempts import Attempt, Fault

pytestmark = pytest.mark.skipif(ON_AWS, reason="faults can be injected only into the embedded AWS")

START, STOP = "StartCodeInterpreterSession", "StopCodeInterpreterSession"
QUOTA, DENIED, INVALID = "ServiceQuotaExceededException", "AccessDeniedException", "ValidationException"

OK, LOST, UNSENT = "result", "SessionLost", "NotStarted"
COMPLETE = "complete result"
"""A result with every file; `result` is one with skipped files."""

FAULTS: list[tuple[str, Rule, str, str, int]] = [
    # operation, fault, outcome of the first attempt, outcome of the second, executions of the code
    ("run_code", Rule("throttling", START), "Throttled", COMPLETE, 1),
    ("run_code", Rule("error", START, code=QUOTA), "QuotaExceeded", COMPLETE, 1),
    ("run_code", Rule("error", START, code=DENIED), "AccessDenied", COMPLETE, 1),
    ("run_code", Rule("error", START), UNSENT, COMPLETE, 1),
    ("run_code", Rule("error", START, at="after"), UNSENT, COMPLETE, 1),
    ("run_code", Rule("disconnect", START, at="unanswered"), UNSENT, COMPLETE, 1),
    ("run_code", Rule("disconnect", START, at="unanswered", times=1), COMPLETE, COMPLETE, 1),
    ("run_code", Rule("latency", START, seconds=2.5, times=1), COMPLETE, COMPLETE, 1),
    ("run_code", Rule("throttling", "writeFiles"), "Throttled", COMPLETE, 1),
    ("run_code", Rule("error", "writeFiles"), UNSENT, COMPLETE, 1),
    ("run_code", Rule("disconnect", "writeFiles", at="unanswered"), UNSENT, COMPLETE, 1),
    ("run_code", Rule("session_dies", "writeFiles"), UNSENT, COMPLETE, 1),
    ("run_code", Rule("slow_file", "writeFiles", seconds=0.2), COMPLETE, COMPLETE, 1),
    ("run_code", Rule("throttling", "executeCode"), "Throttled", COMPLETE, 1),
    ("run_code", Rule("error", "executeCode", code=QUOTA), "QuotaExceeded", COMPLETE, 1),
    ("run_code", Rule("error", "executeCode", code=DENIED), "AccessDenied", COMPLETE, 1),
    ("run_code", Rule("error", "executeCode", code=INVALID), "InvalidRequest", COMPLETE, 1),
    ("run_code", Rule("error", "executeCode"), LOST, LOST, 0),
    ("run_code", Rule("error", "executeCode", at="after"), LOST, LOST, 1),
    ("run_code", Rule("error", "executeCode", at="after", code="ConflictException"), LOST, LOST, 1),
    ("run_code", Rule("stream_error", "executeCode", code="ThrottlingException"), LOST, LOST, 1),
    ("run_code", Rule("disconnect", "executeCode", at="before"), LOST, LOST, 0),
    ("run_code", Rule("disconnect", "executeCode", at="unanswered"), LOST, LOST, 1),
    ("run_code", Rule("disconnect", "executeCode", at="during"), LOST, LOST, 1),
    ("run_code", Rule("disconnect", "executeCode", at="after"), LOST, LOST, 1),
    ("run_code", Rule("session_dies", "executeCode"), LOST, LOST, 0),
    ("run_code", Rule("latency", "executeCode", seconds=0.2), COMPLETE, COMPLETE, 1),
    ("run_code", Rule("throttling", "executeCommand", times=1), COMPLETE, COMPLETE, 1),
    ("run_code", Rule("error", "executeCommand"), OK, OK, 1),
    ("run_code", Rule("disconnect", "executeCommand", at="unanswered", times=1), COMPLETE, COMPLETE, 1),
    ("run_code", Rule("session_dies", "executeCommand"), OK, OK, 1),
    ("run_code", Rule("disconnect", "executeCommand", at="during", times=1), COMPLETE, COMPLETE, 1),
    ("run_code", Rule("error", STOP, at="after", times=1), COMPLETE, COMPLETE, 1),
    ("run_code", Rule("disconnect", STOP, at="unanswered", times=1), COMPLETE, COMPLETE, 1),
    ("run_command", Rule("throttling", "executeCommand"), "Throttled", COMPLETE, 1),
    ("run_command", Rule("error", "executeCommand", times=1), LOST, LOST, 0),
    ("run_command", Rule("disconnect", "executeCommand", at="unanswered", times=1), LOST, LOST, 1),
    ("run_command", Rule("session_dies", "executeCommand", times=1), LOST, LOST, 0),
    ("start_command", Rule("throttling", "startCommandExecution"), "Throttled", COMPLETE, 1),
    ("start_command", Rule("error", "startCommandExecution"), LOST, LOST, 0),
    ("start_command", Rule("session_dies", "startCommandExecution"), LOST, LOST, 0),
    ("run_in_session", Rule("throttling", "executeCode"), "Throttled", COMPLETE, 1),
    ("run_in_session", Rule("error", "executeCode"), LOST, LOST, 0),
    ("run_in_session", Rule("disconnect", "executeCode", at="unanswered"), LOST, LOST, 1),
    ("run_in_session", Rule("session_dies", "executeCode"), LOST, LOST, 0),
    ("open_session", Rule("error", START, at="after"), UNSENT, OK, 0),
    ("open_session", Rule("error", "writeFiles"), UNSENT, OK, 0),
    ("open_session", Rule("disconnect", "writeFiles", at="unanswered", times=1), OK, OK, 0),
]
AT_S3: list[tuple[str, str, Fault, str, str, int]] = [
    # operation, step, fault, outcome of the first attempt, outcome of the second, executions of the code
    ("run_code", "claimed", "denied", "StorageError", COMPLETE, 1),
    ("run_code", "claimed", "down", UNSENT, COMPLETE, 1),
    ("run_code", "claimed", "lost", UNSENT, COMPLETE, 1),
    ("run_code", "claimed", "lost once", COMPLETE, COMPLETE, 1),
    ("run_code", "accepted", "denied", "StorageError", COMPLETE, 1),
    ("run_code", "accepted", "down", UNSENT, COMPLETE, 1),
    ("run_code", "accepted", "lost", UNSENT, COMPLETE, 1),
    ("run_code", "accepted", "lost once", COMPLETE, COMPLETE, 1),
    ("run_code", "file", "denied", COMPLETE, COMPLETE, 1),
    ("run_code", "file", "down", COMPLETE, COMPLETE, 1),
    ("run_code", "file", "lost", COMPLETE, COMPLETE, 1),
    ("run_code", "file", "lost once", COMPLETE, COMPLETE, 1),
    ("run_code", "done", "denied", COMPLETE, LOST, 1),
    ("run_code", "done", "down", COMPLETE, LOST, 1),
    ("run_code", "done", "lost", COMPLETE, COMPLETE, 1),
    ("run_code", "done", "lost once", COMPLETE, COMPLETE, 1),
    ("run_code direct", "file", "denied", COMPLETE, COMPLETE, 1),
    ("run_code direct", "file", "lost once", COMPLETE, COMPLETE, 1),
    ("run_command", "accepted", "lost", UNSENT, COMPLETE, 1),
    ("run_in_session", "accepted", "lost", UNSENT, COMPLETE, 1),
    ("run_in_session", "done", "denied", COMPLETE, LOST, 1),
    ("start_command", "accepted", "lost", UNSENT, COMPLETE, 1),
    ("open_session", "claimed", "lost", UNSENT, OK, 0),
]


@pytest.fixture
def job(request: pytest.FixtureRequest, product: Product, attempts: Attempts) -> Generator[Job]:
    """Returns a job for the operation of the test, in an open session if it needs one."""
    job = Job.named(product, attempts, request.param)
    if job.operation == "run_in_session":
        job.open()
    yield job
    job.close()
    assert product.live_sessions() == []


@pytest.mark.parametrize(
    ("job", "rule", "first", "second", "executions"),
    FAULTS,
    indirect=["job"],
    ids=["-".join((row[0], *map(str, row[1].members().values()))) for row in FAULTS],
)
def test_retry_after_a_service_fault_runs_the_code_at_most_once(
    job: Job, faults: FaultInjector, rule: Rule, first: str, second: str, executions: int
) -> None:
    faults.inject(rule)
    attempt = job.attempt()
    assert faults.injected() != [0]
    faults.clear()
    assert (outcome(job, attempt), outcome(job, job.attempt())) == (first, second), attempt.message
    assert job.executions() == executions
    assert job.live_sessions() == []


@pytest.mark.parametrize(
    ("job", "step", "fault", "first", "second", "executions"),
    AT_S3,
    indirect=["job"],
    ids=["-".join(row[:3]) for row in AT_S3],
)
def test_retry_after_an_s3_fault_runs_the_code_at_most_once(
    job: Job, step: str, fault: Fault, first: str, second: str, executions: int
) -> None:
    attempt = job.attempt(faults={step: fault})
    assert step in attempt.sent
    assert (outcome(job, attempt), outcome(job, job.attempt())) == (first, second), attempt.message
    assert job.executions() == executions
    assert job.live_sessions() == []


def outcome(job: Job, attempt: Attempt) -> str:
    """Returns the outcome. A complete result contains the program's file; otherwise the file is in `skipped`."""
    result = attempt.result
    if result is None:
        return attempt.outcome
    if job.operation == "open_session":
        job.session = result["session"]
        return OK
    if job.operation == "start_command":
        return COMPLETE if job.has_complete_file(job.wait_until_command_ended(result)) else OK
    if result["skipped"]:
        return OK
    return COMPLETE if job.has_complete_file(result) else "result without a file"


@pytest.mark.parametrize("job", ["run_code"], indirect=True)
def test_run_with_an_unreadable_record_sends_no_code(job: Job) -> None:
    assert job.attempt(kill=("executeCode", "after")).killed
    outcomes: dict[Fault, str] = {"denied": "StorageError", "down": UNSENT}
    for fault, outcome in outcomes.items():
        attempt = job.attempt(faults={"read": fault})
        assert attempt.outcome == outcome
        assert {step.split()[0] for step in attempt.sent} == {"claimed", "read"}
    assert job.attempt().outcome == LOST
    assert job.executions() == 1


@pytest.mark.parametrize("job", ["run_code"], indirect=True)
def test_next_attempt_stops_the_session_of_a_failed_stop(job: Job, faults: FaultInjector) -> None:
    faults.inject(Rule("error", STOP), Rule("error", "writeFiles", code=DENIED))
    assert job.attempt().outcome == "AccessDenied"
    faults.clear()
    assert len(job.live_sessions()) == 1
    assert outcome(job, job.attempt()) == COMPLETE
    assert job.live_sessions() == []


@pytest.mark.parametrize("job", ["run_code"], indirect=True)
@pytest.mark.parametrize("rule", [Rule("error", STOP), Rule("error", STOP, code=DENIED), Rule("disconnect", STOP)])
def test_failed_stop_does_not_affect_the_result(
    job: Job, aws: RunningInstance, faults: FaultInjector, rule: Rule
) -> None:
    faults.inject(rule)
    assert outcome(job, job.attempt()) == COMPLETE
    faults.clear()
    (session,) = job.live_sessions()
    LiveSessions(aws.agentcore_url).end(session)
    assert outcome(job, job.attempt()) == COMPLETE
    assert job.executions() == 1


@pytest.mark.parametrize("job", ["run_code"], indirect=True)
def test_two_concurrent_attempts_run_the_code_once(job: Job, deployed: Deployment) -> None:
    """The second attempt may take over the run and stop the session of the first before the first sends its code."""
    with Attempts(deployed) as other_attempts, ThreadPoolExecutor() as pool:
        other = pool.submit(other_attempts.run, job.event, other_attempts_live=True)
        both = [outcome(job, job.attempts.run(job.event, other_attempts_live=True)), outcome(job, other.result())]
    assert COMPLETE in both
    assert set(both) <= {COMPLETE, LOST}
    assert job.executions() == 1
    assert job.live_sessions() == []


@pytest.mark.parametrize("job", ["run_code"], indirect=True)
def test_attempt_waits_for_the_result_of_a_running_attempt(
    job: Job, deployed: Deployment, faults: FaultInjector
) -> None:
    faults.inject(Rule("latency", "executeCode", seconds=3))
    with Attempts(deployed) as other_attempts, ThreadPoolExecutor() as pool:
        other = pool.submit(other_attempts.run, job.event, other_attempts_live=True)
        job.wait_until_accepted()
        second = job.attempts.run(job.event, other_attempts_live=True)
        first = other.result()
    assert outcome(job, first) == COMPLETE
    assert second.stored_result == first.stored_result
    assert {step.split()[0] for step in second.sent} == {"claimed", "read"}
    assert job.executions() == 1


@pytest.mark.parametrize("job", ["run_code"], indirect=True)
def test_run_with_another_request_or_execution_is_rejected(job: Job) -> None:
    assert outcome(job, job.attempt()) == COMPLETE
    for change in (
        {"operation": "run_command", "request": {"command": "true"}},
        {"request": {"code": "1"}},
        {"run": {**job.event["run"], "started": "2027-03-01T07:00:00.000Z"}},
    ):
        attempt = job.attempts.run({**job.event, **change})
        assert attempt.outcome == "InvalidRequest"
        assert "was started with another request" in attempt.message
        assert not {"start", "executeCode", "executeCommand"} & set(attempt.sent)
