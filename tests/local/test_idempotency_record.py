"""Later attempts of a run: while the first may be running, after it is over, and with records of older releases."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest

from code_runner.agentcore.boto_clients import AwsClients
from code_runner.agentcore.deadline import Deadline
from code_runner.idempotency import record
from code_runner.idempotency.record import Abandoned, Completed, IdempotencyRecord
from code_runner.idempotency.stored_record import CLOCK_SKEW_SECONDS, OwnSession
from sandpiper_contract.errors import InvalidRequest, RunUnderWay
from sandpiper_contract.s3_objects import S3Object
from tests.support.target import ON_AWS

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from tests.support.product import Product

pytestmark = pytest.mark.skipif(ON_AWS, reason="it writes to the deployed bucket")

SESSION = OwnSession("sandbox-1", "session-1")


@dataclass
class OneRun:
    """A new run in the deployed bucket."""

    s3: S3Client
    address: S3Object

    def acquire(
        self,
        *fingerprints: str,
        retry: tuple[int, int] | None = None,
        attempt_seconds: float = 900,
        wait_seconds: float = 0,
    ) -> IdempotencyRecord | Completed | Abandoned:
        """Starts an attempt of `attempt_seconds` that waits `wait_seconds` for the result of another attempt."""
        wait_until, deadline = Deadline.after(wait_seconds), Deadline.after(attempt_seconds)
        return record.acquire(
            self.s3, self.address, fingerprints or ("a",), retry=retry, wait_until=wait_until, deadline=deadline
        )

    def accepted(self, attempt_seconds: float = 900) -> IdempotencyRecord:
        """Returns the record of an attempt that is about to send its code."""
        acquired = self.acquire(attempt_seconds=attempt_seconds)
        assert isinstance(acquired, IdempotencyRecord)
        acquired.accept(SESSION)
        return acquired


@pytest.fixture
def run(product: Product) -> OneRun:
    """Returns a run that no attempt has acquired."""
    deployment = product.deployment
    return OneRun(AwsClients().s3, S3Object(deployment.bucket, f"{deployment.prefix}/runs/{uuid.uuid4()}/claim.json"))


def test_second_attempt_waits_for_the_result_while_the_first_may_be_running(run: OneRun) -> None:
    first = run.accepted()
    with pytest.raises(RunUnderWay, match="may still be running") as raised:
        run.acquire()
    assert raised.value.retryable
    first.complete(result={"exitCode": 0})
    assert not first.is_accepted_twice
    assert run.acquire() == Completed({"exitCode": 0})


def test_attempt_that_ended_without_a_result_is_abandoned(run: OneRun) -> None:
    run.accepted(attempt_seconds=-CLOCK_SKEW_SECONDS)
    for _ in range(2):
        assert run.acquire(wait_seconds=60) == Abandoned(run.address.uri, SESSION)


def test_accepted_record_that_another_attempt_overwrites_was_accepted_twice(run: OneRun) -> None:
    """No attempt takes over an accepted run, so the test overwrites the record itself."""
    first = run.accepted()
    bucket, key = run.address.bucket, run.address.key
    stored = replace(first.stored, attempt="another")
    run.s3.put_object(Bucket=bucket, Key=key, Body=stored.to_bytes())
    first.complete(result={"exitCode": 0})
    assert first.is_accepted_twice


def test_record_without_expiry_is_polled_for_a_limited_time(run: OneRun, monkeypatch: pytest.MonkeyPatch) -> None:
    """Older releases wrote such records."""
    run.accepted()
    bucket, key = run.address.bucket, run.address.key
    fields = json.loads(run.s3.get_object(Bucket=bucket, Key=key)["Body"].read())
    del fields["over_in"]
    run.s3.put_object(Bucket=bucket, Key=key, Body=json.dumps(fields))
    assert run.acquire() == Abandoned(run.address.uri, SESSION)
    monkeypatch.setattr("code_runner.idempotency.record.LEGACY_ATTEMPT_SECONDS", 0)
    assert run.acquire(wait_seconds=600) == Abandoned(run.address.uri, SESSION)


def test_request_is_recognized_by_the_fingerprint_of_older_releases(run: OneRun) -> None:
    first = run.acquire("old")
    assert isinstance(first, IdempotencyRecord)
    first.complete(result={})
    assert run.acquire("new", "old") == Completed({})
    with pytest.raises(InvalidRequest, match="by an earlier execution of that name"):
        run.acquire("new", "another")


def test_attempt_with_a_number_that_was_used_belongs_to_another_map_item(run: OneRun) -> None:
    """A standard workflow sends each pair of the numbers of redrives and retries once for a visit of a state."""
    first = run.acquire(retry=(0, 1))
    assert isinstance(first, IdempotencyRecord)
    for used in ((0, 0), (0, 1)):
        with pytest.raises(InvalidRequest, match=r"another item of a Map.*run\.item that differs for each item"):
            run.acquire(retry=used)
    first.accept(SESSION)
    first.complete(result={"exitCode": 0})
    for later in ((0, 2), (1, 0)):
        assert run.acquire(retry=later) == Completed({"exitCode": 0})
    with pytest.raises(InvalidRequest, match="another item of a Map"):
        run.acquire(retry=(0, 1))


def test_retry_takes_over_a_run_whose_code_was_not_sent(run: OneRun) -> None:
    assert isinstance(run.acquire(retry=(0, 0)), IdempotencyRecord)
    assert isinstance(run.acquire(retry=(0, 1)), IdempotencyRecord)
    with pytest.raises(InvalidRequest, match="another item of a Map"):
        run.acquire(retry=(0, 1))
