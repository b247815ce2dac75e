"""Sessions: each holds one sandbox from its start to its end. A session's lifetime is hard, whatever its activity."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections import Counter, OrderedDict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from typing import TYPE_CHECKING, Any, Protocol

from .errors import (
    ConflictError,
    InternalServerError,
    ResourceNotFoundError,
    SandboxUnavailableError,
    ServiceQuotaExceededError,
    ValidationError,
)
from .identifiers import session_id

if TYPE_CHECKING:
    from .assumptions import Assumptions
    from .clock import Clock
    from .interpreters import Interpreter
    from .sandbox.host import Sandbox

MAX_REMEMBERED_SESSIONS = 10_000
EXPIRY_SCAN_SECONDS = 0.2

log = logging.getLogger(__name__)


class Sandboxes(Protocol):
    """Where started sandboxes come from."""

    async def acquire_sandbox(self, interpreter: Interpreter) -> Sandbox:
        """Returns one that a session of the interpreter owns from here on."""
        ...

    def connect(self, session: Session) -> None:
        """Has the network of a session's sandbox served, as the session's."""
        ...


class Ending(Enum):
    """Why a session is over."""

    STOPPED = "stopped"
    EXPIRED = "expired"
    FAILED = "failed"


@dataclass
class Session:
    """One session. Without an `ending` it is live."""

    number: int
    identifier: str
    interpreter: Interpreter
    name: str | None
    timeout_seconds: int
    created: datetime
    sandbox: Sandbox = field(repr=False)
    recorded: dict[str, Any]
    ending: Ending | None = None
    updated: datetime | None = None

    @property
    def expires(self) -> datetime:
        """Returns when its lifetime is over: counted from its start, not from its last use."""
        return self.created + timedelta(seconds=self.timeout_seconds)

    def is_live(self, now: datetime) -> bool:
        """Whether it has neither been ended nor outlived its time."""
        return self.ending is None and now < self.expires

    def status(self, now: datetime) -> str:
        """Returns the model's CodeInterpreterSessionStatus."""
        return "READY" if self.is_live(now) else "TERMINATED"

    def cut_short(self, assumptions: Assumptions) -> Exception:
        """Returns the error for a call that was running when the session ended, or found it ended."""
        match self.ending:
            case Ending.STOPPED:
                return ConflictError(assumptions.session_terminated.format(identifier=self.identifier))
            case Ending.FAILED:
                return InternalServerError(assumptions.session_failed.format(identifier=self.identifier))
            case _:
                return not_active(self.identifier)


def not_active(identifier: str) -> ValidationError:
    """Returns the service's error for a session that was stopped or has expired, in its own words."""
    return ValidationError(f"Code interpreter session {identifier} is not active")


