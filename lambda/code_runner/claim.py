"""The claim of a run in S3: what makes accepted code run at most once, over every retry and redrive.

A claim is one object that changes by conditional puts alone, `claimed → accepted → done`. `accepted` is written just
before the code is sent, so whoever finds a claim accepted and without a result knows that the code may have run, and
does not send it again. Of two that hold the same run, the one that writes second is refused and sends nothing.

A put that reaches S3 late, after botocore has given it up, does no harm: what it names as the object before it is gone.
"""

from __future__ import annotations

import hashlib
import json
import logging
import secrets
import time
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Self, cast

from botocore.exceptions import ClientError

from code_runner.service_errors import error_code, storage_errors
from sandpiper_contract.errors import ERRORS, InvalidRequest, RunError, SessionLost, StorageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_s3 import S3Client

    from code_runner.deadline import Deadline
    from sandpiper_contract.kinds import S3Object

log = logging.getLogger(__name__)

OTHERS_SECONDS = 30
"""How long a claim that another attempt has had accepted is watched for its result, before the run is lost."""
LOOK_SECONDS = 1.0
TAKEOVERS = 5
"""How often a claim may change hands under the eyes of one attempt."""
WRITES = 3
"""How often one change of a claim is tried, when S3 was writing another or an earlier answer was lost."""
CHANGED = "PreconditionFailed"
CONFLICT = "ConditionalRequestConflict"
"""S3 was writing the object at that moment and asks for the same again.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html"""


class State(StrEnum):
    """What is known of a run."""

    CLAIMED = "claimed"
    RELEASED = "released"
    """The code was not accepted, the run is anybody's again."""
    ACCEPTED = "accepted"
    DONE = "done"


@dataclass(frozen=True)
class OwnSession:
    """A session that ends with the run, so that who finds a run lost can end it."""

    interpreter_id: str
    session_id: str


@dataclass(frozen=True)
class Entry:
    """The claim as it lies in S3.

    `attempt` is random and differs for each invocation. `generation` grows with each attempt that may start a session,
    and the session's clientToken follows from it; sessions of the generations from `unended` on may still be there.
    `request` is the SHA-256 of the operation and its request.
    """

    state: State
    attempt: str
    generation: int
    request: str
    unended: int = 1
    session: OwnSession | None = None
    result: Mapping[str, Any] | None = None
    error: Mapping[str, str] | None = None

    def to_bytes(self) -> bytes:
        """The entry as JSON."""
        session = self.session and {"interpreter": self.session.interpreter_id, "session": self.session.session_id}
        members = {
            "state": self.state.value,
            "attempt": self.attempt,
            "generation": self.generation,
            "request": self.request,
            "unended": self.unended,
            "session": session,
            "result": self.result,
            "error": self.error,
        }
        return json.dumps({name: value for name, value in members.items() if value is not None}).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Reads what `to_bytes` wrote; raises ValueError for anything else."""
        try:
            members = cast("dict[str, Any]", json.loads(data))
            session = members.pop("session", None)
            own = OwnSession(session["interpreter"], session["session"]) if session else None
            state = State(members.pop("state"))
            return cls(state=state, session=own, **members)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not a claim: {error}") from error


@dataclass(frozen=True)
class Settled:
    """A run that has ended before: its result as JSON, or the contract's error."""

    result: Mapping[str, Any] | RunError


@dataclass(frozen=True)
class Lost:
    """A run that was accepted before and has no end. `session` is to be ended, if one was to end with the run."""

    uri: str
    session: OwnSession | None


@dataclass
class Claim:
    """A run that this attempt holds. Get one from `take`."""

    s3: S3Client
    address: S3Object
    entry: Entry
    etag: str
    leaves_a_session: bool = False
    """Set when a session of this run could not be ended, so that the next attempt tries again."""

    @property
    def client_token(self) -> str:
        """For starting a session: the same attempt's repeated start is the same session."""
        return self._client_token(self.entry.generation)

    @property
    def abandoned(self) -> tuple[str, ...]:
        """clientTokens of earlier attempts that ended without a word, whose sessions may still be there."""
        return tuple(map(self._client_token, range(self.entry.unended, self.entry.generation)))

    def _client_token(self, generation: int) -> str:
        """https://docs.aws.amazon.com/bedrock-agentcore/latest/APIReference: 33 to 256 letters, digits and hyphens."""
        return hashlib.sha256(f"{self.address.uri} {generation}".encode()).hexdigest()

    def accept(self, session: OwnSession | None) -> None:
        """Writes that the code is about to be sent. `session` is the one that ends with the run, if any does.

        Raises SessionLost when another attempt has taken the run over, StorageError when nothing is known: the code
        must not be sent in either case.
        """
        entry = replace(self.entry, state=State.ACCEPTED, session=session)
        etag = _put(self.s3, self.address, entry, if_match=self.etag)
        if etag is None:
            raise SessionLost(f"another attempt took the run at {self.address.uri} over; this one sent no code")
        self.entry, self.etag = entry, etag

    def not_accepted(self) -> None:
        """The service refused the code, so that it surely has not run."""
        self.entry = replace(self.entry, state=State.CLAIMED, session=None)

    def settle(self, *, result: Mapping[str, Any] | None = None, error: RunError | None = None) -> None:
        """Writes how the run ended; one whose code was never accepted is anybody's again.

        A failure to write is logged and no more: a later attempt then finds the run accepted and calls it lost.
        """
        if result is not None:
            entry = replace(self.entry, state=State.DONE, result=result)
        elif self.entry.state is State.ACCEPTED:
            entry = replace(self.entry, state=State.DONE, error=_told(error))
        else:
            unended = self.entry.unended if self.leaves_a_session else self.entry.generation + 1
            entry = replace(self.entry, state=State.RELEASED, unended=unended)
        try:
            written = _put(self.s3, self.address, entry, if_match=self.etag)
        except StorageError as problem:
            log.warning("claim not settled: %s", problem)
        else:
            if written is None:
                log.warning("claim not settled: another attempt of the same run took it over")


