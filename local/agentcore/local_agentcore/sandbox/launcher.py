"""The first process of a sandbox: joins control groups, drops privileges, creates namespaces and executes bwrap.

Runs as `python -I -S launcher.pyc` and reads a plan, one JSON object, from standard input. It imports only the standard
library, and before it changes the user: the new user may not be able to read this Python's directory. Every start of a
sandbox waits for these imports, so it uses strings instead of `pathlib`, and no `typing` or `contextlib`.

As root, it first stages the files of the sandbox in a private mount namespace, because the unprivileged user may not be
able to traverse their parent directories (such as /root), and then becomes a user that no other sandbox has. For every
user, it then creates user, network and mount namespaces, enables loopback, opens the listeners that the emulator
serves, and mounts the writable file systems, because bwrap cannot limit their number of files.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import resource
import signal
import socket
import stat
import struct
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

STAGE = "/tmp"  # noqa: S108  covered by a tmpfs in a private mount namespace
LOWER, HIDDEN, EMPTY_DIRECTORY, EMPTY_FILE = "lower", "hidden", f"{STAGE}/nothing", f"{STAGE}/empty"
STAGE_OPTIONS = "size=8m,nr_inodes=4096,mode=755"
DEVICES = f"{STAGE}/dev"
TERMINALS = f"{DEVICES}/pts"
DEVICE_NUMBERS = {"null": (1, 3), "zero": (1, 5), "full": (1, 7), "random": (1, 8), "urandom": (1, 9), "tty": (5, 0)}
DEVICE_LINKS = {
    "fd": "/proc/self/fd",
    "stdin": "/proc/self/fd/0",
    "stdout": "/proc/self/fd/1",
    "stderr": "/proc/self/fd/2",
    "ptmx": "pts/ptmx",
}
WHITEOUT = os.makedev(0, 0)
"""The device that hides a name in a lower directory of an overlay. Every user may create it (since Linux 5.8)."""
CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWNET = 0x00020000, 0x10000000, 0x40000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT = 1, 2, 4, 8, 32
MS_BIND, MS_REC, MS_PRIVATE = 4096, 16384, 1 << 18
SET_DUMPABLE = 4
INOTIFY_INSTANCES, INOTIFY_WATCHES = 32, 16_384
"""Limits of the user namespace. Without them, sandboxes of an ordinary user would share that user's inotify limits."""
SIOCGIFFLAGS, SIOCSIFFLAGS, SIOCSIFADDR, SIOCSIFNETMASK, IFF_UP = 0x8913, 0x8914, 0x8916, 0x891C, 0x1
LOOPBACK_NETWORK = "127."
NO_CORE_DUMP = 1
"""With a limit of 0 bytes, a crash would still start the host's handler of core dumps (`kernel.core_pattern`), as root
and outside of the sandbox. Linux treats 1 as "no handler", and no dump fits into it."""
BACKLOG = 128
IPV6_OF_NEW_DEVICES = "/proc/sys/net/ipv6/conf/default/disable_ipv6"
TCP_BUFFER_BYTES = 106_496
"""Maximum of each of a TCP connection's two buffers: half of what a Unix socket buffers. All processes of the machine
share the memory for TCP (`net.ipv4.tcp_mem`); with the default of some MiB, a few hundred connections would take it."""
MIN_TCP_BUFFER_BYTES = 4096
SIOCADDRT, REJECT = 0x890B, 0x0201
ROUTE = "L16s16x16sH62x"
"""Format of `struct rtentry`: padding, destination, gateway, mask and flags (RTF_UP | RTF_REJECT)."""

UMASK = 0o022
FIXED_SIGNALS = {signal.SIGKILL, signal.SIGSTOP}
"""Signals whose handling cannot be changed."""

libc = ctypes.CDLL(None, use_errno=True)


def check(result: int, action: str) -> None:
    """Exits with a message if a system call failed."""
    if result != 0:
        sys.exit(f"{action}: {os.strerror(ctypes.get_errno())}")


