"""The system-call filter: what programs need is allowed, everything else is refused, and registers cannot bypass it."""

from __future__ import annotations

import errno
import json
import shutil
import subprocess
import sys
from itertools import product
from typing import TYPE_CHECKING, Any

import pyseccomp  # pyright: ignore[reportMissingTypeStubs]
import pytest

from local_agentcore.sandbox import seccomp
from local_agentcore.sandbox.syscall_arguments import RESTRICTIONS
from local_agentcore.sandbox.syscalls import ALLOWED, FIRST_UNKNOWN, LAST_UNKNOWN, NUMBERS, REFUSED, UNSUPPORTED
from tests.support.bpf import ALLOW, I386, KILL_PROCESS, X32_BIT, errno_of, result_of
from tests.support.project import PROJECT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

RECORDED = PROJECT / "tests" / "security" / "recorded_system_calls.json"
TRIED_AND_REFUSED = {
    "clone3": "libc calls clone instead",
    "io_uring_setup": "Node uses its thread pool instead",
    "io_uring_enter": "Node uses its thread pool instead",
    "mbind": "OpenBLAS uses any memory instead",
    "set_mempolicy": "a library of the shell's programs restores a policy that it could not set",
}
"""Recorded calls that fail in a sandbox, and what happens then."""
UNCOUNTED_ONLY = {("memfd_create",), ("mmap", 0x21), ("mmap", 0x4021)}
"""Recorded calls that are refused as well if no control group counts memory."""
NO_EFFECT = {"prlimit64", "setsockopt", "sync"}
"""Recorded calls that succeed without effect; `setsockopt` for buffer sizes if no control group counts memory."""
UPPER_HALF = 0xDEADBEEF << 32

Recorded = dict[str, dict[str, list[list[int]]]]


def number_of(call: str) -> int:
    """Returns the number of a call on this machine, or a negative number if there is none."""
    resolved: Any = pyseccomp
    return NUMBERS.get(call) or int(resolved.resolve_syscall(resolved.Arch.NATIVE, call))


def refused_calls(recorded: Recorded, program: bytes) -> Iterator[tuple[str, ...] | tuple[str, int]]:
    """Yields the recorded calls, with one restricted argument, that a filter neither allows nor ignores."""
    for call, values in ((call, values) for calls in recorded.values() for call, values in calls.items()):
        if number_of(call) < 0:
            continue  # recorded on another architecture
        rules = RESTRICTIONS[call].allowed if call in RESTRICTIONS else ()
        indexes = sorted({match.index for rule in rules for match in rule})
        for chosen in values:
            action = result_of(program, number_of(call), registers(dict(zip(indexes, chosen, strict=True))))
            if action != ALLOW and not (call in NO_EFFECT and errno_of(action) == 0):
                yield (call, chosen[0]) if chosen else (call,)


def registers(values: Mapping[int, int]) -> list[int]:
    """Returns six arguments."""
    return [values.get(index, 0) for index in range(6)]


def test_recorded_calls_of_programs_are_allowed() -> None:
    recorded: Recorded = json.loads(RECORDED.read_text())
    assert set(recorded) >= {
        "CPython",
        "Node",
        "Deno",
        "numpy",
        "pandas",
        "matplotlib",
        "duckdb",
        "scikit-learn",
        "pip",
    }
    assert all(len(calls) > 20 for calls in recorded.values())
    refused = set(refused_calls(recorded, seccomp.program(memory_is_counted=True)))
    assert {call[0] for call in refused} == set(TRIED_AND_REFUSED)
    uncounted = set(refused_calls(recorded, seccomp.program(memory_is_counted=False))) - refused
    assert {call for call in uncounted if call[0] != "memfd_create" and call not in UNCOUNTED_ONLY} == set()


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_record_of_cpython_is_complete() -> None:
    command = [sys.executable, str(PROJECT / "tools/record_system_calls.py"), "CPython"]
    printed = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    refused = set(refused_calls(json.loads(printed), seccomp.program(memory_is_counted=True)))
    assert {call[0] for call in refused} <= set(TRIED_AND_REFUSED)


