"""The idempotency record as JSON in S3, and its reads and conditional writes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Self, cast

from botocore.exceptions import ClientError

from code_runner.agentcore.service_errors import error_code, storage_errors
from sandpiper_contract.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_s3 import S3Client

    from sandpiper_contract.s3_objects import S3Object

CLOCK_SKEW_SECONDS = 5
"""S3 reports whole seconds, and the clocks of its hosts may differ slightly; an attempt is certainly over this much
later."""
MAX_WRITE_ATTEMPTS = 3
"""Maximum number of attempts to write one change when S3 reports a concurrent write or an earlier response was lost."""
PRECONDITION_FAILED = "PreconditionFailed"
CONFLICT = "ConditionalRequestConflict"
"""S3 received a concurrent write of the object; the request must be repeated.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html"""


class Status(StrEnum):
    """The state of a run."""

    CLAIMED = "claimed"
    RELEASED = "released"
    """The code was not accepted; any attempt may acquire the run."""
    ACCEPTED = "accepted"
    DONE = "done"


@dataclass(frozen=True)
class OwnSession:
    """A session that ends with the run. An attempt that finds the run abandoned can stop it."""

    interpreter_id: str
    session_id: str


@dataclass(frozen=True)
class StoredRecord:
    """The content of an idempotency record.

    Attributes:
        status: The state of the run; `state` in JSON.
        attempt: A random identifier of the invocation that wrote the record.
        generation: Counts the attempts that may have started a session. A session's clientToken derives from it.
        fingerprint: The fingerprint of the request; `request` in JSON.
        retry: The numbers of the redrive and of the retry, from Step Functions, if the event has them.
        first_live_generation: Sessions of this and later generations may still be live; `unended` in JSON.
        expires_in_seconds: Set with `accepted`. This many seconds after the write, the attempt has ended or Lambda has
            ended it; `over_in` in JSON.
        session: The session that ends with the run.
        result: The result as JSON, with `done`.
        error: Name and message of the error, with `done` and `released`.
        usage: In a batch, the calls to AgentCore and the seconds that the run took, in total and between calls.
    """

    status: Status
    attempt: str
    generation: int
    fingerprint: str
    first_live_generation: int = 1
    expires_in_seconds: int | None = None
    session: OwnSession | None = None
    result: Mapping[str, Any] | None = None
    error: Mapping[str, str] | None = None
    retry: tuple[int, int] | None = None
    usage: Mapping[str, Any] | None = None

    def to_bytes(self) -> bytes:
        """Returns the record as JSON."""
        session = self.session and {"interpreter": self.session.interpreter_id, "session": self.session.session_id}
        values = {name: getattr(self, attribute) for name, attribute in _ATTRIBUTES.items()} | {"session": session}
        return json.dumps({name: value for name, value in values.items() if value is not None}).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Reads the JSON that `to_bytes` wrote. Raises ValueError for anything else."""
        try:
            values = cast("dict[str, Any]", json.loads(data))
            session = values.pop("session", None)
            retry = values.pop("retry", None)
            own = OwnSession(session["interpreter"], session["session"]) if session else None
            status = Status(values.pop("state"))
            return cls(
                status=status,
                session=own,
                retry=retry and (int(retry[0]), int(retry[1])),
                **{_ATTRIBUTES[name]: value for name, value in values.items()},
            )
        except (KeyError, IndexError, TypeError, AttributeError) as error:
            raise ValueError(f"not an idempotency record: {error}") from error


_ATTRIBUTES = {
    "state": "status",
    "attempt": "attempt",
    "generation": "generation",
    "request": "fingerprint",
    "unended": "first_live_generation",
    "over_in": "expires_in_seconds",
    "session": "session",
    "result": "result",
    "error": "error",
    "retry": "retry",
    "usage": "usage",
}
"""The attribute for each JSON key, in the order of the JSON."""


@dataclass(frozen=True)
class RecordVersion:
    """A record as read from S3, with the object's ETag and its age in seconds by S3's clock."""

    record: StoredRecord
    etag: str
    age_seconds: float

    @property
    def expired(self) -> bool | None:
        """Whether the attempt that wrote the record has certainly ended; None if the record has no expiry."""
        expires_in = self.record.expires_in_seconds
        return None if expires_in is None else self.age_seconds >= expires_in + CLOCK_SKEW_SECONDS


def read_record(s3: S3Client, address: S3Object) -> RecordVersion:
    """Reads the record. Raises StorageError."""
    with storage_errors("reading the idempotency record", address.uri):
        response = s3.get_object(Bucket=address.bucket, Key=address.key)
        data = response["Body"].read()
    try:
        # Both times are S3's. https://docs.aws.amazon.com/AmazonS3/latest/API/RESTCommonResponseHeaders.html
        now = parsedate_to_datetime(response["ResponseMetadata"]["HTTPHeaders"]["date"])
        age = (now - response["LastModified"]).total_seconds()
        return RecordVersion(StoredRecord.from_bytes(data), response["ETag"], age)
    except (KeyError, ValueError) as error:
        raise StorageError(f"reading the idempotency record {address.uri}: {error}") from error


def write_record(s3: S3Client, address: S3Object, record: StoredRecord, *, if_match: str | None) -> str | None:
    """Writes the record if the object has not changed.

    botocore repeats a write whose response was lost, and S3 rejects the repetition although the first write succeeded.
    So a rejected write reads the object: this very record is a success, and an earlier record of the same attempt is
    overwritten.

    Args:
        s3: Client for S3.
        address: The object.
        record: The new record.
        if_match: The ETag that the object must have; None if the object must not exist.

    Returns:
        The new ETag, or None if the object has changed.

    Raises:
        StorageError: The result of the write is unknown.
    """
    for _ in range(MAX_WRITE_ATTEMPTS):
        condition: dict[str, Any] = {"IfNoneMatch": "*"} if if_match is None else {"IfMatch": if_match}
        with storage_errors("writing the idempotency record", address.uri):
            try:
                return s3.put_object(
                    Bucket=address.bucket,
                    Key=address.key,
                    Body=record.to_bytes(),
                    ContentType="application/json",
                    **condition,
                )["ETag"]
            except ClientError as error:
                code = error_code(error)
                if code == CONFLICT:
                    continue
                if code != PRECONDITION_FAILED:
                    raise
        found = read_record(s3, address)
        if found.record == record:
            return found.etag
        if found.record.attempt != record.attempt:
            return None
        if_match = found.etag
    raise StorageError(
        f"writing the idempotency record {address.uri}: S3 reported a concurrent write in each of "
        f"{MAX_WRITE_ATTEMPTS} attempts"
    )
