"""The user id of the host that a sandbox runs as."""

from __future__ import annotations

import os
from pathlib import Path

FIRST_UID, ALL_UIDS = 1 << 30, (1 << 32) - 1
UIDS_PER_EMULATOR = 512
MIN_MAPPED_UIDS = 10_000


def allocate_uid(number: int) -> int | None:
    """Returns a user id for the `number`-th sandbox of an emulator. Returns None if the emulator does not run as root.

    No other sandbox has the same id, so that RLIMIT_NPROC counts the processes of one sandbox only. A root with few
    mapped users (in a user namespace) is treated as an ordinary user, which it is outside of the namespace.
    """
    if os.geteuid() != 0:
        return None
    mapped = max(int(line.split()[2]) for line in Path("/proc/self/uid_map").read_text().splitlines())
    offset = os.getpid() * UIDS_PER_EMULATOR + number % UIDS_PER_EMULATOR
    if mapped >= ALL_UIDS:
        return FIRST_UID + offset
    if mapped < MIN_MAPPED_UIDS:
        return None
    return mapped // 2 + offset % (mapped // 4)  # in a container with mapped users