def reset_inherited_state() -> None:
    """Resets what the programs of the sandbox would inherit from the process that started the emulator.

    A shell may have started it in the background, where SIGINT and SIGQUIT are ignored, by `nohup`, or with a umask
    that hides staged files from the user of the sandbox.
    """
    os.umask(UMASK)
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (NO_CORE_DUMP, NO_CORE_DUMP))
    except ValueError:  # the hard limit of an ordinary user is 0
        pass
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    for number in signal.valid_signals() - FIXED_SIGNALS:
        signal.signal(number, signal.SIG_DFL)


def write(path: str, content: bytes) -> None:
    """Writes a file with one system call, as the files of the kernel require."""
    with open(path, "wb", buffering=0) as file:
        file.write(content)


def try_mount(source: str, target: str, kind: str, flags: int, data: str = "") -> bool:
    """Calls mount(2). Returns whether it succeeded."""
    return libc.mount(source.encode(), target.encode(), kind.encode(), flags, data.encode()) == 0


def mount(source: str, target: str, kind: str, flags: int, data: str = "") -> None:
    """Mounts a file system. Exits with a message on failure."""
    check(0 if try_mount(source, target, kind, flags, data) else -1, f"mount {kind or source} on {target}")


def make_mounts_private() -> None:
    """Hides later mounts from all other mount namespaces."""
    mount("none", "/", "", MS_REC | MS_PRIVATE)


def stage(sources: list[dict[str, Any]], directories: list[str], devices: dict[str, str]) -> bool:
    """Makes each source readable for every user below STAGE, and creates directories there.

    Returns:
        Whether code cannot observe the host's use of the sources by inotify.
    """
    # Opened before /tmp is covered, which may contain them.
    descriptors = [os.open(source["path"], os.O_RDONLY) for source in sources]
    mount("tmpfs", STAGE, "tmpfs", MS_NOSUID | MS_NODEV, STAGE_OPTIONS)
    os.chdir(STAGE)
    for directory in (LOWER, HIDDEN, EMPTY_DIRECTORY, *directories):
        os.makedirs(directory)
    write(EMPTY_FILE, b"")
    overlaid: list[bool] = []
    for index, (source, descriptor) in enumerate(zip(sources, descriptors, strict=True)):
        name = source["name"]
        os.makedirs(os.path.dirname(name) or ".", exist_ok=True)
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            overlaid.append(stage_directory(descriptor, index, name, source["shown"]))
        else:
            with open(descriptor, "rb") as file:
                write(name, file.read())
    stage_devices(devices)
    os.chdir("/")
    return all(overlaid)


def stage_directory(descriptor: int, index: int, name: str, shown: dict[str, list[str]]) -> bool:
    """Mounts a directory through an overlay. Returns False if it had to be bound instead.

    An overlay has its own inodes, so that inotify does not report what the host does with the files, and hides names.
    /proc/self/mountinfo shows the source path of a bind mount and the options of an overlay, so its paths are relative
    to the stage.

    Args:
        descriptor: The directory.
        index: Number of the source.
        name: Path of the mount in the stage.
        shown: Names that are visible, by the path of a directory in it. All others there are hidden.
    """
    lower, hidden = f"{LOWER}/{index}", f"{HIDDEN}/{index}"
    for directory in (lower, name):
        os.makedirs(directory, exist_ok=True)
    mount(f"/proc/self/fd/{descriptor}", lower, "", MS_BIND | MS_REC)
    os.close(descriptor)
    unwanted = [
        os.path.join(directory, entry)
        for directory, entries in shown.items()
        if os.path.isdir(os.path.join(lower, directory))
        for entry in os.listdir(os.path.join(lower, directory))
        if entry not in entries
    ]
    try:
        for path in unwanted:
            os.makedirs(os.path.dirname(f"{hidden}/{path}"), exist_ok=True)
            os.mknod(f"{hidden}/{path}", stat.S_IFCHR, WHITEOUT)
        # Linux requires two lower directories if there is no upper one.
        layers = f"{hidden}:{lower}" if unwanted else f"{lower}:{os.path.basename(EMPTY_DIRECTORY)}"
        overlaid = try_mount("overlay", name, "overlay", MS_NOSUID | MS_NODEV, f"lowerdir={layers}")
    except PermissionError:  # a kernel before 5.8
        overlaid = False
    if not overlaid:  # a kernel before 5.11, or a file system that does not support overlays
        for path in unwanted:
            covered = f"{lower}/{path}"
            if not os.path.islink(covered):  # the name of a link discloses nothing
                mount(EMPTY_DIRECTORY if os.path.isdir(covered) else EMPTY_FILE, covered, "", MS_BIND)
        mount(lower, name, "", MS_BIND | MS_REC)
    return overlaid


