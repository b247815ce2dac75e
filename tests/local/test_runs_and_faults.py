"""Faults of AgentCore and S3, then the same event again: the outcomes of both attempts, and how often code ran."""

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

pytestmark = pytest.mark.skipif(ON_AWS, reason="AWS takes no orders of faults")

START, STOP = "StartCodeInterpreterSession", "StopCodeInterpreterSession"
QUOTA, DENIED, INVALID = "ServiceQuotaExceededException", "AccessDeniedException", "ValidationException"

OK, LOST = "result", "SessionLost"
WHOLE = "whole result"
"""A result with every file; `result` is one with skipped files."""

FAULTS: list[tuple[str, Rule, str, str, int]] = [
    # operation     what goes wrong                                       1st attempt       the same again  ran
    ("run_code", Rule("throttling", START), "Throttled", WHOLE, 1),
    ("run_code", Rule("error", START, code=QUOTA), "QuotaExceeded", WHOLE, 1),
    ("run_code", Rule("error", START, code=DENIED), "AccessDenied", WHOLE, 1),
    ("run_code", Rule("error", START), "ServiceFault", WHOLE, 1),
    ("run_code", Rule("error", START, at="after"), "ServiceFault", WHOLE, 1),
    ("run_code", Rule("disconnect", START, at="unanswered"), "ServiceFault", WHOLE, 1),
    ("run_code", Rule("disconnect", START, at="unanswered", times=1), WHOLE, WHOLE, 1),
    ("run_code", Rule("latency", START, seconds=2.5, times=1), WHOLE, WHOLE, 1),
    ("run_code", Rule("throttling", "writeFiles"), "Throttled", WHOLE, 1),
    ("run_code", Rule("error", "writeFiles"), "ServiceFault", WHOLE, 1),
    ("run_code", Rule("disconnect", "writeFiles", at="unanswered"), "ServiceFault", WHOLE, 1),
    ("run_code", Rule("session_dies", "writeFiles"), LOST, WHOLE, 1),
    ("run_code", Rule("slow_file", "writeFiles", seconds=0.2), WHOLE, WHOLE, 1),
    ("run_code", Rule("throttling", "executeCode"), "Throttled", WHOLE, 1),
    ("run_code", Rule("error", "executeCode", code=QUOTA), "QuotaExceeded", WHOLE, 1),
    ("run_code", Rule("error", "executeCode", code=DENIED), "AccessDenied", WHOLE, 1),
    ("run_code", Rule("error", "executeCode", code=INVALID), "InvalidRequest", WHOLE, 1),
    ("run_code", Rule("error", "executeCode"), LOST, LOST, 0),
    ("run_code", Rule("error", "executeCode", at="after"), LOST, LOST, 1),
    ("run_code", Rule("error", "executeCode", at="after", code="ConflictException"), LOST, LOST, 1),
    ("run_code", Rule("stream_error", "executeCode", code="ThrottlingException"), LOST, LOST, 1),
    ("run_code", Rule("disconnect", "executeCode", at="before"), LOST, LOST, 0),
    ("run_code", Rule("disconnect", "executeCode", at="unanswered"), LOST, LOST, 1),
    ("run_code", Rule("disconnect", "executeCode", at="during"), LOST, LOST, 1),
    ("run_code", Rule("disconnect", "executeCode", at="after"), LOST, LOST, 1),
    ("run_code", Rule("session_dies", "executeCode"), LOST, LOST, 0),
    ("run_code", Rule("latency", "executeCode", seconds=0.2), WHOLE, WHOLE, 1),
    ("run_code", Rule("throttling", "executeCommand", times=1), WHOLE, WHOLE, 1),
    ("run_code", Rule("error", "executeCommand"), OK, OK, 1),
    ("run_code", Rule("disconnect", "executeCommand", at="unanswered", times=1), WHOLE, WHOLE, 1),
    ("run_code", Rule("session_dies", "executeCommand"), OK, OK, 1),
    ("run_code", Rule("error", "readFiles"), OK, OK, 1),
    ("run_code", Rule("disconnect", "readFiles", at="during", times=1), WHOLE, WHOLE, 1),
    ("run_code", Rule("session_dies", "readFiles"), OK, OK, 1),
    ("run_code", Rule("slow_file", "readFiles", seconds=0.2), WHOLE, WHOLE, 1),
    ("run_code", Rule("error", STOP, at="after", times=1), WHOLE, WHOLE, 1),
    ("run_code", Rule("disconnect", STOP, at="unanswered", times=1), WHOLE, WHOLE, 1),
    ("run_command", Rule("throttling", "executeCommand"), "Throttled", WHOLE, 1),
    ("run_command", Rule("error", "executeCommand", times=1), LOST, LOST, 0),
    ("run_command", Rule("disconnect", "executeCommand", at="unanswered", times=1), LOST, LOST, 1),
    ("run_command", Rule("session_dies", "executeCommand", times=1), LOST, LOST, 0),
    ("start_command", Rule("throttling", "startCommandExecution"), "Throttled", WHOLE, 1),
    ("start_command", Rule("error", "startCommandExecution"), LOST, LOST, 0),
    ("start_command", Rule("session_dies", "startCommandExecution"), LOST, LOST, 0),
    ("run_in_session", Rule("throttling", "executeCode"), "Throttled", WHOLE, 1),
    ("run_in_session", Rule("error", "executeCode"), LOST, LOST, 0),
    ("run_in_session", Rule("disconnect", "executeCode", at="unanswered"), LOST, LOST, 1),
    ("run_in_session", Rule("session_dies", "executeCode"), LOST, LOST, 0),
    ("open_session", Rule("error", START, at="after"), "ServiceFault", OK, 0),
    ("open_session", Rule("error", "writeFiles"), "ServiceFault", OK, 0),
    ("open_session", Rule("disconnect", "writeFiles", at="unanswered", times=1), OK, OK, 0),
]
AT_S3: list[tuple[str, str, Fault, str, str, int]] = [
    # operation    step      fault         1st attempt     the same again  ran
    ("run_code", "claimed", "denied", "StorageError", WHOLE, 1),
    ("run_code", "claimed", "down", "StorageError", WHOLE, 1),
    ("run_code", "claimed", "lost", "StorageError", WHOLE, 1),
    ("run_code", "claimed", "lost once", WHOLE, WHOLE, 1),
    ("run_code", "accepted", "denied", "StorageError", WHOLE, 1),
    ("run_code", "accepted", "down", "StorageError", WHOLE, 1),
    ("run_code", "accepted", "lost", "StorageError", WHOLE, 1),
    ("run_code", "accepted", "lost once", WHOLE, WHOLE, 1),
    ("run_code", "file", "denied", WHOLE, WHOLE, 1),
    ("run_code", "file", "down", WHOLE, WHOLE, 1),
    ("run_code", "file", "lost", WHOLE, WHOLE, 1),
    ("run_code", "file", "lost once", WHOLE, WHOLE, 1),
    ("run_code", "done", "denied", WHOLE, LOST, 1),
    ("run_code", "done", "down", WHOLE, LOST, 1),
    ("run_code", "done", "lost", WHOLE, WHOLE, 1),
    ("run_code", "done", "lost once", WHOLE, WHOLE, 1),
    ("run_command", "accepted", "lost", "StorageError", WHOLE, 1),
    ("run_in_session", "accepted", "lost", "StorageError", WHOLE, 1),
    ("run_in_session", "done", "denied", WHOLE, LOST, 1),
    ("start_command", "accepted", "lost", "StorageError", WHOLE, 1),
    ("open_session", "claimed", "lost", "StorageError", OK, 0),
]


