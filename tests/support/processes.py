"""Processes of the host, as /proc lists them, and waiting for them."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TIMEOUT_SECONDS = 60
POLL_INTERVAL_SECONDS = 0.02


def processes_matching(mark: str) -> list[int]:
    """Returns the host's processes whose command line contains a mark, without this one and its parent."""
    return [
        process for process, command in commands() if mark in command and process not in (os.getpid(), os.getppid())
    ]


def commands() -> Iterator[tuple[int, str]]:
    """Yields the id and the command line of each process of the host."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            yield int(path.parent.name), path.read_bytes().decode("utf-8", "replace")


def wait_until(condition: Callable[[], bool]) -> None:
    """Waits until a condition holds. Fails after 60 s."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"the condition did not hold within {TIMEOUT_SECONDS} s"
        time.sleep(POLL_INTERVAL_SECONDS)
