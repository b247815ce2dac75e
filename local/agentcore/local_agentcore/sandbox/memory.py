"""The watchdog that bounds the memory of a whole sandbox where no control group does."""

from __future__ import annotations

import asyncio
import re
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

SCAN_SECONDS = 0.05
SCANS_AFTER_KILL = 10
STATUS_FIELDS = re.compile(rb"^(FDSize|Pss_Anon|RssAnon|VmPTE):\s+(\d+)", re.MULTILINE)
SOCKET_BYTES = 212_992
"""What a socket takes in before its writer has to wait (`net.core.wmem_default`). The filter keeps it from asking for
more where nothing counts the kernel's memory."""

_scanner = ThreadPoolExecutor(1, "memory")
"""What code does decides how long a scan takes: it must not keep the loop from other sessions."""


def descendants(process: int) -> Iterator[int]:
    """Returns a process and all below it. Those that end meanwhile are left out."""
    yield process
    for children in Path(f"/proc/{process}/task").glob("*/children"):
        with suppress(OSError):
            for child in children.read_text().split():
                yield from descendants(int(child))


def upper_bound_bytes(process: int) -> int:
    """Returns the memory of a process and all below it that no file backs, or more than it.

    Pages that forks share count for each of them, and every place for a descriptor as a socket full of data.
    """
    return sum(map(_upper_bound_bytes, descendants(process)))


def _upper_bound_bytes(process: int) -> int:
    with suppress(FileNotFoundError, ProcessLookupError):  # it has ended
        status = dict(STATUS_FIELDS.findall(Path(f"/proc/{process}/status").read_bytes()))
        kibibytes = int(status.get(b"RssAnon", 0)) + int(status.get(b"VmPTE", 0))
        return kibibytes * 1024 + int(status.get(b"FDSize", 0)) * SOCKET_BYTES
    return 0


def resident_bytes(process: int) -> int:
    """Returns the same with each page and each socket counted once: this takes the kernel a hundred times as long."""
    total = 0
    sockets: set[str] = set()
    for one in descendants(process):
        try:
            text = Path(f"/proc/{one}/smaps_rollup").read_bytes() + Path(f"/proc/{one}/status").read_bytes()
            sizes = dict(STATUS_FIELDS.findall(text))
            total += (int(sizes.get(b"Pss_Anon", 0)) + int(sizes.get(b"VmPTE", 0))) * 1024
            sockets.update(_sockets(one))
        except (FileNotFoundError, ProcessLookupError):  # it has ended
            continue
        except OSError:  # it hides: then what it may hold counts
            total += _upper_bound_bytes(one)
    return total + len(sockets) * SOCKET_BYTES


def _sockets(process: int) -> Iterator[str]:
    for descriptor in Path(f"/proc/{process}/fd").iterdir():
        with suppress(FileNotFoundError):
            target = str(descriptor.readlink())
            if target.startswith("socket:"):
                yield target


def exceeds_limit(process: int, memory_bytes: int) -> bool:
    """Whether a process and all below it hold more than `memory_bytes`. Asked exactly only where it may be so."""
    return upper_bound_bytes(process) > memory_bytes and resident_bytes(process) > memory_bytes


async def watch(
    process: int, memory_bytes: int, kill_code: Callable[[], Awaitable[None]], end_sandbox: Callable[[], None]
) -> None:
    """Has the code of a sandbox killed when all its processes together exceed `memory_bytes`.

    If that brings no relief within half a second, the sandbox is ended: what runs inside is not relied on.
    """
    excessive_scans, pause = 0, SCAN_SECONDS
    while True:
        await asyncio.sleep(pause)
        begun = time.monotonic()
        excessive = await asyncio.get_running_loop().run_in_executor(_scanner, exceeds_limit, process, memory_bytes)
        pause = max(SCAN_SECONDS, time.monotonic() - begun)
        if not excessive:
            excessive_scans = 0
            continue
        if excessive_scans == 0:
            await kill_code()
        excessive_scans += 1
        if excessive_scans > SCANS_AFTER_KILL:
            end_sandbox()
            return
