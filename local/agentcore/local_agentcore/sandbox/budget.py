"""Keeps all sandboxes of an emulator within their total limits: refuses a start, or ends the sandbox that uses most.

The kernel does not choose fairly. At the limit of a control group it kills processes of any session, and files in
memory belong to no process. Therefore the sandbox with the highest use is ended shortly before that limit.
"""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import SandboxUnavailableError
from .limits import MEBIBYTE, MIN_PROCESS_BYTES

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterable, Mapping

    from .host import Sandbox
    from .totals import Totals

SCAN_SECONDS = 0.1
FILES_OF_HOST = Path("/proc/sys/fs/file-nr")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Use:
    """What a sandbox uses at most. The names are those of `Totals`. Open files are counted only if necessary."""

    memory_bytes: int
    disk_bytes: int
    processes: int
    terminals: int


@dataclass(frozen=True)
class Resource:
    """A resource with a total limit.

    Attributes:
        member: The name in `Use` and `Totals`.
        name: The name in reports.
        option: The option that sets the limit.
        noun: The resource in messages, with the unit.
        start: What a sandbox uses when it has started.
        count: Returns what a sandbox uses exactly. None: what it uses at most is exact.
        unit: The unit of the option and of messages.
        margin: The part of the limit that is kept free, because the kernel enforces the limit itself.
    """

    member: str
    name: str
    option: str
    noun: str
    start: int
    count: Callable[[Sandbox], int] | None = None
    unit: int = 1
    margin: float = 0.0

    def limit(self, totals: Totals) -> int:
        """Returns the total limit."""
        limit: int = getattr(totals, self.member)
        return limit

    def exceeds(self, amount: int, totals: Totals, starts: int) -> bool:
        """Returns whether an amount, and that of sandboxes that start, exceed the limit."""
        return amount + starts * self.start > self.limit(totals) * (1 - self.margin)

    def at_most(self, uses: Iterable[Use]) -> int:
        """Returns an upper bound of the total use: for open files, those of the host."""
        if self.member == "open_files":
            return int(FILES_OF_HOST.read_text().split()[0])
        return sum(getattr(use, self.member) for use in uses)

    def amounts(self, uses: Mapping[Sandbox, Use]) -> dict[Sandbox, int]:
        """Returns what each sandbox uses exactly. May take long."""
        if self.count is not None:
            return {sandbox: self.count(sandbox) for sandbox in uses}
        return {sandbox: getattr(use, self.member) for sandbox, use in uses.items()}

    def describe(self, amount: int, totals: Totals) -> str:
        """Returns text such as `100 of 200 MiB of memory`."""
        return f"{amount // self.unit} of {self.limit(totals) // self.unit} {self.noun}"


RESOURCES = (
    Resource("disk_bytes", "diskMiB", "--total-disk-mib", "MiB of disk", 0, unit=MEBIBYTE),
    Resource("processes", "processes", "--total-processes", "processes", 16, margin=1 / 32),
    Resource("terminals", "terminals", "--total-terminals", "terminals", 2, margin=1 / 32),
    Resource("open_files", "openFiles", "--total-open-files", "open files", 256, lambda sandbox: sandbox.open_files()),
    Resource("memory_bytes", "memoryMiB", "--total-memory-mib", "MiB of memory", MIN_PROCESS_BYTES,
             lambda sandbox: sandbox.memory_bytes(), MEBIBYTE, 1 / 32),
)  # fmt: skip
"""In the order of the checks: those that take long are last."""


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
            if (exceeded := await self._exceeded(self._starting)) is not None:
                resource, amounts = exceeded
                raise SandboxUnavailableError(
                    f"all sessions together use {resource.describe(sum(amounts.values()), self.totals)}",
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
        uses = await self._uses()
        used = await asyncio.to_thread(lambda: [sum(resource.amounts(uses).values()) for resource in RESOURCES])
        return {
            resource.name: {"limit": resource.limit(self.totals) // resource.unit, "used": amount // resource.unit}
            for resource, amount in zip(RESOURCES, used, strict=True)
        }

    def close(self) -> None:
        """Stops watching."""
        if self._watching is not None:
            self._watching.cancel()

    async def _uses(self) -> dict[Sandbox, Use]:
        self._sandboxes = [sandbox for sandbox in self._sandboxes if not sandbox.ended]
        present = list(self._sandboxes)
        uses = await asyncio.to_thread(lambda: [sandbox.use() for sandbox in present])
        return dict(zip(present, uses, strict=True))

    async def _exceeded(self, starts: int) -> tuple[Resource, dict[Sandbox, int]] | None:
        """Returns a resource whose total exceeds the limit, with the amount of each sandbox. Counts only if necessary.

        Args:
            starts: The number of sandboxes that start.
        """
        uses = await self._uses()
        for resource in RESOURCES:
            if resource.exceeds(resource.at_most(uses.values()), self.totals, starts):
                amounts = await asyncio.to_thread(resource.amounts, uses)
                if resource.exceeds(sum(amounts.values()), self.totals, starts):
                    return resource, amounts
        return None

    async def _watch(self) -> None:
        pause = SCAN_SECONDS
        while True:
            await asyncio.sleep(pause)
            if not any(sandbox.assigned and not sandbox.ended for sandbox in self._sandboxes):
                continue  # no code runs
            started = time.monotonic()
            try:
                exceeded = await self._exceeded(0)
                pause = max(SCAN_SECONDS, time.monotonic() - started)  # scans take at most half of the time
                if exceeded is not None:
                    await self._end_largest(*exceeded)
            except Exception:
                log.exception("The total use of the sandboxes could not be checked")

    async def _end_largest(self, resource: Resource, amounts: dict[Sandbox, int]) -> None:
        sandbox = max(amounts, key=lambda sandbox: amounts[sandbox], default=None)
        if sandbox is not None:
            await sandbox.end_because(
                f"all sessions together reached the limit of {resource.limit(self.totals) // resource.unit} "
                f"{resource.noun}, and this session used most: {amounts[sandbox] // resource.unit}"
            )