def stage_devices(devices: dict[str, str]) -> None:
    """Creates the device nodes. An ordinary user cannot create any, so those of the host are bound.

    Args:
        devices: Names of devices by file name.
    """
    mount("tmpfs", DEVICES, "tmpfs", MS_NOSUID | MS_NOEXEC, "size=64k,nr_inodes=64,mode=755")
    for name, device in devices.items():
        node = f"{DEVICES}/{name}"
        try:
            os.mknod(node, stat.S_IFCHR, os.makedev(*DEVICE_NUMBERS[device]))
        except PermissionError:
            write(node, b"")
            mount(f"/dev/{device}", node, "", MS_BIND)
        else:
            os.chmod(node, 0o666)
    for name, target in DEVICE_LINKS.items():
        os.symlink(target, f"{DEVICES}/{name}")
    for name in ("pts", "shm"):
        os.mkdir(f"{DEVICES}/{name}")
    # Not by bwrap's --remount-ro, which also adds "nodev".
    mount("none", DEVICES, "", MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NOEXEC)


def drop_privileges(uid: int) -> None:
    """Drops root privileges permanently."""
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    libc.prctl(SET_DUMPABLE, 1, 0, 0, 0)  # otherwise the process could not write its uid_map


def unshare(*, user: bool) -> None:
    """Enters a new mount namespace. With `user`, also enters new user and network namespaces, as their root."""
    uid, gid = os.getuid(), os.getgid()
    check(libc.unshare(CLONE_NEWNS | (CLONE_NEWUSER | CLONE_NEWNET if user else 0)), "unshare")
    if user:
        for name, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
            write(f"/proc/self/{name}", text.encode())
    make_mounts_private()


def limit_inotify(*, private: bool) -> None:
    """Limits the use of inotify in this user namespace. Prevents it if code could observe the host."""
    watches = INOTIFY_WATCHES if private else 0
    for name, limit in (("max_inotify_instances", INOTIFY_INSTANCES), ("max_inotify_watches", watches)):
        try:
            write(f"/proc/sys/user/{name}", str(limit).encode())
        except OSError as error:  # an older kernel, or a container whose /proc/sys is read-only
            if not private:
                sys.exit(f"code could observe the host's files: no overlay, and {name} is not writable: {error}")


def limit_tcp_buffers() -> None:
    """Limits the buffers of TCP connections in this network namespace."""
    sizes = f"{MIN_TCP_BUFFER_BYTES} {{}} {TCP_BUFFER_BYTES}"
    for name, default in (("tcp_rmem", TCP_BUFFER_BYTES), ("tcp_wmem", 4 * MIN_TCP_BUFFER_BYTES)):
        try:
            write(f"/proc/sys/net/ipv4/{name}", sizes.format(default).encode())
        except OSError:  # a container whose /proc/sys is read-only
            pass


