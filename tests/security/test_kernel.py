"""System calls that would let code leave the sandbox or gain rights. The kernel refuses them.

The control is the same call on the host in the same test. The tables state what it does there.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.languages import PYTHON
from tests.support.sandbox_host import ORDINARY_USER, each_user, each_user_and_language
from tests.support.system_calls import Buffer, attempt, call
from tests.support.unsandboxed_calls import outcomes_on_host

if TYPE_CHECKING:
    from tests.support.hostile_session import Attacker
    from tests.support.languages import Language
    from tests.support.sandbox_host import Host
    from tests.support.system_calls import Attempt

CLONE_NEWUSER, CLONE_NEWNS, CLONE_NEWNET, SIGCHLD = 0x10000000, 0x00020000, 0x40000000, 17
AT_FDCWD = -100
SOL_SOCKET, UPPER = 1, 1 << 40
NETLINK_PROTOCOLS = (2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 14, 15, 16, 18, 19, 20, 21, 22)
"""All except NETLINK_ROUTE (0)."""

ALLOWED_FOR_EVERY_USER = {
    "a process in a user namespace": call("clone", CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0),
    "tracing": call("ptrace", 0, 0, 0, 0),
    "a personality": call("personality", 0x0040000),
    "keys": call("keyctl", 0, -3, 0),
    "a key": call("add_key", "user", "mine", "x", 1, -3),
    "io_uring": call("io_uring_setup", 8, Buffer(256)),
    "an asynchronous I/O context": call("io_setup", 1, Buffer(8)),
    "a message queue": call("mq_open", "mine", 0o102, 0o600, 0),
    "System V messages": call("msgget", 0, 0o1600),
    "System V semaphores": call("semget", 0, 1, 0o1600),
    "System V memory": call("shmget", 0, 4096, 0o1600),
    "a user namespace": call("unshare", CLONE_NEWUSER),
    "a network namespace": call("unshare", CLONE_NEWUSER | CLONE_NEWNET),
}
"""On the host, these calls succeed for an ordinary user and for root."""
ALLOWED_FOR_ROOT = {
    "a mount namespace": call("unshare", CLONE_NEWNS),
    "a mount": call("mount", "none", "/tmp", "tmpfs", 0, 0),  # noqa: S108  the sandbox's own
    "a mount by the newer calls": call("fsopen", "tmpfs", 0),
    "a tree of mounts": call("open_tree", AT_FDCWD, "/tmp", 1),  # noqa: S108
    "an unmount": call("umount2", "/tmp", 2),  # noqa: S108
    "another root": call("chroot", "/tmp"),  # noqa: S108
    "seizing process 1": call("ptrace", 0x4206, 1, 0, 0),
    "comparing processes": call("kcmp", 1, 1, 0, 0, 0),
    "another process's pages": call("move_pages", 1, 0, 0, 0, 0, 0),
    "the kernel's log": call("syslog", 3, Buffer(8), 8),
    "user page faults": call("userfaultfd", 0),
    "marks on files": call("fanotify_init", 0, 0),
    "the time": call("settimeofday", 0, 0),  # keeps the time
    "a host name": call("sethostname", "x", 1),
    "a domain name": call("setdomainname", "x", 1),
    "a character device": call("mknodat", AT_FDCWD, "device", 0o20666, 0x103),
    "a block device": call("mknodat", AT_FDCWD, "disk", 0o60666, 0x800),
    "root's group": call("setgroups", 1, Buffer(4)),
    "locked memory": call("mlockall", 1),
    "disk priority": call("ioprio_set", 1, 0, 1 << 13),
    "input for a terminal": call("ioctl", 1, 0x5412, "x"),
    **({"a segment table": call("modify_ldt", 0, Buffer(8), 8)} if os.uname().machine == "x86_64" else {}),
}
"""On the host, these calls succeed for root."""
PERMITTED_BUT_INVALID = {
    "another process's namespace": call("setns", 0, 0),
    "another process's memory": call("process_vm_readv", 1, 0, 0, 0, 0, 0),
    "writing another process's memory": call("process_vm_writev", 1, 0, 0, 0, 0, 0),
    "another process's descriptors": call("pidfd_getfd", 0, 0, 0),
    "files by handle": call("open_by_handle_at", 0, 0, 0),
    "BPF": call("bpf", 0, 0, 0),
    "performance events": call("perf_event_open", 0, 0, -1, -1, 0),
    "quotas": call("quotactl", 0, 0, 0, 0),
    "a pivot": call("pivot_root", "/tmp", "/tmp"),  # noqa: S108
    "a module": call("init_module", 0, 0, ""),
    "a module's file": call("finit_module", 0, "", 0),
    "another kernel": call("kexec_load", 0, 0xFFFF, 0, 0),  # too many segments: the call loads and unloads nothing
    "a restart": call("reboot", 0, 0, 0, 0),  # without the magic number
    "swap": call("swapon", "/tmp", 0),  # noqa: S108
    "input for the console": call("ioctl", 1, 0x541C, "x"),
    # Without a program and without a socket, so that no filter exists even if the call is allowed.
    "a socket filter": call("setsockopt", 0, SOL_SOCKET, 26, 0, 0),
    "a BPF socket filter": call("setsockopt", 0, SOL_SOCKET, 50, 0, 0),
    "a port-sharing filter": call("setsockopt", 0, SOL_SOCKET, 51, 0, 0),
    "a BPF port-sharing filter": call("setsockopt", 0, SOL_SOCKET, 52, 0, 0),
    "a socket filter, upper half set": call("setsockopt", 0, SOL_SOCKET | UPPER, 26 | UPPER, 0, 0),
    "a nested filter": call("seccomp", 1, 0, 0),
    "a nested filter by prctl": call("prctl", 22, 2, 0, 0, 0),
    "a nested filter by prctl, upper half set": call("prctl", 22 | UPPER, 2, 0, 0, 0),
    "a mount's description": call("statmount", 0, 0, 0, 0),
    "a list of mounts": call("listmount", 0, 0, 0, 0),
    "the page cache": call("cachestat", -1, 0, 0, 0),
    "secret memory": call("memfd_secret", -1),
    "memory on a node": call("mbind", 1, 0, 99, 0, 0, 0),
    "quotas by descriptor": call("quotactl_fd", -1, 0, 0, 0),
    "another process's advice": call("process_madvise", -1, 0, 0, 0, 0),
    "gifted pages": call("vmsplice", -1, 0, 0, 0),
    "security modules": call("lsm_list_modules", 0, 0, 1),
    "a Landlock rule set": call("landlock_create_ruleset", 0, 1, 9),
    "observed directories": call("fcntl", -1, 1026, 0),
    "huge pages": call("mmap", 0, 0, 3, 0x40022, -1, 0),
    "a kernel's multipath protocol": call("socketpair", 2, 1, 262, 0),
}
"""On the host, root may make these calls. They fail because of their arguments, with another errno than EPERM."""
REFUSED = ALLOWED_FOR_EVERY_USER | ALLOWED_FOR_ROOT | PERMITTED_BUT_INVALID
"""In a sandbox, each fails with EPERM: the system-call filter refuses it, or the process lacks a capability."""
REFUSED_WITH_OTHER_ERRNO = {
    "root": (call("setuid", 0), "EINVAL"),  # no such user in the namespace
    "root's group alone": (call("setgid", 0), "EINVAL"),
    "a namespace by clone3": (call("clone3", Buffer(88), 88), "ENOSYS"),
    "processor priority": (call("setpriority", 0, 0, -20), "EACCES"),
    "packets": (call("socket", 17, 3, 0), "EAFNOSUPPORT"),
    "a hypervisor's socket": (call("socket", 40, 1, 0), "EAFNOSUPPORT"),
    "the kernel's cryptography": (call("socket", 38, 5, 0), "EAFNOSUPPORT"),
    "Bluetooth": (call("socket", 31, 3, 0), "EAFNOSUPPORT"),
    "cluster messages": (call("socket", 30, 5, 0), "EAFNOSUPPORT"),
    "a pair for cluster messages": (call("socketpair", 30, 5, 0, Buffer(8)), "EAFNOSUPPORT"),
    "a network card's queue": (call("socket", 44, 3, 0), "EAFNOSUPPORT"),
    "multipath TCP": (call("socket", 2, 1, 262), "EPERM"),
    "a raw socket": (call("socket", 2, 3, 1), "EPERM"),
    **{f"netlink protocol {number}": (call("socket", 16, 3, number), "EPERM") for number in NETLINK_PROTOCOLS},
}
"""On the host, these calls succeed for root, unless the kernel was built without the feature."""
MAY_BE_ABSENT = {
    *("a hypervisor's socket", "the kernel's cryptography", "Bluetooth", "cluster messages", "multipath TCP"),
    *("a pair for cluster messages", "a network card's queue"),
    *(name for name in REFUSED_WITH_OTHER_ERRNO if name.startswith("netlink")),
}
ALLOWED_IN_SANDBOX = {
    "its own id": call("getpid"),
    "a FIFO": call("mknodat", AT_FDCWD, "fifo", 0o10644, 0),
    "a stream": call("socket", 2, 1, 0),
    "a pair": call("socketpair", 1, 1, 0, Buffer(8)),
    "routes": call("socket", 16, 3, 0),
    "a name": call("prctl", 15, "x", 0, 0, 0),
}


@each_user  # the filter depends on whether a control group counts memory
def test_kernel_refuses_system_calls(attacker: Attacker) -> None:
    others = {name: one for name, (one, _) in REFUSED_WITH_OTHER_ERRNO.items()}
    assert_not_refused_on_host(others)
    outcomes = PYTHON.attempt_all(attacker, ALLOWED_IN_SANDBOX | REFUSED | others)
    expected = dict.fromkeys(ALLOWED_IN_SANDBOX, "ok") | dict.fromkeys(REFUSED, "EPERM")
    assert outcomes == expected | {name: outcome for name, (_, outcome) in REFUSED_WITH_OTHER_ERRNO.items()}


def assert_not_refused_on_host(others: dict[str, Attempt]) -> None:
    """Checks the same calls outside a sandbox. Calls that need root are only checked if root runs the tests."""
    ordinary = outcomes_on_host(ALLOWED_FOR_EVERY_USER, user=ORDINARY_USER if os.geteuid() == 0 else None)
    assert ordinary == dict.fromkeys(ALLOWED_FOR_EVERY_USER, "ok")
    if os.geteuid() != 0:
        return
    outcomes = outcomes_on_host(ALLOWED_IN_SANDBOX | REFUSED | others)
    assert {name for name in PERMITTED_BUT_INVALID if outcomes.pop(name) in {"ok", "EPERM"}} == set()
    refused = {name: outcome for name, outcome in outcomes.items() if outcome != "ok"}
    assert {name: outcome for name, outcome in refused.items() if name not in MAY_BE_ABSENT} == {}
    assert set(refused.values()) <= {"EAFNOSUPPORT", "EPROTONOSUPPORT"}


CAPABILITIES = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")


@each_user_and_language  # a language's process may be a fork of the supervisor or a new program
def test_process_has_no_capability_and_a_filter(shared_attacker: Attacker, language: Language) -> None:
    status = language.attempt_all(shared_attacker, {"status": attempt("read", "/proc/self/status")})["status"]
    lines = status_lines(status.replace("|", "\n"))
    assert {int(lines[name], 16) for name in CAPABILITIES} == {0}
    assert (lines["NoNewPrivs"], lines["Seccomp"]) == ("1", "2")
    own = status_lines(Path("/proc/self/status").read_text())
    assert (own["NoNewPrivs"], own["Seccomp"]) == ("0", "0")  # this process has neither


@each_user  # an ordinary user may have the right to real-time priority
def test_process_cannot_get_a_higher_priority(shared_attacker: Attacker) -> None:
    limits = PYTHON.attempt_all(shared_attacker, {"limits": attempt("read", "/proc/self/limits")})["limits"]
    values = {line[:26].strip(): line[26:].split()[:2] for line in limits.split("|")}
    assert values["Max nice priority"] == values["Max realtime priority"] == values["Max locked memory"] == ["0", "0"]
    assert values["Max processes"][0] != "0"  # the control


def test_programs_start_after_code_lowered_the_priority_of_all_its_processes(attacker: Attacker) -> None:
    lowest = attacker.python(
        "import os\nos.setpriority(os.PRIO_USER, 0, 19)\nprint(os.getpriority(os.PRIO_PROCESS, 1))"
    )
    assert lowest["stdout"] == "19"
    assert attacker.is_responsive()
    assert attacker.python("print('alive')", clearContext=True)["stdout"] == "alive"
    assert attacker.deno("console.log('alive')")["stdout"].strip() == "alive"


@each_user
def test_emulator_runs_with_the_rights_of_its_user(host: Host) -> None:
    lines = status_lines(Path(f"/proc/{host.process}/status").read_text())
    powers = {int(lines[name], 16) for name in CAPABILITIES if name != "CapBnd"}
    users = {int(number) for number in lines["Uid"].split()}
    if host.user.name == "root":
        assert (users, len(powers)) == ({0}, 2)
    else:
        assert (0 in users, powers) == (False, {0})
    assert Path(f"/proc/{host.process}/ns/user").readlink() == Path("/proc/self/ns/user").readlink()


def status_lines(text: str) -> dict[str, str]:
    """Returns the fields of a /proc/PID/status text."""
    return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)
