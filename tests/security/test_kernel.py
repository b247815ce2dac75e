"""What code asks of the kernel to get out or to get more, and the kernel refuses.

The control is the same call, made on the host in the same test: the tables tell what it does there.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from tests.security.conftest import ORDINARY_USER
from tests.security.speakers import Room, attempt, call
from tests.security.unconfined import answers_on_the_host

if TYPE_CHECKING:
    from tests.security.conftest import Attacker, Host
    from tests.security.speakers import Attempt, Speaker

CLONE_NEWUSER, CLONE_NEWNS, CLONE_NEWNET, SIGCHLD = 0x10000000, 0x00020000, 0x40000000, 17
AT_FDCWD = -100

GRANTED_TO_ANYBODY = {
    "a process in a user namespace": call("clone", CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0),
    "tracing": call("ptrace", 0, 0, 0, 0),
    "a personality": call("personality", 0x0040000),
    "keys": call("keyctl", 0, -3, 0),
    "a key": call("add_key", "user", "mine", "x", 1, -3),
    "io_uring": call("io_uring_setup", 8, Room(256)),
    "a user namespace": call("unshare", CLONE_NEWUSER),
    "a network namespace": call("unshare", CLONE_NEWUSER | CLONE_NEWNET),
}
"""On the host, the same call succeeds for an ordinary user, and for root."""
GRANTED_TO_ROOT = {
    "a mount namespace": call("unshare", CLONE_NEWNS),
    "a mount": call("mount", "none", "/tmp", "tmpfs", 0, 0),  # noqa: S108  the sandbox's own
    "a mount by the newer calls": call("fsopen", "tmpfs", 0),
    "a tree of mounts": call("open_tree", AT_FDCWD, "/tmp", 1),  # noqa: S108
    "an unmount": call("umount2", "/tmp", 2),  # noqa: S108
    "another root": call("chroot", "/tmp"),  # noqa: S108
    "seizing process 1": call("ptrace", 0x4206, 1, 0, 0),
    "comparing processes": call("kcmp", 1, 1, 0, 0, 0),
    "another's pages": call("move_pages", 1, 0, 0, 0, 0, 0),
    "the kernel's log": call("syslog", 3, Room(8), 8),
    "user page faults": call("userfaultfd", 0),
    "marks on files": call("fanotify_init", 0, 0),
    "the time": call("settimeofday", 0, 0),  # to what it is
    "a host name": call("sethostname", "x", 1),
    "a domain name": call("setdomainname", "x", 1),
    "a character device": call("mknodat", AT_FDCWD, "device", 0o20666, 0x103),
    "a block device": call("mknodat", AT_FDCWD, "disk", 0o60666, 0x800),
    "root's group": call("setgroups", 1, Room(4)),
    "memory that stays": call("mlockall", 1),
    "the disk before others": call("ioprio_set", 1, 0, 1 << 13),
    "input for a terminal": call("ioctl", 1, 0x5412, "x"),
}
"""On the host, the same call succeeds for root."""
CONSIDERED = {
    "another's namespace": call("setns", 0, 0),
    "another's memory": call("process_vm_readv", 1, 0, 0, 0, 0, 0),
    "writing another's memory": call("process_vm_writev", 1, 0, 0, 0, 0, 0),
    "another's descriptors": call("pidfd_getfd", 0, 0, 0),
    "files by handle": call("open_by_handle_at", 0, 0, 0),
    "BPF": call("bpf", 0, 0, 0),
    "performance events": call("perf_event_open", 0, 0, -1, -1, 0),
    "quotas": call("quotactl", 0, 0, 0, 0),
    "a pivot": call("pivot_root", "/tmp", "/tmp"),  # noqa: S108
    "a module": call("init_module", 0, 0, ""),
    "a module's file": call("finit_module", 0, "", 0),
    "another kernel": call("kexec_load", 0, 0xFFFF, 0, 0),  # too many segments: nothing is loaded, and nothing unloaded
    "a restart": call("reboot", 0, 0, 0, 0),  # without its magic number
    "swap": call("swapon", "/tmp", 0),  # noqa: S108
    "input for the console": call("ioctl", 1, 0x541C, "x"),
}
"""On the host, the kernel grants root the right, looks at the arguments, and refuses those with another errno."""
REFUSED = GRANTED_TO_ANYBODY | GRANTED_TO_ROOT | CONSIDERED
"""Each is EPERM in a sandbox: the filter refuses it, or for want of a capability the kernel does."""
REFUSED_OTHERWISE = {
    "root": (call("setuid", 0), "EINVAL"),  # no such user in the namespace
    "root's group alone": (call("setgid", 0), "EINVAL"),
    "a namespace behind a pointer": (call("clone3", Room(88), 88), "ENOSYS"),
    "the processor before others": (call("setpriority", 0, 0, -20), "EACCES"),
    "packets": (call("socket", 17, 3, 0), "EAFNOSUPPORT"),
    "a hypervisor's socket": (call("socket", 40, 1, 0), "EAFNOSUPPORT"),
    "the kernel's cryptography": (call("socket", 38, 5, 0), "EAFNOSUPPORT"),
    "Bluetooth": (call("socket", 31, 3, 0), "EAFNOSUPPORT"),
}
"""On the host, the same call succeeds for root, but for what a kernel may have been built without."""
MAY_BE_ABSENT = {"a hypervisor's socket", "the kernel's cryptography", "Bluetooth"}
ALLOWED = {"its own id": call("getpid"), "a FIFO": call("mknodat", AT_FDCWD, "fifo", 0o10644, 0)}


def test_the_kernel_refuses(attacker: Attacker, speaker: Speaker) -> None:
    others = {name: one for name, (one, _) in REFUSED_OTHERWISE.items()}
    assert_the_host_does_not(others)
    answers = speaker.tries(attacker, ALLOWED | REFUSED | others)
    expected = dict.fromkeys(ALLOWED, "ok") | dict.fromkeys(REFUSED, "EPERM")
    assert answers == expected | {name: answer for name, (_, answer) in REFUSED_OTHERWISE.items()}


def assert_the_host_does_not(others: dict[str, Attempt]) -> None:
    """Makes the same calls outside of a sandbox. Those that only root may make tell something to root alone."""
    ordinary = answers_on_the_host(GRANTED_TO_ANYBODY, user=ORDINARY_USER if os.geteuid() == 0 else None)
    assert ordinary == dict.fromkeys(GRANTED_TO_ANYBODY, "ok")
    if os.geteuid() != 0:
        return
    answers = answers_on_the_host(ALLOWED | REFUSED | others)
    assert {name for name in CONSIDERED if answers.pop(name) in {"ok", "EPERM"}} == set()
    refused = {name: answer for name, answer in answers.items() if answer != "ok"}
    assert {name: answer for name, answer in refused.items() if name not in MAY_BE_ABSENT} == {}
    assert set(refused.values()) <= {"EAFNOSUPPORT"}


CAPABILITIES = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")


def test_it_has_no_capability_and_cannot_gain_one(attacker: Attacker, speaker: Speaker) -> None:
    status = speaker.tries(attacker, {"status": attempt("read", "/proc/self/status")})["status"]
    lines = status_lines(status.replace("|", "\n"))
    assert {int(lines[name], 16) for name in CAPABILITIES} == {0}
    assert (lines["NoNewPrivs"], lines["Seccomp"]) == ("1", "2")
    own = status_lines(Path("/proc/self/status").read_text())
    assert (own["NoNewPrivs"], own["Seccomp"]) == ("0", "0")  # and not because all processes here are so


def test_an_ordinary_users_emulator_is_one(host: Host) -> None:
    lines = status_lines(Path(f"/proc/{host.process}/status").read_text())
    powers = {int(lines[name], 16) for name in CAPABILITIES if name != "CapBnd"}
    users = {int(number) for number in lines["Uid"].split()}
    if host.user.name == "root":
        assert (users, len(powers)) == ({0}, 2)
    else:
        assert (0 in users, powers) == (False, {0})
    assert Path(f"/proc/{host.process}/ns/user").readlink() == Path("/proc/self/ns/user").readlink()


def status_lines(text: str) -> dict[str, str]:
    """Returns a process's status by name."""
    return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)
