"""The watchdog that bounds the memory of a whole sandbox where no control group does."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
SCAN_SECONDS = 0.05
SCANS_AFTER_KILL = 10


def descendants(process: int) -> Iterator[int]:
    """Returns a process and all below it. Those that end meanwhile are left out."""
    yield process
    for children in Path(f"/proc/{process}/task").glob("*/children"):
        with suppress(OSError):
            for child in children.read_text().split():
                yield from descendants(int(child))


def at_most_anonymous_bytes(process: int) -> int:
    """Returns the memory of a process and all below it that no file backs; pages that forks share count for each."""
    pages = 0
    for one in descendants(process):
        with suppress(OSError, ValueError):
            fields = Path(f"/proc/{one}/statm").read_text().split()
            pages += int(fields[1]) - int(fields[2])
    return pages * PAGE_BYTES


def anonymous_bytes(process: int) -> int:
    """Returns the same with each page counted once, which takes the kernel a hundred times as long to say."""
    kibibytes = 0
    for one in descendants(process):
        with suppress(OSError, ValueError):
            for line in Path(f"/proc/{one}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss_Anon:"):
                    kibibytes += int(line.split()[1])
    return kibibytes * 1024


async def watch(
    process: int, memory_bytes: int, kill_code: Callable[[], Awaitable[None]], end_sandbox: Callable[[], None]
) -> None:
    """Has the code of a sandbox killed when all its processes together exceed `memory_bytes`.

    If that brings no relief within half a second, the sandbox is ended: what runs inside is not relied on.
    """
    excessive_scans = 0
    while True:
        await asyncio.sleep(SCAN_SECONDS)
        if at_most_anonymous_bytes(process) <= memory_bytes or anonymous_bytes(process) <= memory_bytes:
            excessive_scans = 0
            continue
        if excessive_scans == 0:
            await kill_code()
        excessive_scans += 1
        if excessive_scans > SCANS_AFTER_KILL:
            end_sandbox()
            return