@pytest.fixture(scope="module")
def attempts(deployed: Deployment) -> Generator[Attempts]:
    """The process that makes attempts."""
    with Attempts(deployed) as attempts:
        yield attempts


@pytest.fixture
def job(request: pytest.FixtureRequest, product: Product, attempts: Attempts) -> Generator[Job]:
    """A job for the operation of the test, in an open session if it needs one."""
    job = Job(product, attempts, request.param)
    if job.operation == "run_in_session":
        job.open()
    yield job
    job.close()
    assert product.live_sessions() == []


@pytest.mark.parametrize(
    ("job", "rule", "first", "again", "ran"),
    FAULTS,
    indirect=["job"],
    ids=["-".join((row[0], *map(str, row[1].members().values()))) for row in FAULTS],
)
def test_a_fault_of_the_service_and_the_same_event_again(
    job: Job, faults: FaultInjector, rule: Rule, first: str, again: str, ran: int
) -> None:
    faults.inject(rule)
    attempt = job.attempt()
    assert faults.injected() != [0]
    faults.clear()
    assert (told(job, attempt), told(job, job.attempt())) == (first, again), attempt.message
    assert job.ran() == ran
    assert job.live() == []


@pytest.mark.parametrize(
    ("job", "step", "fault", "first", "again", "ran"),
    AT_S3,
    indirect=["job"],
    ids=["-".join(row[:3]) for row in AT_S3],
)
def test_a_fault_of_s3_and_the_same_event_again(
    job: Job, step: str, fault: Fault, first: str, again: str, ran: int
) -> None:
    attempt = job.attempt(faults={step: fault})
    assert step in attempt.sent
    assert (told(job, attempt), told(job, job.attempt())) == (first, again), attempt.message
    assert job.ran() == ran
    assert job.live() == []


