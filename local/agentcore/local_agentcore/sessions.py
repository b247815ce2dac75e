"""Sessions. Each owns one sandbox from start to end. Activity does not extend a session's lifetime."""

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
from .identifiers import new_session_id

if TYPE_CHECKING:
    from .assumptions import Assumptions
    from .clock import Clock
    from .interpreters import Interpreter
    from .network.role import SessionRole
    from .sandbox.host import Sandbox

MAX_REMEMBERED_SESSIONS = 10_000
EXPIRY_SCAN_SECONDS = 0.2
CLOSE_POLL_SECONDS = 0.01

log = logging.getLogger(__name__)


class SandboxProvider(Protocol):
    """The source of started sandboxes."""

    async def acquire_sandbox(self, interpreter: Interpreter) -> Sandbox:
        """Returns a sandbox, which the caller owns, for a session of the interpreter."""
        ...

    def connect(self, session: Session) -> None:
        """Serves the network of a session's sandbox."""
        ...


class SessionObserver(Protocol):
    """Is notified of the start and the end of sessions."""

    def session_started(self, session: Session) -> None:
        """A session has started."""
        ...

    def session_ending(self, session: Session, *, has_expired: bool) -> None:
        """A session ends. Its sandbox still runs, unless it failed."""
        ...


class EndReason(Enum):
    """The reason why a session ended."""

    STOPPED = "stopped"
    EXPIRED = "expired"
    FAILED = "failed"


@dataclass
class Session:
    """One session.

    Attributes:
        number: The order of creation.
        echoed: Members of the request that the emulator returns but does not act on.
        end_reason: Why the session ended, or None.
        updated: When the session ended.
        role: The credentials of its code. None: its interpreter has no execution role.
    """

    number: int
    identifier: str
    interpreter: Interpreter
    name: str | None
    timeout_seconds: int
    created: datetime
    sandbox: Sandbox = field(repr=False)
    echoed: dict[str, Any]
    end_reason: EndReason | None = None
    updated: datetime | None = None
    role: SessionRole | None = field(default=None, repr=False)

    @property
    def expires(self) -> datetime:
        """Returns when the session expires, counted from its start."""
        return self.created + timedelta(seconds=self.timeout_seconds)

    def is_live(self, now: datetime) -> bool:
        """Whether the session has neither ended nor expired."""
        return self.end_reason is None and now < self.expires

    def status(self, now: datetime) -> str:
        """Returns the model's CodeInterpreterSessionStatus."""
        return "READY" if self.is_live(now) else "TERMINATED"

    def ended_error(self, assumptions: Assumptions) -> Exception:
        """Returns the error of a call during which the session ended."""
        match self.end_reason:
            case EndReason.STOPPED:
                return ConflictError(assumptions.session_terminated.format(identifier=self.identifier))
            case EndReason.FAILED:
                message = assumptions.session_failed.format(identifier=self.identifier)
                reason = self.sandbox.end_reason
                return InternalServerError(message if reason is None else f"{message}: {reason}")
            case _:
                return not_active_error(self.identifier)


