"""A kernel filter for packets from a sandbox to the internet, on the tunnel that slirp4netns reads.

Routes are not sufficient: a socket bound to the tunnel device (SO_BINDTODEVICE, IP_PKTINFO) needs no route, and its
multicast packets would reach services of the host.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

TUNNEL = Path("/dev/net/tun")
TUNATTACHFILTER = 0x401054D5
PIDFD_GETFD = 438
LOAD_BYTE, LOAD_HALF, LOAD_WORD, AND, IF_EQUAL, IF_ANY_BIT, RETURN = 0x30, 0x28, 0x20, 0x54, 0x15, 0x45, 0x06
LOAD_HEADER_LENGTH, LOAD_HALF_AFTER_HEADER = 0xB1, 0x48
"""The first loads the length of the IP header at its operand into the index register. The second adds that register to
its operand."""
ETHERTYPE_OFFSET, IP_OFFSET, FRAGMENT_OFFSET, PROTOCOL_OFFSET, DESTINATION_OFFSET = 12, 14, 20, 23, 30
DESTINATION_PORT_OFFSET = IP_OFFSET + 2
"""Without the length of the IP header, which varies."""
IPV4, ARP = 0x0800, 0x0806
MORE_FRAGMENTS_OR_OFFSET = 0x3FFF
TCP, UDP, DNS_PORT = 6, 17, 53
ACCEPT, DROP = 0xFFFFFFFF, 0

Instruction = tuple[int, int, int, int]
"""Opcode, instructions to skip if true and if false, and operand (classic BPF)."""


def program(name_server: str, blocked: Iterable[str]) -> list[Instruction]:
    """Returns the filter. It accepts ARP, DNS to the name server, and IPv4 to networks that are not blocked.

    slirp4netns forwards packets for `name_server` to the resolver of this host, which may be this host itself. Which
    ports it forwards depends on its version, so the filter accepts only the DNS port.

    Args:
        name_server: Address of slirp's name server.
        blocked: Networks in CIDR notation.
    """
    to_name_server = _if_dns()
    instructions = [
        (LOAD_HALF, 0, 0, ETHERTYPE_OFFSET),
        *_return_if(ARP, ACCEPT),
        (IF_EQUAL, 1, 0, IPV4),
        (RETURN, 0, 0, DROP),
        (LOAD_WORD, 0, 0, DESTINATION_OFFSET),
        (IF_EQUAL, 0, len(to_name_server), _address_number(name_server)),
        *to_name_server,
    ]
    for network in blocked:
        address, _, length = network.partition("/")
        mask = (1 << 32) - (1 << 32 - int(length))
        instructions += [
            (LOAD_WORD, 0, 0, DESTINATION_OFFSET),
            (AND, 0, 0, mask),
            *_return_if(_address_number(address), DROP),
        ]
    return [*instructions, (RETURN, 0, 0, ACCEPT)]


def _if_dns() -> list[Instruction]:
    """Accepts only unfragmented packets to the DNS port. A fragment has no port, or could forge it."""
    return [
        (LOAD_HALF, 0, 0, FRAGMENT_OFFSET),
        (IF_ANY_BIT, 6, 0, MORE_FRAGMENTS_OR_OFFSET),
        (LOAD_BYTE, 0, 0, PROTOCOL_OFFSET),
        (IF_EQUAL, 1, 0, UDP),
        (IF_EQUAL, 0, 3, TCP),
        (LOAD_HEADER_LENGTH, 0, 0, IP_OFFSET),
        (LOAD_HALF_AFTER_HEADER, 0, 0, DESTINATION_PORT_OFFSET),
        (IF_EQUAL, 1, 0, DNS_PORT),
        (RETURN, 0, 0, DROP),
        (RETURN, 0, 0, ACCEPT),
    ]


def attach(process: int, instructions: list[Instruction]) -> None:
    """Attaches the filter to the tunnel that a process has open.

    Raises:
        OSError: The process has no tunnel, or this process has no permission.
    """
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in instructions))
    tunnel = _tunnel_descriptor(process)
    try:
        fcntl.ioctl(tunnel, TUNATTACHFILTER, struct.pack("HP", len(instructions), ctypes.addressof(code)))
    finally:
        os.close(tunnel)


def _return_if(value: int, result: int) -> tuple[Instruction, Instruction]:
    return (IF_EQUAL, 0, 1, value), (RETURN, 0, 0, result)


def _address_number(address: str) -> int:
    return int.from_bytes(socket.inet_aton(address), "big")


def _tunnel_descriptor(process: int) -> int:
    """Returns a copy of the tunnel descriptor of another process."""
    for link in Path(f"/proc/{process}/fd").iterdir():
        if link.readlink() == TUNNEL:
            pidfd = os.pidfd_open(process)
            try:
                return _copy_descriptor(pidfd, int(link.name))
            finally:
                os.close(pidfd)
    raise FileNotFoundError(f"process {process} has no tunnel")


def _copy_descriptor(pidfd: int, descriptor: int) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    copy = libc.syscall(PIDFD_GETFD, pidfd, descriptor, 0)
    if copy < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return copy
