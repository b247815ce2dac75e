"""What of slirp's name server, which passes on to the host's resolver, code reaches: DNS, and no other port of it."""

from __future__ import annotations

import ctypes
import os
import socket
import struct
from typing import TYPE_CHECKING

import pytest

from local_agentcore.sandbox.internet_access import NAME_SERVER
from local_agentcore.sandbox.tunnel_filter import DNS_PORT, TCP, UDP, program
from tests.security import test_network
from tests.security.outside_world.world import TCP_PORT, UDP_PORT
from tests.security.test_network import Session

if TYPE_CHECKING:
    from tests.security.conftest import Host
    from tests.security.test_network import World

world, public_host = test_network.world, test_network.public_host  # its fixtures
SO_ATTACH_FILTER = 26
ICMP, MORE_FRAGMENTS = 1, 0x2000
PUBLIC_ADDRESS, PRIVATE_ADDRESS = "198.51.100.1", "10.0.2.2"

if os.geteuid() == 0:  # the outside world is root's to make

    def test_only_dns_reaches_the_hosts_resolver(public_host: Host, world: World) -> None:
        session = Session(public_host, "PUBLIC")
        here = [("name", "outside.example"), ("tcp", NAME_SERVER, DNS_PORT), ("tcp", world.address, TCP_PORT),
                ("udp", world.address, UDP_PORT)]  # fmt: skip
        assert session.attempts(*here) == [world.address, "outside", "outside", "echo"]  # the resolver is the world's
        others = [("tcp", NAME_SERVER, TCP_PORT), ("udp", NAME_SERVER, UDP_PORT)]
        by_device = [(*attempt, "tap0") for attempt in others]
        answers = session.attempts(*others, *by_device)
        assert [answer.partition(":")[0] for answer in answers] == ["refused"] * 4, answers
        assert session.attempts(*here[:2]) == [world.address, "outside"]
        session.stop()


def frame(
    address: str, protocol: int = UDP, port: int = DNS_PORT, *, fragment: int = 0, options: bytes = b"", source: int = 9
) -> bytes:
    """An Ethernet frame to an address, with what the filter looks at."""
    words = 5 + len(options) // 4
    ip = struct.pack(">BBHHHBBH4s4s", 0x40 | words, 0, 0, 0, fragment, 64, protocol, 0, bytes(4),
                     socket.inet_aton(address))  # fmt: skip
    return bytes(12) + b"\x08\x00" + ip + options + struct.pack(">HHHH", source, port, 8, 0)


def passes(sent: bytes) -> bool:
    """Whether the kernel lets a frame through the filter, here on a socket in the tunnel's place."""
    steps = program(NAME_SERVER, ["10.0.0.0/8"])
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    sender, receiver = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with sender, receiver:
        receiver.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HP", len(steps), ctypes.addressof(code)))
        receiver.setblocking(False)
        sender.send(sent)
        try:
            return receiver.recv(2048) == sent
        except BlockingIOError:
            return False


FRAMES = {
    "a query": (frame(NAME_SERVER), True),
    "a query by TCP": (frame(NAME_SERVER, TCP), True),
    "a query with options": (frame(NAME_SERVER, options=b"\x01" * 4), True),
    "another port": (frame(NAME_SERVER, port=54), False),
    "another port by TCP": (frame(NAME_SERVER, TCP, 443), False),
    "from the port of DNS": (frame(NAME_SERVER, port=443, source=DNS_PORT), False),
    "options that look like the port": (frame(NAME_SERVER, port=443, options=b"\0\x35" * 2), False),
    "another protocol": (frame(NAME_SERVER, ICMP), False),
    "a first fragment": (frame(NAME_SERVER, fragment=MORE_FRAGMENTS), False),
    "a later fragment": (frame(NAME_SERVER, fragment=1), False),
    "cut off": (frame(NAME_SERVER)[:36], False),
    "to the outside": (frame(PUBLIC_ADDRESS, TCP, 443), True),
    "a fragment to the outside": (frame(PUBLIC_ADDRESS, fragment=MORE_FRAGMENTS), True),
    "to a private network": (frame(PRIVATE_ADDRESS), False),
}


@pytest.mark.parametrize(("sent", "expected"), FRAMES.values(), ids=FRAMES)
def test_the_filter_tells_frames_apart(sent: bytes, expected: bool) -> None:
    assert passes(sent) is expected
