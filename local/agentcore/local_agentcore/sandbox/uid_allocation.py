"""Which user of the host a sandbox runs as."""

from __future__ import annotations

import os
from pathlib import Path

FIRST_UID, EVERY_UID = 1 << 30, (1 << 32) - 1
UIDS_OF_ONE_EMULATOR = 512
FEWEST_UIDS = 10_000


def unused_uid(number: int) -> int | None:
    """Returns the user for the `number`-th sandbox of an emulator that is root, or None for an ordinary user's.

    One that no other sandbox has, so that RLIMIT_NPROC counts one sandbox's processes only. A root that has few users
    to choose from, in a user namespace, is an ordinary user outside of it and is treated as one.
    """
    if os.geteuid() != 0:
        return None
    mapped = max(int(line.split()[2]) for line in Path("/proc/self/uid_map").read_text().splitlines())
    own = os.getpid() * UIDS_OF_ONE_EMULATOR + number % UIDS_OF_ONE_EMULATOR
    if mapped >= EVERY_UID:
        return FIRST_UID + own
    if mapped < FEWEST_UIDS:
        return None
    return mapped // 2 + own % (mapped // 4)  # in a container whose users are mapped
