"""The system-call filter of a sandbox: it denies calls that sandboxed code never needs.

It is a second layer behind namespaces and dropped capabilities. It removes rarely used parts of the kernel and features
that namespaces do not isolate.
"""

from __future__ import annotations

import ctypes.util
import errno
import os
from functools import cache
from typing import Any

from ..errors import SandboxUnavailableError

DENIED_SYSCALLS = [
    "acct",
    "add_key",
    "adjtimex",
    "bpf",
    "chroot",
    "clock_adjtime",
    "clock_settime",
    "delete_module",
    "fanotify_init",
    "finit_module",
    "fsconfig",
    "fsmount",
    "fsopen",
    "fspick",
    "init_module",
    "io_uring_enter",
    "io_uring_register",
    "io_uring_setup",
    "kcmp",
    "kexec_file_load",
    "kexec_load",
    "keyctl",
    "lookup_dcookie",
    "mbind",
    "migrate_pages",
    "mount",
    "mount_setattr",
    "move_mount",
    "move_pages",
    "name_to_handle_at",
    "open_by_handle_at",
    "open_tree",
    "perf_event_open",
    "personality",
    "pidfd_getfd",
    "pivot_root",
    "process_vm_readv",
    "process_vm_writev",
    "ptrace",
    "quotactl",
    "reboot",
    "request_key",
    "set_mempolicy",
    "setns",
    "settimeofday",
    "swapoff",
    "swapon",
    "syslog",
    "umount2",
    "unshare",
    "userfaultfd",
    "vhangup",
]
UNCOUNTED_MEMORY_SYSCALLS = ["memfd_create", "memfd_secret", "mq_open", "msgget", "semget", "shmget"]
"""Calls that allocate memory which neither an rlimit nor a file system limits. Denied if no control group counts
memory."""
SOCKET_LEVEL, BUFFER_SIZES = 1, (7, 8)
"""SOL_SOCKET; SO_SNDBUF and SO_RCVBUF. These options have no effect if no control group counts socket buffers."""
NAMESPACE_FLAGS = 0x7E020080
"""CLONE_NEW: time, mount, cgroup, uts, ipc, user, pid, network."""
SHARED_ANONYMOUS = 0x21
"""MAP_SHARED | MAP_ANONYMOUS: memory that only a control group counts."""
TERMINAL_INPUT = (0x5412, 0x541C)
"""TIOCSTI and TIOCLINUX, which insert characters into the input of a terminal."""
SOCKET_FAMILIES = (1, 2, 10, 16)
"""Unix, IPv4, IPv6, netlink. Others, such as AF_VSOCK, are not isolated by network namespaces."""


@cache
def program(*, memory_is_counted: bool) -> bytes:
    """Returns the filter as a BPF program for `bwrap --seccomp`.

    Args:
        memory_is_counted: Whether a control group counts memory.

    Raises:
        SandboxUnavailableError: The libseccomp library is not installed.
    """
    if ctypes.util.find_library("seccomp") is None:
        raise SandboxUnavailableError("libseccomp is not installed", "sudo apt-get install libseccomp2")
    import pyseccomp  # pyright: ignore[reportMissingTypeStubs]  # loads libseccomp when imported

    seccomp: Any = pyseccomp
    deny, unsupported = seccomp.ERRNO(errno.EPERM), seccomp.ERRNO(errno.EAFNOSUPPORT)
    rules = seccomp.SyscallFilter(seccomp.ALLOW)  # libseccomp kills the process on 32-bit and x32 calls
    for name in DENIED_SYSCALLS if memory_is_counted else DENIED_SYSCALLS + UNCOUNTED_MEMORY_SYSCALLS:
        rules.add_rule(deny, name)
    if not memory_is_counted:
        rules.add_rule(deny, "mmap", seccomp.Arg(3, seccomp.MASKED_EQ, SHARED_ANONYMOUS, SHARED_ANONYMOUS))
        for option in BUFFER_SIZES:
            level, name = seccomp.Arg(1, seccomp.EQ, SOCKET_LEVEL), seccomp.Arg(2, seccomp.EQ, option)
            rules.add_rule(seccomp.ERRNO(0), "setsockopt", level, name)
    rules.add_rule(
        seccomp.ERRNO(errno.ENOSYS), "clone3"
    )  # BPF cannot read its flags through a pointer; libc falls back to clone
    for flag in (1 << bit for bit in range(32) if NAMESPACE_FLAGS >> bit & 1):
        rules.add_rule(deny, "clone", seccomp.Arg(0, seccomp.MASKED_EQ, flag, flag))
    for request in TERMINAL_INPUT:
        rules.add_rule(deny, "ioctl", seccomp.Arg(1, seccomp.MASKED_EQ, 0xFFFFFFFF, request))
    for family in set(range(max(SOCKET_FAMILIES))) - set(SOCKET_FAMILIES):
        rules.add_rule(unsupported, "socket", seccomp.Arg(0, seccomp.EQ, family))
    rules.add_rule(unsupported, "socket", seccomp.Arg(0, seccomp.GT, max(SOCKET_FAMILIES)))
    descriptor = os.memfd_create("seccomp")
    with open(descriptor, "w+b") as file:  # noqa: PTH123  a descriptor
        rules.export_bpf(file)
        file.seek(0)
        return file.read()
