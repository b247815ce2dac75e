"""The claim of a run in S3: what makes accepted code run at most once, over every retry and redrive.

A claim is one object that changes by conditional puts alone, `claimed → accepted → done`. `accepted` is written just
before the code is sent, so whoever finds a claim accepted and without a result knows that the code may have run, and
does not send it again. Of two that hold the same run, the one that writes second is refused and sends nothing.

With `accepted` goes how long its attempt may live, so that a second attempt waits for the result as long as one may
come. That time is measured by S3's clock alone, from the object's `Last-Modified` to the `Date` of the answer that
shows it: no clock of a function is compared with another's.

A put that reaches S3 late, after botocore has given it up, does no harm: what it names as the object before it is gone.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import secrets
import time
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Self, cast

from botocore.exceptions import ClientError

from code_runner.agentcore.deadline import Deadline
from code_runner.agentcore.service_errors import error_code, storage_errors
from sandpiper_contract.errors import ERRORS, InvalidRequest, RunError, RunUnderWay, SessionLost, StorageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mypy_boto3_s3 import S3Client

    from sandpiper_contract.s3_objects import S3Object

log = logging.getLogger(__name__)

OTHERS_SECONDS = 30
"""How long a claim is watched for its result that does not say how long its attempt may live, as older ones do not."""
CLOCKS_SECONDS = 5
"""S3 tells whole seconds, and its hosts' clocks may differ a little: so much later an attempt is over for certain."""
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
    `request` is the digest of what was asked. `over_in` goes with `accepted`: so many seconds after this was written
    its attempt has ended, or Lambda has ended it.
    """

    state: State
    attempt: str
    generation: int
    request: str
    unended: int = 1
    over_in: int | None = None
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
            "over_in": self.over_in,
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
class _Found:
    """An entry as S3 gave it, with the object's ETag and its age in seconds by S3's clock."""

    entry: Entry
    etag: str
    age: float

    @property
    def over(self) -> bool | None:
        """Whether the attempt that wrote it has ended for certain; None where that is not told."""
        return None if self.entry.over_in is None else self.age >= self.entry.over_in + CLOCKS_SECONDS


@dataclass(frozen=True)
class Settled:
    """A run that has ended before: its result as JSON, or the contract's error."""

    result: Mapping[str, Any] | RunError


@dataclass(frozen=True)
class Lost:
    """A run that was accepted by an attempt that is over, and has no end.

    `session` is to be ended, if one was to end with the run.
    """

    uri: str
    session: OwnSession | None