def told(job: Job, attempt: Attempt) -> str:
    """Returns the outcome. A result is whole if it contains the program's file; otherwise the file is in `skipped`."""
    result = attempt.result
    if result is None:
        return attempt.outcome
    if job.operation == "open_session":
        job.session = result["session"]
        return OK
    if job.operation == "start_command":
        return WHOLE if job.whole(job.finish(result)) else OK
    if result["skipped"]:
        return OK
    return WHOLE if job.whole(result) else "a result that lacks a file"


@pytest.mark.parametrize("job", ["run_code"], indirect=True)
def test_a_run_whose_record_cannot_be_read_does_not_run_until_it_can(job: Job) -> None:
    assert job.attempt(kill=("executeCode", "after")).killed
    for fault in ("denied", "down"):
        attempt = job.attempt(faults={"look": fault})
        assert attempt.outcome == "StorageError"
        assert {step.split()[0] for step in attempt.sent} == {"claimed", "look"}
    assert job.attempt().outcome == LOST
    assert job.ran() == 1


@pytest.mark.parametrize("job", ["run_code"], indirect=True)
def test_the_next_attempt_stops_a_session_that_could_not_be_stopped(job: Job, faults: FaultInjector) -> None:
    faults.inject(Rule("error", STOP), Rule("error", "writeFiles", code=DENIED))
    assert job.attempt().outcome == "AccessDenied"
    faults.clear()
    assert len(job.live()) == 1
    assert told(job, job.attempt()) == WHOLE
    assert job.live() == []


@pytest.mark.parametrize("job", ["run_code"], indirect=True)
@pytest.mark.parametrize("rule", [Rule("error", STOP), Rule("error", STOP, code=DENIED), Rule("disconnect", STOP)])
def test_a_failed_stop_does_not_affect_the_result_and_the_session_ends_with_its_lifetime(
    job: Job, aws: RunningInstance, faults: FaultInjector, rule: Rule
) -> None:
    faults.inject(rule)
    assert told(job, job.attempt()) == WHOLE
    faults.clear()
    (session,) = job.live()
    LiveSessions(aws.agentcore_url).end(session)
    assert told(job, job.attempt()) == WHOLE
    assert job.ran() == 1


@pytest.mark.parametrize("job", ["run_code"], indirect=True)
def test_two_concurrent_attempts_run_the_code_once(job: Job, deployed: Deployment) -> None:
    """The second attempt may take over the run and stop the first one's session before the first sends its code."""
    with Attempts(deployed) as others, ThreadPoolExecutor() as pool:
        other = pool.submit(others.make, job.event, others_live=True)
        both = [told(job, job.attempts.make(job.event, others_live=True)), told(job, other.result())]
    assert WHOLE in both
    assert set(both) <= {WHOLE, LOST}
    assert job.ran() == 1
    assert job.live() == []


@pytest.mark.parametrize("job", ["run_code"], indirect=True)
def test_an_attempt_waits_for_the_result_of_a_live_one(job: Job, deployed: Deployment, faults: FaultInjector) -> None:
    faults.inject(Rule("latency", "executeCode", seconds=3))
    with Attempts(deployed) as others, ThreadPoolExecutor() as pool:
        other = pool.submit(others.make, job.event, others_live=True)
        job.wait_until_accepted()
        second = job.attempts.make(job.event, others_live=True)
        first = other.result()
    assert told(job, first) == WHOLE
    assert second.result == first.result
    assert {step.split()[0] for step in second.sent} == {"claimed", "look"}
    assert job.ran() == 1


@pytest.mark.parametrize("job", ["run_code"], indirect=True)
def test_a_run_belongs_to_one_request_and_one_execution(job: Job) -> None:
    assert told(job, job.attempt()) == WHOLE
    for change in (
        {"operation": "run_command", "request": {"command": "true"}},
        {"request": {"code": "1"}},
        {"run": {**job.event["run"], "started": "2027-03-01T07:00:00.000Z"}},
    ):
        attempt = job.attempts.make({**job.event, **change})
        assert attempt.outcome == "InvalidRequest"
        assert "was started with another request" in attempt.message
        assert not {"start", "executeCode", "executeCommand"} & set(attempt.sent)
