"""Runs a system-call filter (a classic BPF program) on given calls, without a kernel."""

from __future__ import annotations

import operator
import os
import struct
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ALLOW, KILL_PROCESS, ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
ERRNO_MASK, DATA_MASK = 0xFFFF0000, 0xFFFF
ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
I386 = 0x40000003
X32_BIT = 0x40000000
LOAD, AND_CONSTANT, JUMP, RETURN = 0x20, 0x54, 0x05, 0x06
CONDITIONS: dict[int, Callable[[int, int], object]] = {
    0x15: operator.eq,
    0x25: operator.gt,
    0x35: operator.ge,
    0x45: operator.and_,
}
"""Conditional jumps by opcode (linux/bpf_common.h)."""


def result_of(program: bytes, number: int, arguments: Sequence[int] = (), architecture: int | None = None) -> int:
    """Returns the action of a filter for one system call.

    Args:
        program: instructions, 8 bytes each.
        number: number of the call.
        arguments: its arguments as 64-bit values. Missing ones are 0.
        architecture: AUDIT_ARCH value, by default that of this machine.
    """
    architecture = ARCHITECTURES[os.uname().machine] if architecture is None else architecture
    data = struct.pack("=iIQ6Q", number, architecture, 0, *[*arguments, *[0] * 6][:6])
    instructions = _instructions(program)
    accumulator = position = 0
    while True:
        code, if_true, if_false, constant = instructions[position]
        position += 1
        if code == LOAD:
            (accumulator,) = struct.unpack_from("=I", data, constant)
        elif code == AND_CONSTANT:
            accumulator &= constant
        elif code == JUMP:
            position += constant
        elif code == RETURN:
            return constant
        else:
            position += if_true if CONDITIONS[code](accumulator, constant) else if_false


@cache
def _instructions(program: bytes) -> list[tuple[int, int, int, int]]:
    return list(struct.iter_unpack("=HBBI", program))


def errno_of(action: int) -> int | None:
    """Returns the errno of an action: 0 for a call that has no effect, None for one that is not an error."""
    return action & DATA_MASK if action & ERRNO_MASK == ERRNO else None
