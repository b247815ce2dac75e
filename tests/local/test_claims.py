"""What a second attempt of a run is told while the first may live, and after; by the clock of S3 alone."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from code_runner.agentcore.boto_clients import AwsClients
from code_runner.agentcore.deadline import Deadline
from code_runner.idempotency import record
from code_runner.idempotency.record import Abandoned, Completed, IdempotencyRecord
from code_runner.idempotency.stored_record import CLOCK_SKEW_SECONDS, OwnSession
from sandpiper_contract.errors import InvalidRequest, RunUnderWay
from sandpiper_contract.s3_objects import S3Object
from tests.local.target import ON_AWS

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from tests.local.conftest import Product

pytestmark = pytest.mark.skipif(ON_AWS, reason="it writes into the deployed bucket")

SESSION = OwnSession("sandbox-1", "session-1")


@dataclass
class OneRun:
    """A run of nobody's in the deployed bucket."""

    s3: S3Client
    address: S3Object

    def take(self, *digests: str, lives: float = 900, patience: float = 0) -> IdempotencyRecord | Completed | Abandoned:
        """An attempt that is over in so many seconds and has so much time to wait for another's result."""
        wait_until, deadline = Deadline.after(patience), Deadline.after(lives)
        return record.acquire(self.s3, self.address, digests or ("a",), wait_until=wait_until, deadline=deadline)

    def accepted(self, lives: float = 900) -> IdempotencyRecord:
        """The claim of an attempt that is about to send its code."""
        taken = self.take(lives=lives)
        assert isinstance(taken, IdempotencyRecord)
        taken.accept(SESSION)
        return taken


@pytest.fixture
def run(product: Product) -> OneRun:
    """A run that nobody has taken."""
    place = product.place
    return OneRun(AwsClients().s3, S3Object(place.bucket, f"{place.prefix}/runs/{uuid.uuid4()}/claim.json"))


def test_while_the_first_may_live_its_result_is_waited_for_and_nothing_is_taken_from_it(run: OneRun) -> None:
    first = run.accepted()
    with pytest.raises(RunUnderWay, match="may still be running") as raised:
        run.take()
    assert raised.value.retryable
    first.complete(result={"exitCode": 0})
    assert run.take() == Completed({"exitCode": 0})


def test_a_first_that_is_over_without_an_end_is_lost_with_its_session(run: OneRun) -> None:
    run.accepted(lives=-CLOCK_SKEW_SECONDS)
    for _ in range(2):
        assert run.take(patience=60) == Abandoned(run.address.uri, SESSION)


def test_a_first_that_does_not_say_when_it_is_over_is_watched_for_a_while(
    run: OneRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As claims are that an earlier version of the function wrote."""
    run.accepted()
    bucket, key = run.address.bucket, run.address.key
    entry = json.loads(run.s3.get_object(Bucket=bucket, Key=key)["Body"].read())
    del entry["over_in"]
    run.s3.put_object(Bucket=bucket, Key=key, Body=json.dumps(entry))
    assert run.take() == Abandoned(run.address.uri, SESSION)
    monkeypatch.setattr("code_runner.idempotency.record.LEGACY_ATTEMPT_SECONDS", 0)
    assert run.take(patience=600) == Abandoned(run.address.uri, SESSION)


def test_a_run_knows_its_request_by_an_earlier_digest_too(run: OneRun) -> None:
    first = run.take("former")
    assert isinstance(first, IdempotencyRecord)
    first.complete(result={})
    assert run.take("new", "former") == Completed({})
    with pytest.raises(InvalidRequest, match="by an earlier execution of that name"):
        run.take("new", "another")
