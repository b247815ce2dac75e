"""CPU time of processes, where no control group counts it."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from .memory import descendants

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
FIRST_FIELD = 11
"""Index of `utime` after the name of the program; `stime`, `cutime` and `cstime` follow."""


def processor_seconds(process: int) -> float:
    """Returns the CPU time of a process and its descendants in seconds.

    It is an estimate: the time of a process that ended without being awaited by its parent is missing.
    """
    return sum(_ticks(pid) for pid in descendants(process)) / TICKS_PER_SECOND


def _ticks(process: int) -> int:
    with suppress(OSError):  # the process has ended
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[FIRST_FIELD : FIRST_FIELD + 4]))
    return 0