class Sessions:
    """Starts, finds, lists and ends sessions."""

    def __init__(self, *, maximum: int, clock: Clock, assumptions: Assumptions) -> None:
        self._maximum, self._clock, self._assumptions = maximum, clock, assumptions
        self._by_id: OrderedDict[str, Session] = OrderedDict()
        self._starting: Counter[str] = Counter()
        self._numbers = itertools.count()
        self._expiring: asyncio.Task[None] | None = None
        self._closed = False

    async def start(
        self, interpreter: Interpreter, sandboxes: Sandboxes, *, name: str | None, timeout_seconds: int,
        recorded: dict[str, Any],
    ) -> Session:  # fmt: skip
        """Starts a session.

        Raises:
            ServiceQuotaExceededError: as many as allowed are live.
            SandboxUnavailableError: no sandbox can be started, or all is about to end.
        """
        if self.count() >= self._maximum:
            raise ServiceQuotaExceededError(self._assumptions.sessions_exceeded.format(maximum=self._maximum))
        self._starting[interpreter.identifier] += 1
        try:
            sandbox = await sandboxes.acquire_sandbox(interpreter)
        finally:
            self._starting[interpreter.identifier] -= 1
        if self._closed:
            await sandbox.end()
            raise SandboxUnavailableError("the emulator is ending", "Start it again")
        now = self._clock()
        session = Session(
            next(self._numbers), session_id(now), interpreter, name, timeout_seconds, now, sandbox, recorded
        )
        self._by_id[session.identifier] = session
        sandboxes.connect(session)
        self._forget_old()
        log.info("Session %s of %s started, for %d s", session.identifier, interpreter.identifier, timeout_seconds)
        return session

    def get(self, interpreter: Interpreter, identifier: str) -> Session:
        """Returns a session, live or not.

        Raises:
            ResourceNotFoundError: the interpreter never had it, or long ago.
        """
        session = self._by_id.get(identifier)
        if session is None or session.interpreter.identifier != interpreter.identifier:
            raise ResourceNotFoundError(self._assumptions.session_not_found.format(identifier=identifier))
        return session

    async def active(self, interpreter: Interpreter, identifier: str) -> Session:
        """Returns a live session.

        Raises:
            ResourceNotFoundError: as in `get`.
            ValidationError: it has ended.
        """
        session = self.get(interpreter, identifier)
        await self._end_if_due(session)
        if session.ending is not None:
            raise not_active(identifier)
        return session

    async def stop(self, interpreter: Interpreter, identifier: str) -> Session:
        """Ends a session at its owner's wish.

        Raises:
            ResourceNotFoundError: as in `get`.
            ConflictError: it has ended before.
        """
        session = self.get(interpreter, identifier)
        await self._end_if_due(session)
        if session.ending is not None:
            raise ConflictError(f"Session already terminated: {identifier}")
        await self.end(session, Ending.STOPPED)
        return session

    async def end_by_id(self, identifier: str) -> None:
        """Ends a session, whoever's it is; one that has ended, or never was, is left alone."""
        session = self._by_id.get(identifier)
        if session is not None and session.ending is None:
            await self.end(session, Ending.STOPPED)

    async def end(self, session: Session, ending: Ending) -> None:
        """Ends a session and its sandbox."""
        if session.ending is None:
            session.ending, session.updated = ending, self._clock()
            log.info("Session %s %s", session.identifier, ending.value)
        await session.sandbox.end()

    def count(self, interpreter: Interpreter | None = None) -> int:
        """Returns how many sessions are live or about to be, of one interpreter or of all."""
        starting = self._starting.total() if interpreter is None else self._starting[interpreter.identifier]
        return len(self.live(interpreter)) + starting

    def live(self, interpreter: Interpreter | None = None) -> list[Session]:
        """Returns the live sessions, of one interpreter or of all."""
        now = self._clock()
        return [session for session in self.all(interpreter) if session.is_live(now)]

    def all(self, interpreter: Interpreter | None = None) -> list[Session]:
        """Returns the sessions that are remembered, newest first."""
        return [
            session
            for session in reversed(self._by_id.values())
            if interpreter is None or session.interpreter.identifier == interpreter.identifier
        ]

    def watch_expiry(self) -> None:
        """Begins to end sessions whose lifetime is over, whether or not somebody asks for them."""
        self._expiring = asyncio.create_task(self._expire())

    async def close(self) -> None:
        """Ends all sessions. Those that are being started end as soon as they have."""
        self._closed = True
        if self._expiring is not None:
            self._expiring.cancel()
        unended = [session for session in self._by_id.values() if session.ending is None]
        await asyncio.gather(*(self.end(session, Ending.STOPPED) for session in unended))

    async def expire(self) -> None:
        """Ends the sessions whose lifetime is over, and those whose sandbox has ended by itself."""
        unended = [session for session in self._by_id.values() if session.ending is None]
        await asyncio.gather(*(self._end_if_due(session) for session in unended))

    async def _expire(self) -> None:
        while True:
            await asyncio.sleep(EXPIRY_SCAN_SECONDS)
            try:
                await self.expire()
            except Exception:  # one session that does not end well must not have the others live for ever
                log.exception("A session did not end as it should")

    async def _end_if_due(self, session: Session) -> None:
        if session.ending is None and self._clock() >= session.expires:
            await self.end(session, Ending.EXPIRED)
        elif session.ending is None and not session.sandbox.alive:
            await self.end(session, Ending.FAILED)

    def _forget_old(self) -> None:
        ended = [session.identifier for session in self._by_id.values() if session.ending is not None]
        for identifier in ended[: max(0, len(self._by_id) - MAX_REMEMBERED_SESSIONS)]:
            del self._by_id[identifier]
