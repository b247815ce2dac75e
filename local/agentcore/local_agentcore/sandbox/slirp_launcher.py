"""The first process of a sandbox's internet access: joins control groups, drops privileges and executes slirp4netns.

Runs as `python -I -S slirp_launcher.py` and reads a plan, one JSON object, from standard input. As root, it provides
the tunnel device in a private mount namespace if only root may open it, and then becomes the sandbox's user.
"""

import ctypes
import json
import os
import stat
import sys
from pathlib import Path
from typing import Any

TUNNEL = Path("/dev/net/tun")
TUNNEL_DEVICE = os.makedev(10, 200)
READ_WRITE_FOR_OTHERS = stat.S_IROTH | stat.S_IWOTH
CLONE_NEWNS, MS_NOSUID, MS_REC, MS_PRIVATE = 0x00020000, 2, 16384, 1 << 18

libc = ctypes.CDLL(None, use_errno=True)


def check(result: int, action: str) -> None:
    """Exits with a message if a system call failed."""
    if result != 0:
        sys.exit(f"{action}: {os.strerror(ctypes.get_errno())}")


def provide_tunnel() -> None:
    """Creates a tunnel device that every user may open, in a private mount namespace."""
    directory = str(TUNNEL.parent)
    check(libc.unshare(CLONE_NEWNS), "unshare")
    check(libc.mount(b"none", b"/", b"", MS_REC | MS_PRIVATE, None), "private mounts")
    check(libc.mount(b"tmpfs", directory.encode(), b"tmpfs", MS_NOSUID, b"size=64k,nr_inodes=16,mode=755"), directory)
    os.mknod(TUNNEL, stat.S_IFCHR | 0o600, TUNNEL_DEVICE)
    TUNNEL.chmod(0o666)


def main(plan: dict[str, Any]) -> None:
    """Performs the steps of the plan, then executes slirp4netns."""
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    os.close(null)
    for group in plan["control_groups"]:
        Path(group).write_text(str(os.getpid()))
    if plan["uid"] is not None:
        if TUNNEL.stat().st_mode & READ_WRITE_FOR_OTHERS != READ_WRITE_FOR_OTHERS:
            provide_tunnel()
        os.setgroups([])
        os.setresgid(*[plan["uid"]] * 3)
        os.setresuid(*[plan["uid"]] * 3)
    os.execve(plan["command"][0], plan["command"], {})  # noqa: S606


if __name__ == "__main__":
    try:
        main(json.load(sys.stdin))
    except OSError as error:
        sys.exit(f"{error.filename or 'the tunnel'}: {error.strerror}")
