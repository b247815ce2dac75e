"""Which user of the host a sandbox runs as."""

from __future__ import annotations

import os
from pathlib import Path

FIRST_UID, ALL_UIDS = 1 << 30, (1 << 32) - 1
UIDS_PER_EMULATOR = 512
MIN_MAPPED_UIDS = 10_000


def allocate_uid(number: int) -> int | None:
    """Returns the user for the `number`-th sandbox of an emulator that is root, or None for an ordinary user's.

    One that no other sandbox has, so that RLIMIT_NPROC counts one sandbox's processes only. A root that has few users
    to choose from, in a user namespace, is an ordinary user outside of it and is treated as one.
    """
    if os.geteuid() != 0:
        return None
    mapped = max(int(line.split()[2]) for line in Path("/proc/self/uid_map").read_text().splitlines())
    own = os.getpid() * UIDS_PER_EMULATOR + number % UIDS_PER_EMULATOR
    if mapped >= ALL_UIDS:
        return FIRST_UID + own
    if mapped < MIN_MAPPED_UIDS:
        return None
    return mapped // 2 + own % (mapped // 4)  # in a container whose users are mapped
