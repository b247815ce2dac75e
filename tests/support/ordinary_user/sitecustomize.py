"""Turns a Python that root has started into a process of an ordinary user. Python imports it through PYTHONPATH.

The user need not have an account. Directories that only root may enter (such as a Python below /root) are mounted at
the same path in a mount namespace of this process. Afterwards the process has no capability and no user namespace.
"""

from __future__ import annotations

import ctypes
import os
import stat
from pathlib import Path

CLONE_NEWNS, MS_BIND, MS_REC, MS_PRIVATE, SET_DUMPABLE = 0x00020000, 4096, 16384, 1 << 18, 4
libc = ctypes.CDLL(None, use_errno=True)


def check(result: int) -> None:
    """Exits with the errno if a system call failed."""
    if result != 0:
        os._exit(ctypes.get_errno() or 1)


def closed_parent(path: Path) -> Path | None:
    """Returns the topmost parent directory that other users may not enter."""
    return next((up for up in reversed(path.parents) if not up.stat().st_mode & stat.S_IXOTH), None)


def mount_paths(paths: list[Path]) -> None:
    """Makes paths accessible to other users. The rest of their closed parent directories stays hidden."""
    check(libc.unshare(CLONE_NEWNS))
    check(libc.mount(b"none", b"/", b"", MS_REC | MS_PRIVATE, b""))
    hidden = [(path, os.open(path, os.O_PATH), closed) for path in paths if (closed := closed_parent(path))]
    for closed in sorted({closed for _, _, closed in hidden}):
        check(libc.mount(b"tmpfs", bytes(closed), b"tmpfs", 0, b"mode=755"))
    for path, descriptor, _ in hidden:
        path.mkdir(mode=0o755, parents=True, exist_ok=True)
        check(libc.mount(f"/proc/self/fd/{descriptor}".encode(), bytes(path), b"", MS_BIND | MS_REC, b""))
        os.close(descriptor)


def drop_privileges(user: int) -> None:
    """Drops root privileges permanently."""
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)
    libc.prctl(SET_DUMPABLE, 1, 0, 0, 0)  # as after a login


if "ORDINARY_USER" in os.environ:  # child processes run as the ordinary user already
    os.umask(0o022)
    mount_paths([Path(path) for path in os.environ.pop("ORDINARY_USER_NEEDS").split(":")])
    drop_privileges(int(os.environ.pop("ORDINARY_USER")))
