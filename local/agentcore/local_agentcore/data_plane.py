"""The operations of bedrock-agentcore for code interpreters: sessions, and the tools that run in them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .errors import SandboxEndedError, ValidationError
from .faults import SESSION_FAULTS, total_seconds
from .operations import INVOKE
from .paging import page
from .sandbox.guest.frames import FrameError
from .sessions import EndReason, SandboxProvider, Session, Sessions, log
from .tools import TOOLS, Invocation

if TYPE_CHECKING:
    from .assumptions import Assumptions
    from .clock import Clock
    from .faults import Faults
    from .interpreters import Interpreters
    from .sandbox.limits import Limits

DEFAULT_SESSION_SECONDS = 900
ECHOED_MEMBERS = ("certificates", "filesystemConfigurations")
"""Members of StartCodeInterpreterSession that the emulator returns but does not act on."""
Parameters = Mapping[str, Any]


class DataPlane:
    """Implements each operation as a method: members of its input in, members of its output out."""

    def __init__(
        self, interpreters: Interpreters, sessions: Sessions, sandboxes: SandboxProvider, limits: Limits, clock: Clock,
        assumptions: Assumptions, faults: Faults,
    ) -> None:  # fmt: skip
        self._interpreters, self._sessions, self._sandboxes = interpreters, sessions, sandboxes
        self._limits, self._clock, self._assumptions, self._faults = limits, clock, assumptions, faults
        self._dying: set[asyncio.Task[None]] = set()

    async def start_code_interpreter_session(self, parameters: Parameters) -> dict[str, Any]:
        """StartCodeInterpreterSession."""
        interpreter = self._interpreters.get(parameters["codeInterpreterIdentifier"])
        session = await self._sessions.start(
            interpreter,
            self._sandboxes,
            name=parameters.get("name"),
            timeout_seconds=parameters.get("sessionTimeoutSeconds", DEFAULT_SESSION_SECONDS),
            echoed={member: parameters[member] for member in ECHOED_MEMBERS if member in parameters},
        )
        return {
            "codeInterpreterIdentifier": interpreter.identifier,
            "sessionId": session.identifier,
            "createdAt": session.created,
        }

    async def get_code_interpreter_session(self, parameters: Parameters) -> dict[str, Any]:
        """GetCodeInterpreterSession, for live and ended sessions."""
        interpreter = self._interpreters.get(parameters["codeInterpreterIdentifier"])
        session = self._sessions.get(interpreter, parameters["sessionId"])
        return self._summary(session) | {"sessionTimeoutSeconds": session.timeout_seconds} | session.echoed

    async def list_code_interpreter_sessions(self, parameters: Parameters) -> dict[str, Any]:
        """ListCodeInterpreterSessions, newest first, of one status or of both."""
        interpreter = self._interpreters.get(parameters["codeInterpreterIdentifier"])
        status, now = parameters.get("status"), self._clock()
        matching = [session for session in self._sessions.all(interpreter) if status in (None, session.status(now))]
        list_name = f"sessions {interpreter.identifier} {status}"
        sessions, next_token = page(matching, parameters, list_name, self._assumptions, newest_first=True)
        updated = [{"lastUpdatedAt": session.updated or session.created} for session in sessions]
        items = [self._summary(session) | last for session, last in zip(sessions, updated, strict=True)]
        return {"items": items, **next_token}

    async def stop_code_interpreter_session(self, parameters: Parameters) -> dict[str, Any]:
        """StopCodeInterpreterSession. Returns when no process of the session is left."""
        interpreter = self._interpreters.get(parameters["codeInterpreterIdentifier"])
        session = await self._sessions.stop(interpreter, parameters["sessionId"])
        return {
            "codeInterpreterIdentifier": interpreter.identifier,
            "sessionId": session.identifier,
            "lastUpdatedAt": session.updated,
        }

    async def invoke_code_interpreter(self, parameters: Parameters) -> dict[str, Any]:
        """InvokeCodeInterpreter: runs one tool to its end. The response's stream has one event."""
        interpreter = self._interpreters.get(parameters["codeInterpreterIdentifier"])
        if "sessionId" not in parameters:
            raise ValidationError(self._assumptions.session_required)
        tool = TOOLS[parameters["name"]]
        session = await self._sessions.active(interpreter, parameters["sessionId"])
        arguments = parameters.get("arguments", {})
        faults = self._faults.select(SESSION_FAULTS, INVOKE, parameters["name"])
        slow_files = [rule for rule in faults if rule.kind == "slow_file"]
        for rule in faults:
            if rule.kind == "session_dies":
                await self._kill(session, rule.seconds or 0)

        def file_delay(path: str) -> float:
            return total_seconds(rule for rule in slow_files if rule.matches_path(path))

        try:
            result = await tool(Invocation(session.sandbox, self._limits, self._assumptions, arguments, file_delay))
        except SandboxEndedError as error:
            if session.is_live(self._clock()):
                log.error("Session %s: %s", session.identifier, error)
            await self._sessions.end(session, EndReason.FAILED if session.is_live(self._clock()) else EndReason.EXPIRED)
            raise session.ended_error(self._assumptions) from error
        except FrameError as error:
            raise ValidationError(f"The arguments exceed what a sandbox accepts in one call: {error}") from error
        return {"sessionId": session.identifier, "stream": [{"result": result}]}

    async def _kill(self, session: Session, seconds: float) -> None:
        """Ends a session's sandbox as if it failed: before this method returns if `seconds` is 0, else later."""

        async def end_later() -> None:
            await asyncio.sleep(seconds)
            await session.sandbox.end()

        if seconds == 0:
            await session.sandbox.end()
            return
        dying = asyncio.create_task(end_later())
        self._dying.add(dying)
        dying.add_done_callback(self._dying.discard)

    def _summary(self, session: Session) -> dict[str, Any]:
        name = {} if session.name is None else {"name": session.name}
        return name | {
            "codeInterpreterIdentifier": session.interpreter.identifier,
            "sessionId": session.identifier,
            "status": session.status(self._clock()),
            "createdAt": session.created,
        }