def not_active_error(identifier: str) -> ValidationError:
    """Returns the service's error for a stopped or expired session, with the service's message."""
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
        self.observer: SessionObserver | None = None

    async def start(
        self, interpreter: Interpreter, sandboxes: SandboxProvider, *, name: str | None, timeout_seconds: int,
        echoed: dict[str, Any],
    ) -> Session:  # fmt: skip
        """Starts a session.

        Raises:
            ServiceQuotaExceededError: The quota of live sessions is used up.
            SandboxUnavailableError: No sandbox can be started, or the emulator is closing.
        """
        if self.count() >= self._maximum:
            raise ServiceQuotaExceededError(self._assumptions.sessions_exceeded.format(maximum=self._maximum))
        self._starting[interpreter.identifier] += 1
        try:
            sandbox = await sandboxes.acquire_sandbox(interpreter)
            if self._closed:
                await sandbox.end()
                raise SandboxUnavailableError("the emulator is ending", "Start it again")
            now = self._clock()
            session = Session(
                next(self._numbers), new_session_id(now), interpreter, name, timeout_seconds, now, sandbox, echoed
            )
            self._by_id[session.identifier] = session
        finally:
            self._starting[interpreter.identifier] -= 1
        sandboxes.connect(session)
        if self.observer is not None:
            self.observer.session_started(session)
        self._forget_old()
        log.info("Session %s of %s started, for %d s", session.identifier, interpreter.identifier, timeout_seconds)
        return session

    def get(self, interpreter: Interpreter, identifier: str) -> Session:
        """Returns a live or ended session.

        Raises:
            ResourceNotFoundError: The interpreter never had this session, or the emulator has forgotten it.
        """
        session = self._by_id.get(identifier)
        if session is None or session.interpreter.identifier != interpreter.identifier:
            raise ResourceNotFoundError(self._assumptions.session_not_found.format(identifier=identifier))
        return session

    async def active(self, interpreter: Interpreter, identifier: str) -> Session:
        """Returns a live session.

        Raises:
            ResourceNotFoundError: The interpreter has no such session.
            ValidationError: The session has ended.
        """
        session = self.get(interpreter, identifier)
        await self._end_if_due(session)
        if session.end_reason is not None:
            raise not_active_error(identifier)
        return session

    async def stop(self, interpreter: Interpreter, identifier: str) -> Session:
        """Stops a session.

        Raises:
            ResourceNotFoundError: The interpreter has no such session.
            ConflictError: The session has already ended.
        """
        session = self.get(interpreter, identifier)
        await self._end_if_due(session)
        if session.end_reason is not None:
            raise ConflictError(f"Session already terminated: {identifier}")
        await self.end(session, EndReason.STOPPED)
        return session

    async def end_by_id(self, identifier: str) -> None:
        """Ends a session of any interpreter. Does nothing if it has ended or does not exist."""
        session = self._by_id.get(identifier)
        if session is not None and session.end_reason is None:
            await self.end(session, EndReason.STOPPED)

    async def end(self, session: Session, reason: EndReason) -> None:
        """Ends a session and its sandbox, then revokes its credentials."""
        if session.end_reason is None:
            session.end_reason, session.updated = reason, self._clock()
            log.info("Session %s %s", session.identifier, session.sandbox.end_reason or reason.value)
            if self.observer is not None and not self._closed:
                self.observer.session_ending(session, has_expired=reason is EndReason.EXPIRED)
        await session.sandbox.end()
        if session.role is not None and not self._closed:  # when the emulator ends, so does the authorizer
            await session.role.revoke()

    def count(self, interpreter: Interpreter | None = None) -> int:
        """Returns the number of live and starting sessions, of one interpreter or of all."""
        starting = self._starting.total() if interpreter is None else self._starting[interpreter.identifier]
        return len(self.live(interpreter)) + starting

    def live(self, interpreter: Interpreter | None = None) -> list[Session]:
        """Returns the live sessions, of one interpreter or of all."""
        now = self._clock()
        return [session for session in self.all(interpreter) if session.is_live(now)]

    def all(self, interpreter: Interpreter | None = None) -> list[Session]:
        """Returns the live and the remembered sessions, newest first."""
        return [
            session
            for session in reversed(self._by_id.values())
            if interpreter is None or session.interpreter.identifier == interpreter.identifier
        ]

    def watch_expiry(self) -> None:
        """Starts a task that ends sessions when they expire."""
        self._expiring = asyncio.create_task(self._expire())

    async def close(self) -> None:
        """Ends all sessions and waits for their end. A session that is starting ends once it has started."""
        self._closed = True
        if self._expiring is not None:
            self._expiring.cancel()
        remaining = [session for session in self._by_id.values() if not session.sandbox.ended]
        await asyncio.gather(*(self.end(session, EndReason.STOPPED) for session in remaining))
        while self._starting.total():
            await asyncio.sleep(CLOSE_POLL_SECONDS)

    async def expire(self) -> None:
        """Ends the sessions that have expired and those whose sandbox has ended."""
        open_sessions = [session for session in self._by_id.values() if session.end_reason is None]
        await asyncio.gather(*(self._end_if_due(session) for session in open_sessions))

    async def _expire(self) -> None:
        while True:
            await asyncio.sleep(EXPIRY_SCAN_SECONDS)
            try:
                await self.expire()
            except Exception:  # a session that fails to end must not keep the others alive
                log.exception("A session failed to end")

    async def _end_if_due(self, session: Session) -> None:
        if session.end_reason is None and self._clock() >= session.expires:
            await self.end(session, EndReason.EXPIRED)
        elif session.end_reason is None and not session.sandbox.alive:
            await self.end(session, EndReason.FAILED)

    def _forget_old(self) -> None:
        ended = [session.identifier for session in self._by_id.values() if session.end_reason is not None]
        for identifier in ended[: max(0, len(self._by_id) - MAX_REMEMBERED_SESSIONS)]:
            del self._by_id[identifier]
