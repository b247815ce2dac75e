"""First step of a sandbox, in a process of its own: takes limits on, gives rights up, builds namespaces, becomes bwrap.

It reads one JSON object from standard input, which `host` writes, and runs as `python -I -S stub.py`. Only the standard
library, all of it imported before the user is changed: that user may not be able to read this Python's own folder.

As root: join a control group, stage in a private mount namespace what the sandbox needs (the unprivileged user could
not traverse /root, say), then become a user of no other sandbox. Everybody: own user, network and mount namespaces,
loopback up with the listeners that the emulator serves, and the writable file systems, which bwrap itself cannot
bound in number of files.
"""

import ctypes
import fcntl
import json
import os
import socket
import stat
import struct
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

STAGE = "/tmp"  # noqa: S108  covered by a tmpfs that only this mount namespace sees
LOWER, EMPTY_DIRECTORY = "lower", f"{STAGE}/nothing"
STAGE_OPTIONS = "size=8m,nr_inodes=256,mode=755"
CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWNET = 0x00020000, 0x10000000, 0x40000000
MS_NOSUID, MS_NODEV, MS_BIND, MS_REC, MS_PRIVATE = 2, 4, 4096, 16384, 1 << 18
SET_DUMPABLE = 4
USER_NAMESPACE_LIMITS = {"max_inotify_instances": 32, "max_inotify_watches": 16_384}
"""What the kernel counts for a user of the host and everything in the user namespaces below: sandboxes of an ordinary
user would take it from each other and from that user."""
SIOCGIFFLAGS, SIOCSIFFLAGS, SIOCSIFADDR, SIOCSIFNETMASK, IFF_UP = 0x8913, 0x8914, 0x8916, 0x891C, 0x1
LOOPBACK_NETWORK = "127."
BACKLOG = 128
SIOCADDRT, REJECT = 0x890B, 0x0201
ROUTE = "L16s16x16sH62x"
"""Of `struct rtentry`: a word of padding, destination, gateway, mask and flags (RTF_UP | RTF_REJECT)."""

libc = ctypes.CDLL(None, use_errno=True)


def check(result: int, what: str) -> None:
    """Ends the stub with a sentence if a system call failed."""
    if result != 0:
        sys.exit(f"{what}: {os.strerror(ctypes.get_errno())}")


def try_mount(source: str, target: str, kind: str, flags: int, data: str = "") -> bool:
    """Calls mount(2). Returns whether it succeeded."""
    return libc.mount(source.encode(), target.encode(), kind.encode(), flags, data.encode()) == 0


def mount(source: str, target: str, kind: str, flags: int, data: str = "") -> None:
    """Mounts a file system. Exits with a message on failure."""
    check(0 if try_mount(source, target, kind, flags, data) else -1, f"mount {kind or source} on {target}")


def make_mounts_private() -> None:
    """Keeps what is mounted from here on out of every other mount namespace."""
    mount("none", "/", "", MS_REC | MS_PRIVATE)


def stage(sources: list[str], folders: list[str]) -> None:
    """Puts each source at `STAGE/INDEX`, where every user may read it, and makes the folders there."""
    descriptors = [os.open(source, os.O_RDONLY) for source in sources]  # before /tmp is covered: they may lie in it
    mount("tmpfs", STAGE, "tmpfs", MS_NOSUID | MS_NODEV, STAGE_OPTIONS)  # for this process's children only
    os.chdir(STAGE)
    for folder in (LOWER, EMPTY_DIRECTORY, *folders):
        Path(folder).mkdir()
    for index, descriptor in enumerate(descriptors):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            stage_folder(descriptor, index)
        else:
            with open(descriptor, "rb") as source, Path(STAGE, str(index)).open("wb") as copy:  # noqa: PTH123
                copy.write(source.read())
    os.chdir("/")


def stage_folder(descriptor: int, index: int) -> None:
    """Shows a folder through an overlay: a bind mount would tell in /proc/self/mountinfo where it comes from.

    Relative to the stage, since an overlay tells there what it was given.
    """
    lower, target = f"{LOWER}/{index}", str(index)
    Path(lower).mkdir()
    Path(target).mkdir()
    mount(f"/proc/self/fd/{descriptor}", lower, "", MS_BIND | MS_REC)
    os.close(descriptor)
    if not try_mount(
        "overlay", target, "overlay", MS_NOSUID | MS_NODEV, f"lowerdir={lower}:{Path(EMPTY_DIRECTORY).name}"
    ):
        mount(lower, target, "", MS_BIND | MS_REC)  # a kernel older than 5.11, or a file system that takes no overlay


def become(uid: int) -> None:
    """Drops root for good."""
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    libc.prctl(SET_DUMPABLE, 1, 0, 0, 0)  # or the process could not write its own uid_map


