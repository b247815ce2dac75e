"""The system-call filter of a sandbox: an allow-list, compiled by libseccomp.

It is a second layer behind namespaces and dropped capabilities. It removes rarely used parts of the kernel, features
that namespaces do not isolate, and resources that all processes of the machine share.
"""

from __future__ import annotations

import ctypes.util
import errno
import os
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Any

from ..errors import SandboxUnavailableError
from .syscall_arguments import FAMILIES, Match, NotNull, restrictions
from .syscalls import ALLOWED, FIRST_UNKNOWN, LAST_UNKNOWN, NUMBERS, UNSUPPORTED

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .syscall_arguments import Rule

BINARY_TREE = 2
"""Value of CTL_OPTIMIZE: the filter finds a call in about 10 comparisons instead of 300."""
UNKNOWN_CALL = -1
"""`__NR_SCMP_ERROR`. Other negative numbers are calls of other architectures, which libseccomp skips."""


@cache
def program(*, memory_is_counted: bool) -> bytes:
    """Returns the filter as a BPF program for `bwrap --seccomp`.

    Calls of other architectures (32-bit, x32), which have other numbers, end the process.

    Args:
        memory_is_counted: Whether a control group counts memory.

    Raises:
        SandboxUnavailableError: The libseccomp library is not installed.
    """
    if ctypes.util.find_library("seccomp") is None:
        raise SandboxUnavailableError("libseccomp is not installed", "sudo apt-get install libseccomp2")
    import pyseccomp  # pyright: ignore[reportMissingTypeStubs]  # loads libseccomp when imported

    seccomp: Any = pyseccomp
    compiled = seccomp.SyscallFilter(seccomp.ERRNO(errno.EPERM))
    compiled.set_attr(seccomp.Attr.ACT_BADARCH, seccomp.KILL_PROCESS)
    with suppress(OSError):  # libseccomp before 2.5
        compiled.set_attr(seccomp.Attr.CTL_OPTIMIZE, BINARY_TREE)

    def add(action: int, call: str | int, rules: Iterable[Rule]) -> None:
        number = _resolve(seccomp, call) if isinstance(call, str) else call
        if number is None:
            return
        for rule in rules:
            compiled.add_rule(action, number, *(_condition(seccomp, one) for one in rule))

    restricted = restrictions(memory_is_counted=memory_is_counted)
    for call in ALLOWED:
        if call not in restricted:
            add(seccomp.ALLOW, call, [()])
    for call, restriction in restricted.items():
        add(seccomp.ALLOW, call, restriction.allowed)
        add(seccomp.ERRNO(0), call, restriction.ignored)
    for call in (*UNSUPPORTED, *range(FIRST_UNKNOWN, LAST_UNKNOWN + 1)):
        add(seccomp.ERRNO(errno.ENOSYS), call, [()])
    for call in ("socket", "socketpair"):  # the errno of a kernel without the family
        for family in set(range(max(FAMILIES))) - set(FAMILIES):
            compiled.add_rule(seccomp.ERRNO(errno.EAFNOSUPPORT), call, seccomp.Arg(0, seccomp.EQ, family))
        compiled.add_rule(seccomp.ERRNO(errno.EAFNOSUPPORT), call, seccomp.Arg(0, seccomp.GT, max(FAMILIES)))
    descriptor = os.memfd_create("seccomp")
    with open(descriptor, "w+b") as file:  # noqa: PTH123  a descriptor
        compiled.export_bpf(file)
        file.seek(0)
        return file.read()


def _condition(seccomp: Any, one: Match | NotNull) -> Any:
    if isinstance(one, NotNull):
        return seccomp.Arg(one.index, seccomp.NE, 0)
    return seccomp.Arg(one.index, seccomp.MASKED_EQ, one.mask, one.value)


def _resolve(seccomp: Any, call: str) -> int | None:
    """Returns the number of a call. Returns None if this libseccomp does not know it, so that it stays refused."""
    number = NUMBERS.get(call)
    if number is None:
        number = int(seccomp.resolve_syscall(seccomp.Arch.NATIVE, call))
    return None if number == UNKNOWN_CALL else number
