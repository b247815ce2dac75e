"""One emulator: its interpreters, its sessions, where their sandboxes come from, and the table of its operations."""

from __future__ import annotations

import logging
import os
import shutil
import stat
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from .authorizer import Authorizer
from .clock import Clock, MovableClock, system_clock
from .control_plane import ControlPlane
from .data_plane import DataPlane
from .errors import InternalServerError, SandboxUnavailableError
from .faults import Faults
from .health import health
from .idempotency import Idempotency
from .interpreters import SANDBOX, Interpreter, Interpreters
from .network.networks import Networks
from .permissions import Permissions
from .sandbox.blueprint import Blueprint
from .sandbox.cgroups import MEMORY, ControlGroups, find_control_groups
from .sandbox.host import Sandbox
from .sandbox.pool import Pool
from .sandbox.preflight import require_linux
from .sandbox.sweep import emulator_name, sweep
from .sessions import Session, Sessions
from .throttle import Throttle

if TYPE_CHECKING:
    from datetime import datetime

    from .settings import Settings

Operation = Callable[[Mapping[str, Any]], Awaitable[dict[str, Any]]]

log = logging.getLogger(__name__)


class Emulator:
    """Start it with `open`, call its `operations`, end it with `close`.

    Where code cannot be isolated it opens all the same, and refuses to start sessions. It never runs code otherwise.
    """

    def __init__(self, settings: Settings, clock: Clock = system_clock) -> None:
        self.settings = settings
        self._clock = clock = MovableClock(clock)
        quotas, assumptions = settings.quotas, settings.assumptions
        self.interpreters = Interpreters(
            account=settings.account,
            region=settings.region,
            maximum=quotas.interpreters,
            clock=clock,
            assumptions=assumptions,
        )
        self.sessions = Sessions(maximum=quotas.sessions, clock=clock, assumptions=assumptions)
        self.authorizer = None if settings.authorizer is None else Authorizer(*settings.authorizer)
        self.permissions = Permissions(self.authorizer, self.interpreters, assumptions)
        self.unavailable: SandboxUnavailableError | None = SandboxUnavailableError(
            "the emulator has not started", "Wait"
        )
        self.groups = ControlGroups()
        self._directory = settings.state / emulator_name()
        self._networks = Networks(settings.network, settings.region, self.authorizer)
        self._pools: dict[str, Pool] = {}
        self._idempotency = Idempotency(clock, assumptions)
        self.faults = Faults()
        self._throttle = Throttle(quotas.calls_per_second, clock, assumptions)
        control = ControlPlane(self.interpreters, self.sessions, clock, assumptions)
        data = DataPlane(self.interpreters, self.sessions, self, settings.limits, clock, assumptions, self.faults)
        self.operations: Mapping[str, Operation] = {
            "CreateCodeInterpreter": control.create_code_interpreter,
            "GetCodeInterpreter": control.get_code_interpreter,
            "ListCodeInterpreters": control.list_code_interpreters,
            "DeleteCodeInterpreter": control.delete_code_interpreter,
            "TagResource": control.tag_resource,
            "UntagResource": control.untag_resource,
            "ListTagsForResource": control.list_tags_for_resource,
            "StartCodeInterpreterSession": data.start_code_interpreter_session,
            "GetCodeInterpreterSession": data.get_code_interpreter_session,
            "ListCodeInterpreterSessions": data.list_code_interpreter_sessions,
            "StopCodeInterpreterSession": data.stop_code_interpreter_session,
            "InvokeCodeInterpreter": data.invoke_code_interpreter,
        }

    async def open(self) -> None:
        """Clears away what dead emulators left, and finds out by trying whether sandboxes start here."""
        try:
            require_linux()
            self._clear_away()
            self._make_directory()
            blueprint = self._blueprint(SANDBOX)
            pool = Pool(blueprint, self.settings.pool)
            first = await Sandbox.start(blueprint)
        except SandboxUnavailableError as error:
            self.unavailable = error
        else:
            self.unavailable = None
            self._pools[SANDBOX] = pool
            if self.settings.pool:
                pool.add(first)
                pool.fill()
            else:
                await first.end()
        self.sessions.watch_expiry()

    def _clear_away(self) -> None:
        groups = find_control_groups(f"{emulator_name()}-probe", self.settings.limits)
        for name in sweep(self.settings.state, groups):
            log.info("Removed %s, which an emulator that was killed had left", name)
        self.groups = groups if self.settings.memory_by == "auto" else groups.without(MEMORY)

    def _make_directory(self) -> None:
        state = self.settings.state
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        if state.stat().st_uid != os.geteuid() and state.parent.stat().st_mode & stat.S_IWOTH:
            raise SandboxUnavailableError(f"{state} belongs to another user", "Choose another folder with --state")
        try:
            self._directory.mkdir()
        except OSError as error:
            reason = f"{state} takes no folder: {error.strerror}"
            raise SandboxUnavailableError(reason, "Choose another folder with --state") from error

    def _blueprint(self, mode: str) -> Blueprint:
        settings = self.settings
        network = self._networks.network_spec(mode)
        try:
            return Blueprint.create(self._directory / mode, settings.runtime, settings.limits, self.groups, network)
        except OSError as error:
            reason = f"{self._directory / mode} cannot be written: {error.strerror}"
            raise SandboxUnavailableError(reason, "Make room there, or choose another folder with --state") from error

    async def acquire_sandbox(self, interpreter: Interpreter) -> Sandbox:
        """Returns a fresh sandbox for a session of an interpreter.

        Raises:
            SandboxUnavailableError: code cannot be isolated here.
        """
        if self.unavailable is not None:
            raise self.unavailable
        mode = interpreter.network_mode
        if mode not in self._pools:  # sandboxes of a mode are started ahead once it has been used
            self._pools[mode] = Pool(self._blueprint(mode), self.settings.pool)
        return await self._pools[mode].acquire()

    def connect(self, session: Session) -> None:
        """Has the network of a session's sandbox served, with the role of its interpreter."""
        session.sandbox.serve(self._networks.handlers(session.interpreter, session.identifier))

    async def call(self, operation: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Does an operation, at most once for each client token.

        Raises:
            ServiceError: as the service would.
        """
        self._throttle.admit(operation)
        try:
            return await self._idempotency.once(operation, parameters, self.operations[operation])
        except SandboxUnavailableError as error:
            raise InternalServerError(f"No session can be started: {error.reason}. To do: {error.fix}") from error

    async def advance(self, seconds: float) -> datetime:
        """Moves the emulator's time ahead and ends the sessions that do not live to see it. Returns the new time.

        Raises:
            ValueError: not that far; says what is allowed.
        """
        self._clock.advance(seconds)
        await self.sessions.expire()
        return self._clock()

    def now(self) -> datetime:
        """Returns the emulator's time."""
        return self._clock()

    def health(self) -> dict[str, Any]:
        """Returns the health report."""
        report = health(
            self.settings,
            self.unavailable,
            self.groups,
            self._networks.describe(),
            len(self.sessions.live()),
            len(self.interpreters),
        )
        return report | {"startedAhead": {mode: len(pool) for mode, pool in self._pools.items()}}

    async def close(self) -> None:
        """Ends every sandbox and removes every file of this emulator. May be called twice."""
        self.unavailable = self.unavailable or SandboxUnavailableError("the emulator is ending", "Start it again")
        await self.sessions.close()
        for pool in self._pools.values():
            await pool.close()
        if self.authorizer is not None:
            self.authorizer.close()
        shutil.rmtree(self._directory, ignore_errors=True)
