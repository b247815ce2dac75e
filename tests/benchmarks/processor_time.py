"""The processor time of processes, which the load of a machine changes less than durations."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from local_aws.process_tree import descendants

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


def processor_seconds(*pids: int) -> float:
    """Returns the processor time of processes, of their live descendants, and of those that have been waited for."""
    every = {pid for each in pids for pid in (each, *descendants(each))}
    return sum(map(_ticks, every)) / TICKS_PER_SECOND


def _ticks(pid: int) -> int:
    with suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11:15]))  # utime, stime, cutime, cstime of proc(5)
    return 0
