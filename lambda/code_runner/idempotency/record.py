"""The idempotency record of a run, which makes accepted code run at most once across all retries and redrives.

A record is one S3 object that changes only by conditional writes, `claimed → accepted → done`. `accepted` is written
just before the code is sent. If a later attempt finds an accepted record without a result, the code may have run, so
that attempt does not send it again. If two attempts hold the same run, the second write is rejected and its attempt
sends nothing.

`accepted` includes how long its attempt may live, so that a second attempt waits for the result as long as one may
arrive. That time is measured by S3's clock alone, from the object's `Last-Modified` to the `Date` of the response: the
clocks of two functions are never compared.

A write that reaches S3 after botocore has stopped waiting for it is harmless, because the ETag in its condition is
outdated.
"""

from __future__ import annotations

import hashlib
import logging
import math
import secrets
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from code_runner.agentcore.deadline import Deadline
from code_runner.idempotency.stored_record import OwnSession, Status, StoredRecord, read_record, write_record
from sandpiper_contract.errors import ERRORS, InvalidRequest, RunError, RunUnderWay, SessionLost, StorageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mypy_boto3_s3 import S3Client

    from code_runner.idempotency.stored_record import RecordVersion
    from sandpiper_contract.s3_objects import S3Object

log = logging.getLogger(__name__)

LEGACY_ATTEMPT_SECONDS = 30
"""How long to wait for the result of a record that has no expiry (written by older releases)."""
POLL_INTERVAL_SECONDS = 1.0
DISTINCT = "a run.item that differs for each item, and run.entered for the rounds of a loop"
"""What an error allows when two visits of a state send the same run."""
MAX_TAKEOVERS = 5
"""How often other attempts may take over a run before this attempt gives up."""


@dataclass(frozen=True)
class Completed:
    """A run that has ended: its result as JSON, or the contract's error."""

    result: Mapping[str, Any] | RunError


@dataclass(frozen=True)
class Abandoned:
    """A run that was accepted by an attempt that is over, and that has no result.

    `session`, if any, was to end with the run and must be stopped.
    """

    uri: str
    session: OwnSession | None


@dataclass
class IdempotencyRecord:
    """The record of a run that this attempt holds. `acquire` returns it.

    Attributes:
        s3: Client for S3.
        address: The object.
        stored: Its content.
        etag: Its ETag.
        deadline: When this attempt ends.
        usage: The calls and seconds that the run took, if they are counted.
        session_may_be_live: Set when a session of the run could not be stopped, so that the next attempt stops it.
    """

    s3: S3Client
    address: S3Object
    stored: StoredRecord
    etag: str
    deadline: Deadline
    session_may_be_live: bool = False
    usage: Mapping[str, Any] | None = None
    is_accepted_twice: bool = False

    @property
    def is_accepted(self) -> bool:
        """Whether the code may have been sent."""
        return self.stored.status is Status.ACCEPTED

    @property
    def client_token(self) -> str:
        """The clientToken for starting a session: a repeated start of the same attempt returns the same session."""
        return self._client_token(self.stored.generation)

    @property
    def abandoned_tokens(self) -> tuple[str, ...]:
        """ClientTokens of earlier attempts that left no result, whose sessions may still be live."""
        return tuple(map(self._client_token, range(self.stored.first_live_generation, self.stored.generation)))

    def _client_token(self, generation: int) -> str:
        """https://docs.aws.amazon.com/bedrock-agentcore/latest/APIReference: 33 to 256 letters, digits and hyphens."""
        return hashlib.sha256(f"{self.address.uri} {generation}".encode()).hexdigest()

    def accept(self, session: OwnSession | None) -> None:
        """Records that the code is about to be sent.

        Args:
            session: The session that ends with the run, if any.

        Raises:
            RunUnderWay: Another attempt has taken the run over. The code must not be sent.
            StorageError: The result of the write is unknown. The code must not be sent.
        """
        expires_in = math.ceil(self.deadline.seconds_left)
        stored = replace(self.stored, status=Status.ACCEPTED, session=session, expires_in_seconds=expires_in)
        etag = write_record(self.s3, self.address, stored, if_match=self.etag)
        if etag is None:
            raise RunUnderWay(f"another attempt has taken over the run at {self.address.uri}; this one sent no code")
        self.stored, self.etag = stored, etag

    def mark_not_accepted(self) -> None:
        """Notes that the service rejected the code, which therefore certainly did not run."""
        self.stored = replace(self.stored, status=Status.CLAIMED, session=None, expires_in_seconds=None)

    def complete(self, *, result: Mapping[str, Any] | None = None, error: RunError | None = None) -> None:
        """Records how the run ended; a run whose code was never accepted is released for other attempts.

        A failed write is only logged: a later attempt then finds the run accepted and treats it as abandoned.
        """
        if result is not None:
            stored = replace(self.stored, status=Status.DONE, result=result, usage=self.usage)
        elif self.is_accepted:
            stored = replace(self.stored, status=Status.DONE, error=_error_to_json(error), usage=self.usage)
        else:
            live_from = self.stored.first_live_generation if self.session_may_be_live else self.stored.generation + 1
            reason = None if error is None else _error_to_json(error)
            stored = replace(self.stored, status=Status.RELEASED, first_live_generation=live_from, error=reason)
        try:
            etag = write_record(self.s3, self.address, stored, if_match=self.etag)
        except StorageError as problem:
            log.warning("idempotency record not completed: %s", problem)
        else:
            if etag is None:
                self.is_accepted_twice = self.is_accepted
                log.warning("idempotency record not completed: another attempt has taken over the run")


