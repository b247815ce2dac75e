"""One emulator: its interpreters, its sessions, the source of their sandboxes, and the dispatch of its operations."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import stat
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from botocore import xform_name

from .authorizer import Authorizer
from .clock import AdjustableClock, Clock, system_clock
from .control_plane import ControlPlane
from .data_plane import DataPlane
from .errors import InternalServerError, SandboxUnavailableError
from .faults import Faults
from .health import health
from .idempotency import Idempotency
from .interpreters import SANDBOX, Interpreter, Interpreters
from .network.networks import Networks
from .operations import CONTROL_PLANE, DATA_PLANE, OPERATIONS
from .permissions import Permissions
from .sandbox.blueprint import Blueprint
from .sandbox.budget import Budget
from .sandbox.cgroups import MEMORY, RESOURCES, ControlGroups, create_control_groups
from .sandbox.ownership import OwnedDirectory, emulator_name
from .sandbox.pool import Pool
from .sandbox.preflight import require_linux
from .sandbox.sweep import sweep
from .sandbox.totals import Totals
from .sessions import Session, Sessions
from .telemetry.feed import Feed
from .telemetry.recorder import Telemetry
from .telemetry.records import Location
from .throttle import Throttle

if TYPE_CHECKING:
    from datetime import datetime

    from .sandbox.host import Sandbox
    from .settings import Settings

Handler = Callable[[Mapping[str, Any]], Awaitable[dict[str, Any]]]

log = logging.getLogger(__name__)


class Emulator:
    """Emulates the service: `open` starts it, `call` executes an operation, `close` ends it.

    If code cannot be isolated, the emulator starts but rejects new sessions. It never runs code outside a sandbox.
    """

    def __init__(self, settings: Settings, clock: Clock = system_clock) -> None:
        self.settings = settings
        self._clock = clock = AdjustableClock(clock)
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
        self._name = emulator_name()
        self._directory: OwnedDirectory | None = None
        self._budget: Budget | None = None
        self._networks = Networks(settings.network, settings.region, self.authorizer)
        self._pools: dict[str, Pool] = {}
        self._idempotency = Idempotency(clock, assumptions)
        self.faults = Faults()
        self._feed = Feed(None if self.authorizer is None else self.authorizer.publish)
        self.telemetry = Telemetry(
            self._feed,
            clock,
            Location(settings.account, settings.region),
            lambda identifier: self.interpreters.arn_and_tags(identifier)[0],
            lambda: len(self.sessions.live()),
            zero_counts=assumptions.zero_counts,
        )
        self.sessions.observer = self.telemetry
        self._throttle = Throttle(quotas.calls_per_second, clock, assumptions)
        planes: Mapping[str, Any] = {
            CONTROL_PLANE: ControlPlane(self.interpreters, self.sessions, clock, assumptions),
            DATA_PLANE: DataPlane(
                self.interpreters, self.sessions, self, settings.limits, clock, assumptions, self.faults
            ),
        }
        self.handlers: Mapping[str, Handler] = {
            name: getattr(planes[operation.service], xform_name(name)) for name, operation in OPERATIONS.items()
        }

    async def open(self) -> None:
        """Removes files of killed emulators, and starts a sandbox to find out whether code can be isolated."""
        try:
            require_linux()
            self._budget = Budget(self.settings.totals(Totals.of_host()))
            self._create_groups(self._budget.totals)
            self._directory = self._create_directory()
            for name in sweep(self.settings.state, self.groups):
                log.info("Removed %s, left by an emulator that was killed", name)
            await self._pool(SANDBOX).prove()
        except SandboxUnavailableError as error:
            self.unavailable = error
        else:
            self.unavailable = None
        self.sessions.watch_expiry()
        self._feed.open()
        self.telemetry.open()

    def _create_groups(self, totals: Totals) -> None:
        resources = [name for name in RESOURCES if name != MEMORY or self.settings.memory_by == "auto"]
        self.groups = create_control_groups(self._name, self.settings.limits, totals, resources)

    def _create_directory(self) -> OwnedDirectory:
        state = self.settings.state
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        if state.stat().st_uid != os.geteuid() and state.parent.stat().st_mode & stat.S_IWOTH:
            raise SandboxUnavailableError(
                f"The state folder {state} belongs to another user", "Choose another folder with --state"
            )
        try:
            return OwnedDirectory.create(state / self._name)
        except OSError as error:
            reason = f"The state folder {state} is not writable: {error.strerror}"
            raise SandboxUnavailableError(reason, "Choose another folder with --state") from error

    def _pool(self, mode: str) -> Pool:
        """Returns the pool of a network mode. It starts with the mode's first session."""
        if mode not in self._pools and self._budget is not None:
            self._pools[mode] = Pool(self._blueprint(mode), self.settings.pool, self._budget)
        return self._pools[mode]

    def _blueprint(self, mode: str) -> Blueprint:
        settings, directory = self.settings, self.settings.state / self._name / mode
        network = self._networks.network_spec(mode)
        try:
            return Blueprint.create(directory, settings.runtime, settings.limits, self.groups, network)
        except OSError as error:
            reason = f"The state folder {directory} is not writable: {error.strerror}"
            raise SandboxUnavailableError(reason, "Free disk space, or choose another folder with --state") from error

    async def acquire_sandbox(self, interpreter: Interpreter) -> Sandbox:
        """Returns a new sandbox for a session of an interpreter.

        Raises:
            SandboxUnavailableError: Code cannot be isolated on this machine.
        """
        if self.unavailable is not None:
            raise self.unavailable
        return await self._pool(interpreter.network_mode).acquire()

    def connect(self, session: Session) -> None:
        """Serves the network of a session's sandbox, with the execution role of its interpreter."""
        session.role = self._networks.session_role(session.interpreter, session.identifier)
        session.sandbox.serve(self._networks.handlers(session.interpreter, session.role))

    async def call(self, operation: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Executes an operation, at most once per client token.

        Args:
            operation: A name of `OPERATIONS`.
            parameters: Members of the operation's input, validated against the model.

        Returns:
            Members of the operation's output.

        Raises:
            ServiceError: The service's error response.
        """
        self._throttle.admit(operation)
        try:
            return await self._idempotency.run(operation, parameters, self.handlers[operation])
        except SandboxUnavailableError as error:
            raise InternalServerError(f"No session can be started: {error.reason}. Remedy: {error.fix}") from error

    async def advance(self, seconds: float) -> datetime:
        """Advances the emulator's clock and ends the sessions that expire. Returns the new time.

        Raises:
            ValueError: `seconds` is negative or too large.
        """
        self.telemetry.sample_all()
        self._clock.advance(seconds)
        self._feed.advance(seconds)
        await self.sessions.expire()
        return self._clock()

    def now(self) -> datetime:
        """Returns the emulator's time."""
        return self._clock()

    def telemetry_after(self, number: int) -> dict[str, Any]:
        """Returns the latest telemetry records with a number greater than `number`."""
        return self._feed.kept(number)

    async def health(self) -> dict[str, Any]:
        """Returns the health report."""
        report = health(
            self.settings,
            self.unavailable,
            self.groups,
            self._networks.describe(),
            len(self.sessions.live()),
            len(self.interpreters),
        )
        totals = await self._budget.report() if self._budget else {}
        return report | {"totals": totals, "startedAhead": {mode: len(pool) for mode, pool in self._pools.items()}}

    async def close(self) -> None:
        """Ends every sandbox and removes all files of this emulator. Can be called more than once."""
        self.unavailable = self.unavailable or SandboxUnavailableError("the emulator is ending", "Start it again")
        self.telemetry.close()
        self._feed.close()
        await asyncio.gather(*(pool.close() for pool in self._pools.values()))
        await self.sessions.close()
        if self._budget is not None:
            self._budget.close()
        if self.authorizer is not None:
            self.authorizer.close()
        if self._directory is not None:
            shutil.rmtree(self._directory.path, ignore_errors=True)
            self._directory.release()
        self.groups.remove()
        self.groups = ControlGroups()