def test_page_lists_every_allowed_call() -> None:
    command = [sys.executable, str(PROJECT / "tools/system_calls_page.py")]
    printed = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    page = (PROJECT / "local/agentcore/system-calls.md").read_text()
    assert printed == page
    for call, reason in ALLOWED.items():
        assert f"| `{call}` | {reason} |" in page


@pytest.mark.parametrize("memory_is_counted", [True, False])
def test_filter_allows_the_table_and_refuses_every_other_number(memory_is_counted: bool) -> None:
    program = seccomp.program(memory_is_counted=memory_is_counted)
    allowed = {number_of(call) for call in ALLOWED if call not in RESTRICTIONS}
    unsupported = {number_of(call) for call in UNSUPPORTED} | set(range(FIRST_UNKNOWN, LAST_UNKNOWN + 1))
    restricted = {number_of(call) for call in RESTRICTIONS}
    for number in range(LAST_UNKNOWN + 200):
        action = result_of(program, number)
        if number in allowed:
            assert action == ALLOW, number
        elif number in unsupported:
            assert errno_of(action) == errno.ENOSYS, number
        elif number not in restricted:
            assert errno_of(action) == errno.EPERM, number


def test_no_call_is_both_allowed_and_refused() -> None:
    refused = {call for calls in REFUSED for call in calls.split()}
    assert refused & (set(ALLOWED) | set(UNSUPPORTED)) == set()
    assert set(RESTRICTIONS) <= set(ALLOWED)


def test_calls_of_other_architectures_end_the_process() -> None:
    program = seccomp.program(memory_is_counted=True)
    assert result_of(program, 20, architecture=I386) == KILL_PROCESS
    if number_of("arch_prctl") > 0:  # x86-64
        assert result_of(program, X32_BIT | number_of("getpid")) == KILL_PROCESS


AF_UNIX, AF_INET, AF_INET6, AF_NETLINK = 1, 2, 10, 16
STREAM, DATAGRAM, RAW, SEQUENCED = 1, 2, 3, 5
SOCKET_FLAGS = 0o2004000
"""SOCK_CLOEXEC | SOCK_NONBLOCK"""
INTERNET = {(STREAM, 0), (STREAM, 6), (DATAGRAM, 0), (DATAGRAM, 17)}
UNIX = {(STREAM, 0), (DATAGRAM, 0), (SEQUENCED, 0)}
SOCKETS = {
    "socket": {AF_UNIX: UNIX, AF_INET: INTERNET, AF_INET6: INTERNET, AF_NETLINK: {(RAW, 0), (DATAGRAM, 0)}},
    "socketpair": {AF_UNIX: UNIX},
}
"""Types and protocols by family: TCP is 6, UDP is 17, NETLINK_ROUTE is 0."""


@pytest.mark.parametrize("call", SOCKETS)
@pytest.mark.parametrize("upper", [0, UPPER_HALF], ids=["", "upper half"])
def test_only_listed_families_and_protocols_are_allowed(call: str, upper: int) -> None:
    program = seccomp.program(memory_is_counted=True)
    protocols = (0, 1, 2, 6, 9, 12, 16, 17, 58, 132, 136, 255, 256, 262)  # ICMP, SCTP, UDPLITE, RAW, SMC, MPTCP
    for family, kind, protocol, flags in product(range(47), (0, 1, 2, 3, 4, 5, 6, 10), protocols, (0, SOCKET_FLAGS)):
        arguments = [family | upper, kind | flags | upper, protocol | upper]
        allowed = (kind, protocol) in SOCKETS[call].get(family, set())
        assert (result_of(program, number_of(call), arguments) == ALLOW) == allowed, (call, family, kind, protocol)
    for family in (17, 30, 40, 44):  # PACKET, TIPC, VSOCK, XDP
        assert errno_of(result_of(program, number_of(call), [family, RAW, 0])) == errno.EAFNOSUPPORT