def acquire(
    s3: S3Client,
    address: S3Object,
    fingerprints: Sequence[str],
    *,
    retry: tuple[int, int] | None = None,
    wait_until: Deadline,
    deadline: Deadline,
) -> IdempotencyRecord | Completed | Abandoned:
    """Acquires the run at `address` for this attempt, unless it has ended or been accepted.

    While another attempt that accepted the run may be alive, this waits for its result.

    Args:
        s3: Client for S3.
        address: The object of the idempotency record.
        fingerprints: Fingerprints of the request. A run with any of them is the same run; a new run stores the first.
        retry: The numbers of the redrive and of the retry, from Step Functions, which increase with each attempt.
        wait_until: How long to wait for another attempt's result.
        deadline: When this attempt ends in any case.

    Raises:
        InvalidRequest: The run belongs to another item of a Map, or was started with another request.
        RunUnderWay: The other attempt may still be alive at `wait_until`.
        StorageError: S3 failed.
    """
    new = StoredRecord(Status.CLAIMED, secrets.token_hex(16), 1, fingerprints[0], retry=retry)
    if etag := write_record(s3, address, new, if_match=None):
        return IdempotencyRecord(s3, address, new, etag, deadline)
    for _ in range(MAX_TAKEOVERS):
        found = read_record(s3, address)
        if found.record.fingerprint not in fingerprints:
            raise InvalidRequest(
                f"the run at {address.uri} was started with another request, by another item of a Map, by another "
                "round of a loop, or by an earlier execution of that name; allowed: the same request again, or "
                f"{DISTINCT}"
            )
        if retry is not None and found.record.retry is not None and retry <= found.record.retry:
            raise InvalidRequest(
                f"the run at {address.uri} was started by another item of a Map, which entered the state in the same "
                f"millisecond; allowed: {DISTINCT}"
            )
        if found.record.status is Status.ACCEPTED:
            found = _wait_for_result(s3, address, wait_until)
        if found.record.status is Status.DONE:
            return Completed(_result_of(found.record))
        if found.record.status is Status.ACCEPTED:
            return Abandoned(address.uri, found.record.session)
        taken_over = replace(
            new, generation=found.record.generation + 1, first_live_generation=found.record.first_live_generation
        )
        if etag := write_record(s3, address, taken_over, if_match=found.etag):
            return IdempotencyRecord(s3, address, taken_over, etag, deadline)
    raise StorageError(f"{address.uri}: other attempts took over the run {MAX_TAKEOVERS} times in a row")


def _wait_for_result(s3: S3Client, address: S3Object, until: Deadline) -> RecordVersion:
    """Polls an accepted record until its status changes or its attempt is over.

    An attempt whose record has no expiry is treated as over after LEGACY_ATTEMPT_SECONDS, or when no time is left.
    Raises RunUnderWay when no time is left and the attempt may be alive.
    """
    legacy_until = Deadline(min(Deadline.after(LEGACY_ATTEMPT_SECONDS).at, until.at))
    while (found := read_record(s3, address)).record.status is Status.ACCEPTED and not found.expired:
        if found.expired is None and legacy_until.seconds_left < POLL_INTERVAL_SECONDS:
            break
        if until.seconds_left < POLL_INTERVAL_SECONDS:
            raise RunUnderWay(
                f"{address.uri}: an earlier attempt of this run sent the code and may still be running; this attempt "
                "has no time left to wait for its result. It ran no code and stopped no session"
            )
        time.sleep(POLL_INTERVAL_SECONDS)
    return found


def _error_to_json(error: RunError | None) -> dict[str, str]:
    return {"name": type(error).__name__, "message": str(error)}


def _result_of(record: StoredRecord) -> Mapping[str, Any] | RunError:
    if record.result is not None:
        return record.result
    error = record.error or {}
    return ERRORS.get(error.get("name", ""), SessionLost)(error.get("message", "the run ended without a result"))