def take(
    s3: S3Client, address: S3Object, operation: str, request: Mapping[str, Any], deadline: Deadline
) -> Claim | Settled | Lost:
    """Takes the run at `address` for this attempt, unless it has ended or been accepted.

    Raises InvalidRequest when the run was another request's, StorageError when S3 does not answer.
    """
    digest = hashlib.sha256(json.dumps([operation, request], sort_keys=True).encode()).hexdigest()
    entry = Entry(State.CLAIMED, secrets.token_hex(16), 1, digest)
    if etag := _put(s3, address, entry, if_match=None):
        return Claim(s3, address, entry, etag)
    for _ in range(TAKEOVERS):
        found, etag = _get(s3, address)
        if found.request != digest:
            raise InvalidRequest(f"the run at {address.uri} was made with another request; allowed: the same again")
        if found.state is State.ACCEPTED:
            found = _watch(s3, address, deadline)
        if found.state is State.DONE:
            return Settled(_ended(found))
        if found.state is State.ACCEPTED:
            return Lost(address.uri, found.session)
        mine = replace(entry, generation=found.generation + 1, unended=found.unended)
        if taken := _put(s3, address, mine, if_match=etag):
            return Claim(s3, address, mine, taken)
    raise StorageError(f"{address.uri}: the run changed hands {TAKEOVERS} times while it was looked at")


def _watch(s3: S3Client, address: S3Object, deadline: Deadline) -> Entry:
    """Whoever had the run accepted may be about to write its end: looks for it as long as there is time."""
    patience = min(time.monotonic() + OTHERS_SECONDS, deadline.at)
    while (found := _get(s3, address)[0]).state is State.ACCEPTED and time.monotonic() + LOOK_SECONDS < patience:
        time.sleep(LOOK_SECONDS)
    return found


def _put(s3: S3Client, address: S3Object, entry: Entry, *, if_match: str | None) -> str | None:
    """Writes the entry if the object is as it was (`None`: not there) and returns its ETag, or None if it is not.

    botocore repeats a put whose answer was lost, and the second is refused though the first was taken. So what is there
    is looked at: this very entry is a success, and an earlier one of the same attempt is written over.
    """
    for _ in range(WRITES):
        condition: dict[str, Any] = {"IfNoneMatch": "*"} if if_match is None else {"IfMatch": if_match}
        with storage_errors("writing the claim", address.uri):
            try:
                return s3.put_object(
                    Bucket=address.bucket,
                    Key=address.key,
                    Body=entry.to_bytes(),
                    ContentType="application/json",
                    **condition,
                )["ETag"]
            except ClientError as error:
                code = error_code(error)
                if code == CONFLICT:
                    continue
                if code != CHANGED:
                    raise
        found, etag = _get(s3, address)
        if found == entry:
            return etag
        if found.attempt != entry.attempt:
            return None
        if_match = etag
    raise StorageError(f"writing the claim {address.uri}: S3 was writing it each of {WRITES} times")


def _get(s3: S3Client, address: S3Object) -> tuple[Entry, str]:
    with storage_errors("reading the claim", address.uri):
        answer = s3.get_object(Bucket=address.bucket, Key=address.key)
        data = answer["Body"].read()
    try:
        return Entry.from_bytes(data), answer["ETag"]
    except ValueError as error:
        raise StorageError(f"reading the claim {address.uri}: {error}") from error


def _told(error: RunError | None) -> dict[str, str]:
    return {"name": type(error).__name__, "message": str(error)}


def _ended(entry: Entry) -> Mapping[str, Any] | RunError:
    if entry.result is not None:
        return entry.result
    told = entry.error or {}
    return ERRORS.get(told.get("name", ""), SessionLost)(told.get("message", "the run ended without a result"))
