"""Makes a Python that root has started an ordinary user's, before anything else runs in it. PYTHONPATH leads here.

The user may be one whom nothing belongs to. What is needed of a folder that only root may enter (a Python below /root,
say) is shown in a mount namespace of this process's own, at its usual place. Afterwards this is an ordinary process of
an ordinary user: no capability, and no user namespace around it.
"""

from __future__ import annotations

import ctypes
import os
import stat
from pathlib import Path

CLONE_NEWNS, MS_BIND, MS_REC, MS_PRIVATE, SET_DUMPABLE = 0x00020000, 4096, 16384, 1 << 18, 4
libc = ctypes.CDLL(None, use_errno=True)


def check(result: int) -> None:
    """Ends this Python if a system call failed, with its reason."""
    if result != 0:
        os._exit(ctypes.get_errno() or 1)


def closed_folder(path: Path) -> Path | None:
    """Returns the first folder above a path that others may not enter."""
    return next((up for up in reversed(path.parents) if not up.stat().st_mode & stat.S_IXOTH), None)


def show(places: list[Path]) -> None:
    """Lets others reach these places, and nothing else of the closed folders that they lie in."""
    check(libc.unshare(CLONE_NEWNS))
    check(libc.mount(b"none", b"/", b"", MS_REC | MS_PRIVATE, b""))
    hidden = [(place, os.open(place, os.O_PATH), closed) for place in places if (closed := closed_folder(place))]
    for closed in sorted({closed for _, _, closed in hidden}):
        check(libc.mount(b"tmpfs", bytes(closed), b"tmpfs", 0, b"mode=755"))
    for place, descriptor, _ in hidden:
        place.mkdir(mode=0o755, parents=True, exist_ok=True)
        check(libc.mount(f"/proc/self/fd/{descriptor}".encode(), bytes(place), b"", MS_BIND | MS_REC, b""))
        os.close(descriptor)


def become(user: int) -> None:
    """Drops root for good."""
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)
    libc.prctl(SET_DUMPABLE, 1, 0, 0, 0)  # as after a login


if "ORDINARY_USER" in os.environ:  # a Python that this one starts is what it is already
    os.umask(0o022)
    show([Path(place) for place in os.environ.pop("ORDINARY_USER_NEEDS").split(":")])
    become(int(os.environ.pop("ORDINARY_USER")))