@dataclass
class Claim:
    """A run that this attempt holds, which is over at `end`. Get one from `take`."""

    s3: S3Client
    address: S3Object
    entry: Entry
    etag: str
    end: Deadline
    leaves_a_session: bool = False
    """Set when a session of this run could not be ended, so that the next attempt tries again."""

    @property
    def client_token(self) -> str:
        """For starting a session: the same attempt's repeated start is the same session."""
        return self._client_token(self.entry.generation)

    @property
    def abandoned(self) -> tuple[str, ...]:
        """ClientTokens of earlier attempts that ended without a word, whose sessions may still be there."""
        return tuple(map(self._client_token, range(self.entry.unended, self.entry.generation)))

    def _client_token(self, generation: int) -> str:
        """https://docs.aws.amazon.com/bedrock-agentcore/latest/APIReference: 33 to 256 letters, digits and hyphens."""
        return hashlib.sha256(f"{self.address.uri} {generation}".encode()).hexdigest()

    def accept(self, session: OwnSession | None) -> None:
        """Writes that the code is about to be sent. `session` is the one that ends with the run, if any does.

        Raises SessionLost when another attempt has taken the run over, StorageError when nothing is known: the code
        must not be sent in either case.
        """
        over_in = math.ceil(self.end.seconds_left)
        entry = replace(self.entry, state=State.ACCEPTED, session=session, over_in=over_in)
        etag = _put(self.s3, self.address, entry, if_match=self.etag)
        if etag is None:
            raise SessionLost(f"another attempt took the run at {self.address.uri} over; this one sent no code")
        self.entry, self.etag = entry, etag

    def not_accepted(self) -> None:
        """The service refused the code, so that it surely has not run."""
        self.entry = replace(self.entry, state=State.CLAIMED, session=None, over_in=None)

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
    s3: S3Client, address: S3Object, requests: Sequence[str], *, watch_until: Deadline, end: Deadline
) -> Claim | Settled | Lost:
    """Takes the run at `address` for this attempt, unless it has ended or been accepted.

    `requests` are digests of what is asked, and a run that has any of them is the same; a new one is given the first.
    While another attempt lives that had the run accepted, its result is waited for until `watch_until`. `end` is when
    this attempt is over, whatever happens.

    Raises InvalidRequest when the run was another request's, RunUnderWay when the other attempt may still live at
    `watch_until`, StorageError when S3 does not answer.
    """
    entry = Entry(State.CLAIMED, secrets.token_hex(16), 1, requests[0])
    if etag := _put(s3, address, entry, if_match=None):
        return Claim(s3, address, entry, etag, end)
    for _ in range(TAKEOVERS):
        found = _get(s3, address)
        if found.entry.request not in requests:
            raise InvalidRequest(
                f"the run at {address.uri} was made with another request, or by an earlier execution of that name; "
                "allowed: the same again"
            )
        if found.entry.state is State.ACCEPTED:
            found = _watched(s3, address, watch_until)
        if found.entry.state is State.DONE:
            return Settled(_ended(found.entry))
        if found.entry.state is State.ACCEPTED:
            return Lost(address.uri, found.entry.session)
        mine = replace(entry, generation=found.entry.generation + 1, unended=found.entry.unended)
        if taken := _put(s3, address, mine, if_match=found.etag):
            return Claim(s3, address, mine, taken, end)
    raise StorageError(f"{address.uri}: the run changed hands {TAKEOVERS} times while it was looked at")


def _watched(s3: S3Client, address: S3Object, until: Deadline) -> _Found:
    """A run that was accepted, once it is otherwise or its attempt is over. Raises RunUnderWay when there is no time.

    An attempt that does not say when it is over is taken to be after OTHERS_SECONDS, or when there is no time.
    """
    patience = Deadline(min(Deadline.after(OTHERS_SECONDS).at, until.at))
    while (found := _get(s3, address)).entry.state is State.ACCEPTED and not found.over:
        if found.over is None and patience.seconds_left < LOOK_SECONDS:
            break
        if until.seconds_left < LOOK_SECONDS:
            raise RunUnderWay(
                f"{address.uri}: an earlier attempt of this run sent the code and may still live; this one has no time "
                "left to wait for its result, and has run and stopped nothing"
            )
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
        found = _get(s3, address)
        if found.entry == entry:
            return found.etag
        if found.entry.attempt != entry.attempt:
            return None
        if_match = found.etag
    raise StorageError(f"writing the claim {address.uri}: S3 was writing it each of {WRITES} times")


def _get(s3: S3Client, address: S3Object) -> _Found:
    with storage_errors("reading the claim", address.uri):
        answer = s3.get_object(Bucket=address.bucket, Key=address.key)
        data = answer["Body"].read()
    try:
        # Both times are S3's own. https://docs.aws.amazon.com/AmazonS3/latest/API/RESTCommonResponseHeaders.html
        now = parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])
        age = (now - answer["LastModified"]).total_seconds()
        return _Found(Entry.from_bytes(data), answer["ETag"], age)
    except (KeyError, ValueError) as error:
        raise StorageError(f"reading the claim {address.uri}: {error}") from error


def _told(error: RunError | None) -> dict[str, str]:
    return {"name": type(error).__name__, "message": str(error)}


def _ended(entry: Entry) -> Mapping[str, Any] | RunError:
    if entry.result is not None:
        return entry.result
    told = entry.error or {}
    return ERRORS.get(told.get("name", ""), SessionLost)(told.get("message", "the run ended without a result"))