def unshare(*, user: bool) -> None:
    """Enters new namespaces; with `user`, as their root, which is nobody outside of them."""
    uid, gid = os.getuid(), os.getgid()
    check(libc.unshare(CLONE_NEWNS | (CLONE_NEWUSER | CLONE_NEWNET if user else 0)), "unshare")
    if user:
        for name, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
            Path(f"/proc/self/{name}").write_text(text)
        for name, most in USER_NAMESPACE_LIMITS.items():
            with suppress(OSError):  # an older kernel, or a container whose /proc/sys is read-only
                Path("/proc/sys/user", name).write_text(str(most))
    make_mounts_private()


def enable_loopback() -> None:
    """The only network that the sandbox has."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        answer = fcntl.ioctl(control, SIOCGIFFLAGS, struct.pack("16sH14x", b"lo", 0))
        flags = struct.unpack_from("16sH", answer)[1]
        fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", flags | IFF_UP))


def add_address(number: int, address: str) -> None:
    """Adds an address to loopback, under a label of its own."""
    label = f"lo:{number}".encode()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        for request, value in ((SIOCSIFADDR, address), (SIOCSIFNETMASK, "255.255.255.255")):
            fcntl.ioctl(control, request, struct.pack("16sHH4s8x", label, socket.AF_INET, 0, socket.inet_aton(value)))


def block_networks(networks: list[str]) -> None:
    """Makes routes that lead nowhere, before there is one that leads somewhere."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        for network in networks:
            address, _, length = network.partition("/")
            mask = socket.inet_ntoa(((1 << 32) - (1 << 32 - int(length))).to_bytes(4, "big"))
            fcntl.ioctl(control, SIOCADDRT, struct.pack(ROUTE, 0, *map(socket_address, (address, mask)), REJECT))


def socket_address(address: str) -> bytes:
    """A sockaddr_in."""
    return struct.pack("HH4s8x", socket.AF_INET, 0, socket.inet_aton(address))


def send_descriptors(addresses: list[tuple[str, int]], channel: int, *, namespaces: bool) -> None:
    """Opens listeners in this network namespace and passes them to the emulator, which stays outside of it.

    With `namespaces`, those that a way to the outside world joins follow: the user's, and the network's.
    """
    listeners: list[socket.socket] = []
    for number, (address, port) in enumerate(addresses):
        if not address.startswith(LOOPBACK_NETWORK):
            add_address(number, address)
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.bind((address, port))
        listener.listen(BACKLOG)
        listeners.append(listener)
    descriptors = [os.open(f"/proc/self/ns/{kind}", os.O_RDONLY) for kind in ("user", "net") if namespaces]
    with socket.socket(fileno=os.dup(channel)) as emulator:
        socket.send_fds(emulator, [b"L"], [*(listener.fileno() for listener in listeners), *descriptors])
    for listener in listeners:
        listener.close()
    for descriptor in descriptors:
        os.close(descriptor)


def memory_file(name: str, text: str) -> int:
    """Returns a descriptor to read a text from."""
    descriptor = os.memfd_create(name, 0)
    os.write(descriptor, text.encode())
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def main(plan: dict[str, Any]) -> None:
    """Follows the plan to the point where this process is bwrap."""
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    os.close(nothing)
    for group in plan["control_groups"]:
        Path(group).write_text(str(os.getpid()))
    writable: dict[str, dict[str, int]] = plan["writable"]
    if plan["uid"] is not None:
        unshare(user=False)
        stage(plan["sources"], list(writable))
        become(plan["uid"])
        unshare(user=True)
    else:
        unshare(user=True)
        stage(plan["sources"], list(writable))
    for name, size in writable.items():
        options = f"size={size['bytes']},nr_inodes={size['files']},mode=755"
        mount("tmpfs", f"{STAGE}/{name}", "tmpfs", MS_NOSUID | MS_NODEV, options)
    for folder in plan["directories"]:
        Path(STAGE, folder).mkdir()
        Path(STAGE, folder).chmod(0o755)
    enable_loopback()
    block_networks(plan["blocked_networks"])
    send_descriptors(plan["listeners"], plan["channel"], namespaces=plan["internet"])
    # Both by descriptor: on the command line they would be for everybody to read.
    options_descriptor = memory_file("options", "".join(f"{option}\0" for option in plan["options"]))
    configuration_descriptor = memory_file("configuration", plan["configuration"])
    os.dup2(configuration_descriptor, 0)
    os.close(configuration_descriptor)
    os.execve(plan["bwrap"], ["bwrap", "--args", str(options_descriptor), "--", *plan["command"]], {})  # noqa: S606


if __name__ == "__main__":
    try:
        main(json.load(sys.stdin))
    except OSError as error:
        sys.exit(f"{error.filename or 'the sandbox'}: {error.strerror}")
