"""The watchdog that limits the memory of a sandbox if no control group does."""

from __future__ import annotations

import asyncio
import re
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

SCAN_SECONDS = 0.05
SCANS_AFTER_KILL = 10
STATUS_FIELDS = re.compile(rb"^(FDSize|Pss_Anon|RssAnon|Threads|VmPTE):\s+(\d+)", re.MULTILINE)
SOCKETS = re.compile(rb"^sockets: used (\d+)", re.MULTILINE)
SOCKET_BYTES = 212_992
"""Data that a socket buffers before its writer blocks (`net.core.wmem_default`). Without a control group, the
system-call filter prevents larger buffers. For TCP, see `TCP_BUFFER_BYTES` in the launcher."""

_scanner = ThreadPoolExecutor(1, "memory")
"""Runs scans, because code in a sandbox can make them slow and they must not block the event loop."""


def descendants(process: int) -> Iterator[int]:
    """Yields a process and all its descendants. Processes that end meanwhile are skipped."""
    yield process
    for child in children(process):
        yield from descendants(child)


def children(process: int) -> list[int]:
    """Returns the children of all threads of a process. A process that has ended has none."""
    found: list[int] = []
    with suppress(OSError):  # the process has ended
        for thread in Path(f"/proc/{process}/task").iterdir():
            with suppress(OSError):  # the thread has ended
                found += map(int, (thread / "children").read_text().split())
    return found


@dataclass(frozen=True)
class Scan:
    """What a process and all its descendants use at most.

    Attributes:
        memory_bytes: Anonymous memory and sockets. Pages that forks share count once for each process, and every
            socket as full.
        processes: Processes and threads.
    """

    memory_bytes: int = 0
    processes: int = 0


def scan(process: int) -> Scan:
    """Returns what a process and all its descendants use at most."""
    fields = [_status(pid) for pid in descendants(process)]
    return Scan(
        sum(map(_memory_bytes, fields)) + _socket_bytes(process),
        sum(each.get(b"Threads", 0) for each in fields),
    )


def count_open_files(process: int) -> int:
    """Returns the number of open files of a process and its descendants; an upper bound before Linux 6.2."""
    return sum(_count_open_files(pid) for pid in descendants(process))


def _count_open_files(process: int) -> int:
    with suppress(OSError):  # the process has ended
        return Path(f"/proc/{process}/fd").stat().st_size or _status(process).get(b"FDSize", 0)
    return 0


def upper_bound_bytes(process: int) -> int:
    """Returns an upper bound of the anonymous memory of a process and all its descendants, in bytes."""
    return scan(process).memory_bytes


def _status(process: int) -> dict[bytes, int]:
    with suppress(FileNotFoundError, ProcessLookupError):  # the process has ended
        status = STATUS_FIELDS.findall(Path(f"/proc/{process}/status").read_bytes())
        return {name: int(value) for name, value in status}
    return {}


def _memory_bytes(status: dict[bytes, int]) -> int:
    return (status.get(b"RssAnon", 0) + status.get(b"VmPTE", 0)) * 1024


def _socket_bytes(process: int) -> int:
    """Returns what the sockets in the network namespace of a process buffer at most, in bytes.

    The kernel's count includes sockets without a descriptor: connections that were not accepted yet, whose clients may
    have closed them, and sockets that were sent and not received yet.
    """
    with suppress(OSError):  # the process has ended
        found = SOCKETS.search(Path(f"/proc/{process}/net/sockstat").read_bytes())
        return int(found[1]) * SOCKET_BYTES if found else 0
    return 0


def resident_bytes(process: int) -> int:
    """Returns the memory in bytes with each page counted once. Takes about 100 times as long."""
    total = _socket_bytes(process)
    for pid in descendants(process):
        try:
            text = Path(f"/proc/{pid}/smaps_rollup").read_bytes() + Path(f"/proc/{pid}/status").read_bytes()
            sizes = dict(STATUS_FIELDS.findall(text))
            total += (int(sizes.get(b"Pss_Anon", 0)) + int(sizes.get(b"VmPTE", 0))) * 1024
        except (FileNotFoundError, ProcessLookupError):  # the process has ended
            continue
        except OSError:  # the process is not readable, so its upper bound counts
            total += _memory_bytes(_status(pid))
    return total


def exceeds_limit(process: int, memory_bytes: int) -> bool:
    """Returns whether a process and its descendants use more than `memory_bytes`. Counts exactly only if necessary."""
    return upper_bound_bytes(process) > memory_bytes and resident_bytes(process) > memory_bytes


async def watch(
    process: int, memory_bytes: int, kill_code: Callable[[], Awaitable[None]], end_sandbox: Callable[[], None]
) -> None:
    """Kills the code of a sandbox when all its processes together exceed `memory_bytes`.

    Ends the sandbox if that does not help within about 0.5 s, because processes in the sandbox are not trusted.

    Args:
        process: Id on the host of the root process of the sandbox.
        memory_bytes: The limit.
        kill_code: Asks the supervisor to kill all other processes.
        end_sandbox: Ends the sandbox.
    """
    excessive_scans, pause = 0, SCAN_SECONDS
    while True:
        await asyncio.sleep(pause)
        started = time.monotonic()
        excessive = await asyncio.get_running_loop().run_in_executor(_scanner, exceeds_limit, process, memory_bytes)
        pause = max(SCAN_SECONDS, time.monotonic() - started)
        if not excessive:
            excessive_scans = 0
            continue
        if excessive_scans == 0:
            await kill_code()
        excessive_scans += 1
        if excessive_scans > SCANS_AFTER_KILL:
            end_sandbox()
            return
