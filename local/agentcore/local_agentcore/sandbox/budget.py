"""Keeps all sandboxes of an emulator within their total limits: refuses a start, or ends the sandbox that uses most.

The kernel does not choose fairly. At the limit of a control group it kills processes of any session, and files in
memory belong to no process. Therefore the sandbox with the highest use is ended shortly before that limit.
"""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import asynccontextmanager
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import SandboxUnavailableError
from .limits import MEBIBYTE, MIN_PROCESS_BYTES

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from .host import Sandbox
    from .totals import Totals

SCAN_SECONDS = 0.1
MAX_LOAD = 0.05
"""The part of the time that scans take, if one takes long."""
FILES_OF_HOST = Path("/proc/sys/fs/file-nr")
TERMINALS_OF_HOST = Path("/proc/sys/kernel/pty/nr")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Use:
    """What a sandbox uses. The names are those of `Totals`."""

    memory_bytes: int = 0
    disk_bytes: int = 0
    processes: int = 0
    open_files: int = 0

    def __add__(self, other: Use) -> Use:
        """Returns the sum."""
        return Use(*map(sum, zip(astuple(self), astuple(other), strict=True)))


@dataclass(frozen=True)
class Resource:
    """A resource with a total limit.

    Attributes:
        member: The name in `Use` and `Totals`.
        option: The option that sets the limit.
        noun: The resource in messages, with the unit.
        start: What a sandbox uses when it has started.
        unit: The unit of the option and of messages.
        margin: The part of the limit that is kept free, because the kernel enforces the limit itself.
    """

    member: str
    option: str
    noun: str
    start: int
    unit: int = 1
    margin: float = 0.0

    def amount(self, use: Use | Totals) -> int:
        """Returns the use or the limit of this resource."""
        amount: int = getattr(use, self.member)
        return amount

    def exceeds(self, use: Use, totals: Totals, starts: int = 0) -> bool:
        """Returns whether a use, and that of sandboxes that start, exceed the limit."""
        return self.amount(use) + starts * self.start > self.amount(totals) * (1 - self.margin)


RESOURCES = (
    Resource("memory_bytes", "--total-memory-mib", "MiB of memory", MIN_PROCESS_BYTES, MEBIBYTE, 1 / 32),
    Resource("disk_bytes", "--total-disk-mib", "MiB of disk", 0, MEBIBYTE),
    Resource("processes", "--total-processes", "processes", 16, margin=1 / 32),
    Resource("open_files", "--total-open-files", "open files", 256),
)


class Budget:
    """The total limits of an emulator, and the sandboxes that share them."""

    def __init__(self, totals: Totals) -> None:
        self.totals = totals
        self._sandboxes: list[Sandbox] = []
        self._starting = 0
        self._watching: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def starting(self) -> AsyncGenerator[None]:
        """Admits the start of a sandbox, for the duration of a block that calls `add` when it has started.

        Raises:
            SandboxUnavailableError: The sandbox would exceed a total limit.
        """
        self._starting += 1
        try:
            used = await self._used(self._starting)
            for resource in RESOURCES:
                if resource.exceeds(used, self.totals, self._starting):
                    raise SandboxUnavailableError(
                        f"all sessions together use {resource.amount(used) // resource.unit} of "
                        f"{resource.amount(self.totals) // resource.unit} {resource.noun}",
                        f"Stop sessions, or raise {resource.option}",
                    )
            yield
        finally:
            self._starting -= 1

    def add(self, sandbox: Sandbox) -> None:
        """Adds a started sandbox. It is removed when it has ended."""
        self._sandboxes.append(sandbox)
        if self._watching is None:
            self._watching = asyncio.create_task(self._watch())

    async def report(self) -> dict[str, dict[str, int]]:
        """Returns the limit and the present use of each resource, in the unit of its option."""
        used = sum((await self._uses(exact=True)).values(), Use())
        report = {
            resource.option.removeprefix("--total-"): {
                "limit": resource.amount(self.totals) // resource.unit,
                "used": resource.amount(used) // resource.unit,
            }
            for resource in RESOURCES
        }
        return report | {"terminals": {"limit": self.totals.terminals, "used": _first_number(TERMINALS_OF_HOST)}}

    def close(self) -> None:
        """Stops watching."""
        if self._watching is not None:
            self._watching.cancel()

    async def _uses(self, *, exact: bool) -> dict[Sandbox, Use]:
        self._sandboxes = [sandbox for sandbox in self._sandboxes if not sandbox.ended]
        present = list(self._sandboxes)
        uses = await asyncio.to_thread(lambda: [sandbox.use(exact=exact) for sandbox in present])
        return dict(zip(present, uses, strict=True))

    async def _used(self, starts: int) -> Use:
        """Returns the total use. Upper bounds are enough if they exceed no limit."""
        used = sum((await self._uses(exact=False)).values(), Use(open_files=_first_number(FILES_OF_HOST)))
        if any(resource.exceeds(used, self.totals, starts) for resource in RESOURCES):
            used = sum((await self._uses(exact=True)).values(), Use())
        return used

    async def _watch(self) -> None:
        pause = SCAN_SECONDS
        while True:
            await asyncio.sleep(pause)
            started = time.monotonic()
            try:
                used = await self._used(0)
                for resource in RESOURCES:
                    if resource.exceeds(used, self.totals):
                        await self._end_largest(resource)
                        break
            except Exception:
                log.exception("The total use of the sandboxes could not be checked")
            pause = max(SCAN_SECONDS, (time.monotonic() - started) / MAX_LOAD)

    async def _end_largest(self, resource: Resource) -> None:
        uses = await self._uses(exact=True)
        if not uses:
            return
        sandbox = max(uses, key=lambda sandbox: resource.amount(uses[sandbox]))
        await sandbox.end_because(
            f"all sessions together reached the limit of {resource.amount(self.totals) // resource.unit} "
            f"{resource.noun}, and this session used most: {resource.amount(uses[sandbox]) // resource.unit}"
        )


def _first_number(file: Path) -> int:
    return int(file.read_text().split()[0])
