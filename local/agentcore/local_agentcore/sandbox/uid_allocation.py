"""The user id of the host that a sandbox runs as."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

FIRST_UID, ALL_UIDS = 1 << 30, (1 << 32) - 1
MIN_MAPPED_UIDS = 10_000
_START = secrets.randbelow(ALL_UIDS)
"""Where the user ids of this emulator begin. At random among 3 billion, because other emulators may be in other PID
namespaces, where they share neither process ids nor files with this one."""


def allocate_uid(number: int) -> int | None:
    """Returns a user id for the `number`-th sandbox of an emulator. Returns None if the emulator does not run as root.

    No other sandbox has the same id, so that RLIMIT_NPROC counts the processes of one sandbox only. A root with few
    mapped users (in a user namespace) is treated as an ordinary user, which it is outside of the namespace.
    """
    if os.geteuid() != 0:
        return None
    mapped = max(int(line.split()[2]) for line in Path("/proc/self/uid_map").read_text().splitlines())
    if mapped >= ALL_UIDS:
        return FIRST_UID + (_START + number) % (ALL_UIDS - FIRST_UID)
    if mapped < MIN_MAPPED_UIDS:
        return None
    return mapped // 2 + (_START + number) % (mapped // 4)  # in a container with mapped users