SOCKET_FILTERS = (26, 50, 51, 52)
FORBIDDEN_ARGUMENTS = {
    **{f"socket option {option}": ("setsockopt", {1: 1, 2: option}) for option in SOCKET_FILTERS},
    "a firewall table": ("setsockopt", {1: 0, 2: 64}),
    "zero copy": ("setsockopt", {1: 1, 2: 60}),
    "a protocol on top of TCP": ("setsockopt", {1: 6, 2: 31}),
    "a nested filter": ("prctl", {0: 22, 1: 2}),
    "another program's memory map": ("prctl", {0: 35}),
    "merged pages of a process": ("prctl", {0: 67}),
    "merged pages": ("madvise", {2: 12}),
    "input for a terminal": ("ioctl", {1: 0x5412}),
    "input for the console": ("ioctl", {1: 0x541C}),
    "a network namespace of a socket": ("ioctl", {1: 0x894C}),
    "observed directories": ("fcntl", {1: 1026}),
    "huge pages": ("mmap", {3: 0x40022}),
    "huge pages in a file": ("memfd_create", {1: 4}),
    "a user namespace": ("clone", {0: 0x10000011}),
    "a network namespace": ("clone", {0: 0x40000011}),
    "a mount namespace": ("clone", {0: 0x00020011}),
    "a block device": ("mknodat", {2: 0o060600}),
    "a character device": ("mknod", {1: 0o020600}),
}
PERMITTED_ARGUMENTS = {
    "a reusable address": ("setsockopt", {1: 1, 2: 2}),
    "no delay": ("setsockopt", {1: 6, 2: 1}),
    "a thread's name": ("prctl", {0: 15}),
    "unneeded memory": ("madvise", {2: 4}),
    "a window's size": ("ioctl", {1: 0x5413}),
    "a duplicate": ("fcntl", {1: 1030}),
    "private memory": ("mmap", {3: 0x22}),
    "a file in memory": ("memfd_create", {1: 1}),
    "a process": ("clone", {0: 0x01200011}),
    "a thread": ("clone", {0: 0x3D0F00}),
    "a FIFO": ("mknodat", {2: 0o010600}),
}


@pytest.mark.parametrize("upper", [0, UPPER_HALF], ids=["", "upper half"])
def test_restricted_arguments_are_refused(upper: int) -> None:
    program = seccomp.program(memory_is_counted=True)

    def errno_by_name(table: Mapping[str, tuple[str, dict[int, int]]]) -> dict[str, int | None]:
        return {
            name: errno_of(result_of(program, number_of(call), [value | upper for value in registers(arguments)]))
            for name, (call, arguments) in table.items()
            if number_of(call) >= 0
        }

    assert set(errno_by_name(FORBIDDEN_ARGUMENTS).values()) == {errno.EPERM}
    assert set(errno_by_name(PERMITTED_ARGUMENTS).values()) == {None}


def test_calls_that_affect_all_file_systems_have_no_effect() -> None:
    program = seccomp.program(memory_is_counted=True)
    dont_need, sequential = [0, 0, 0, 4], [0, 0, 0, 2]
    assert [errno_of(result_of(program, number_of(call))) for call in ("sync", "syncfs")] == [0, 0]
    assert errno_of(result_of(program, number_of("fadvise64"), dont_need)) == 0
    assert result_of(program, number_of("fadvise64"), sequential) == ALLOW
    assert result_of(program, number_of("fsync")) == ALLOW


RLIMIT_CORE, RLIMIT_NOFILE, POINTER = 4, 7, 0x7FFF_0000_0000


@pytest.mark.parametrize("upper", [0, UPPER_HALF], ids=["", "upper half"])
def test_limits_of_core_dumps_and_of_other_processes_can_be_read_and_not_set(upper: int) -> None:
    program = seccomp.program(memory_is_counted=True)
    number = number_of("prlimit64")
    assert errno_of(result_of(program, number, [0, RLIMIT_CORE | upper, POINTER, POINTER])) == 0
    assert result_of(program, number, [0, RLIMIT_CORE | upper, 0, POINTER]) == ALLOW
    assert result_of(program, number, [0, RLIMIT_NOFILE | upper, POINTER, 0]) == ALLOW
    assert result_of(program, number, [1, RLIMIT_NOFILE, 0, POINTER]) == ALLOW
    assert errno_of(result_of(program, number, [1 | upper, RLIMIT_NOFILE, POINTER, 0])) == errno.EPERM
    assert errno_of(result_of(program, number_of("setrlimit"), [RLIMIT_CORE | upper, POINTER])) == 0
    assert result_of(program, number_of("setrlimit"), [RLIMIT_NOFILE | upper, POINTER]) == ALLOW
