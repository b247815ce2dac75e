"""System calls and other attempts as data, so that tests can make the same attempt in a sandbox and on the host."""

from __future__ import annotations

import os
from dataclasses import dataclass

MACHINES = ("x86_64", "aarch64")
NUMBERS = {
    "add_key": (248, 217),
    "bpf": (321, 280),
    "cachestat": (451, 451),
    "chroot": (161, 51),
    "clone": (56, 220),
    "clone3": (435, 435),
    "close": (3, 57),
    "fanotify_init": (300, 262),
    "fcntl": (72, 25),
    "finit_module": (313, 273),
    "fsopen": (430, 430),
    "getpid": (39, 172),
    "init_module": (175, 105),
    "inotify_init1": (294, 26),
    "io_setup": (206, 0),
    "io_uring_setup": (425, 425),
    "ioctl": (16, 29),
    "ioprio_set": (251, 30),
    "kcmp": (312, 272),
    "kexec_load": (246, 104),
    "keyctl": (250, 219),
    "kill": (62, 129),
    "landlock_create_ruleset": (444, 444),
    "listmount": (458, 458),
    "lsm_list_modules": (461, 461),
    "mbind": (237, 235),
    "memfd_secret": (447, 447),
    "mknodat": (259, 33),
    "mlockall": (151, 230),
    "mmap": (9, 222),
    "modify_ldt": (154, -1),
    "mount": (165, 40),
    "move_pages": (279, 239),
    "mq_open": (240, 180),
    "msgget": (68, 186),
    "open_by_handle_at": (304, 265),
    "open_tree": (428, 428),
    "perf_event_open": (298, 241),
    "personality": (135, 92),
    "pidfd_getfd": (438, 438),
    "pivot_root": (155, 41),
    "prctl": (157, 167),
    "process_madvise": (440, 440),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "ptrace": (101, 117),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "reboot": (169, 142),
    "seccomp": (317, 277),
    "semget": (64, 190),
    "setdomainname": (171, 162),
    "setgid": (106, 144),
    "setgroups": (116, 159),
    "sethostname": (170, 161),
    "setns": (308, 268),
    "setpriority": (141, 140),
    "setsockopt": (54, 208),
    "settimeofday": (164, 170),
    "setuid": (105, 146),
    "shmget": (29, 194),
    "socket": (41, 198),
    "socketpair": (53, 199),
    "statmount": (457, 457),
    "swapon": (167, 224),
    "syslog": (103, 116),
    "umount2": (166, 39),
    "unshare": (272, 97),
    "userfaultfd": (323, 282),
    "vmsplice": (278, 75),
    "write": (1, 64),
}
"""System call numbers for each machine, -1 if it has none. libc has no function for some of these calls."""


def number_of(name: str) -> int:
    """Returns a system call's number on this machine. The sandbox runs on the same kernel."""
    return NUMBERS[name][MACHINES.index(os.uname().machine)]


@dataclass(frozen=True)
class Buffer:
    """An empty buffer passed to a system call by address. `size` is in bytes."""

    size: int


@dataclass(frozen=True)
class Attempt:
    """A verb that a language's prelude defines, and its arguments."""

    verb: str
    arguments: tuple[int | str | Buffer, ...]


def attempt(verb: str, *arguments: int | str) -> Attempt:
    """Returns an attempt.

    Every language defines `read` (a file) and `names` (entries of a directory). The shell also defines `udp`. Python
    defines all verbs: `write`, `read_link`, `fifo` and `connect` (to a Unix socket; `@` starts an abstract name) take a
    path; `tcp` and `udp` take a host and a port; `resolve` takes a host name; `hard_link` and `symbolic_link` take a
    target and a link name; `signal_to` takes a process id and a signal number.
    """
    return Attempt(verb, arguments)


def call(name: str, *arguments: int | str | Buffer) -> Attempt:
    """Returns a system call as an attempt. Strings and buffers are passed by address."""
    return Attempt("call", (number_of(name), *arguments))