def enable_loopback() -> None:
    """Enables the loopback interface of this network namespace."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        request = fcntl.ioctl(control, SIOCGIFFLAGS, struct.pack("16sH14x", b"lo", 0))
        flags = struct.unpack_from("16sH", request)[1]
        fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", flags | IFF_UP))


def add_address(number: int, address: str) -> None:
    """Adds an address to loopback, under the label `lo:NUMBER`."""
    label = f"lo:{number}".encode()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        for request, value in ((SIOCSIFADDR, address), (SIOCSIFNETMASK, "255.255.255.255")):
            fcntl.ioctl(control, request, struct.pack("16sHH4s8x", label, socket.AF_INET, 0, socket.inet_aton(value)))


def block_networks(networks: list[str]) -> None:
    """Adds routes that reject packets to these networks, before internet access adds a default route."""
    if networks:
        try:
            write(IPV6_OF_NEW_DEVICES, b"1")  # slirp's tunnel needs no link-local neighbors
        except OSError:  # a kernel without IPv6, or a container whose /proc/sys is read-only
            pass
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        for network in networks:
            address, _, length = network.partition("/")
            mask = socket.inet_ntoa(((1 << 32) - (1 << 32 - int(length))).to_bytes(4, "big"))
            fcntl.ioctl(control, SIOCADDRT, struct.pack(ROUTE, 0, *map(socket_address, (address, mask)), REJECT))


def socket_address(address: str) -> bytes:
    """Returns a `struct sockaddr_in`."""
    return struct.pack("HH4s8x", socket.AF_INET, 0, socket.inet_aton(address))


def send_descriptors(
    addresses: list[tuple[str, int]], file_systems: list[str], channel: int, *, namespaces: bool
) -> None:
    """Opens listeners in this network namespace and sends them to the emulator, which is outside of it.

    Also sends descriptors of the writable file systems and of the terminals, which show their use. With `namespaces`,
    also sends those of the user and network namespaces, which internet access joins.
    """
    listeners: list[socket.socket] = []
    for number, (address, port) in enumerate(addresses):
        if not address.startswith(LOOPBACK_NETWORK):
            add_address(number, address)
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.bind((address, port))
        listener.listen(BACKLOG)
        listeners.append(listener)
    descriptors = [os.open(file_system, os.O_PATH | os.O_DIRECTORY) for file_system in file_systems]
    descriptors.append(os.open(TERMINALS, os.O_RDONLY | os.O_DIRECTORY))
    descriptors += [os.open(f"/proc/self/ns/{kind}", os.O_RDONLY) for kind in ("user", "net") if namespaces]
    with socket.socket(fileno=os.dup(channel)) as emulator:
        socket.send_fds(emulator, [b"L"], [*(listener.fileno() for listener in listeners), *descriptors])
    for listener in listeners:
        listener.close()
    for descriptor in descriptors:
        os.close(descriptor)


def memory_file(name: str, text: str) -> int:
    """Returns a descriptor from which a text can be read."""
    descriptor = os.memfd_create(name, 0)
    os.write(descriptor, text.encode())
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def main(plan: dict[str, Any]) -> None:
    """Performs the steps of the plan, then executes bwrap."""
    reset_inherited_state()
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    os.close(null)
    for group in plan["control_groups"]:
        write(group, str(os.getpid()).encode())
    writable: dict[str, dict[str, int]] = plan["writable"]
    staged = plan["sources"], [*writable, *plan["mount_points"], "dev"], plan["devices"]
    if plan["uid"] is not None:
        unshare(user=False)
        private = stage(*staged)
        drop_privileges(plan["uid"])
        unshare(user=True)
    else:
        unshare(user=True)
        private = stage(*staged)
    limit_inotify(private=private)
    # A separate instance, because the limit of the machine (/proc/sys/kernel/pty/max) is shared by all.
    terminals = f"newinstance,ptmxmode=0666,mode=620,max={plan['terminals']}"
    mount("devpts", TERMINALS, "devpts", MS_NOSUID | MS_NOEXEC, terminals)
    for name, size in writable.items():
        options = f"size={size['bytes']},nr_inodes={size['files']},mode=755"
        mount("tmpfs", f"{STAGE}/{name}", "tmpfs", MS_NOSUID | MS_NODEV, options)
    for directory in plan["directories"]:
        os.mkdir(f"{STAGE}/{directory}")
        os.chmod(f"{STAGE}/{directory}", 0o755)
    limit_tcp_buffers()
    enable_loopback()
    block_networks(plan["blocked_networks"])
    file_systems = [f"{STAGE}/{name}" for name in writable]
    send_descriptors(plan["listeners"], file_systems, plan["channel"], namespaces=plan["internet"])
    # By descriptor, because every process can read the command line.
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
