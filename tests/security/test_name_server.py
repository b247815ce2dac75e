"""Code reaches slirp's name server, which forwards to the host's resolver, on the DNS port only."""

from __future__ import annotations

import ctypes
import os
import socket
import struct
from typing import TYPE_CHECKING

import pytest

from local_agentcore.sandbox.internet_access import NAME_SERVER
from local_agentcore.sandbox.tunnel_filter import DNS_PORT, TCP, UDP, program
from tests.support.connection_attempts import NetworkSession
from tests.support.simulated_internet.server import TCP_PORT, UDP_PORT

if TYPE_CHECKING:
    from tests.support.internet import Internet
    from tests.support.sandbox_host import Host


SO_ATTACH_FILTER = 26
ICMP, MORE_FRAGMENTS = 1, 0x2000
PUBLIC_ADDRESS, PRIVATE_ADDRESS = "198.51.100.1", "10.0.2.2"

if os.geteuid() == 0:  # only root can create the simulated internet

    def test_only_dns_reaches_the_resolver_of_the_host(public_host: Host, internet: Internet) -> None:
        session = NetworkSession(public_host, "PUBLIC")
        reachable = [
            ("name", "outside.example"),
            ("tcp", NAME_SERVER, DNS_PORT),
            ("tcp", internet.address, TCP_PORT),
            ("udp", internet.address, UDP_PORT),
        ]
        assert session.connect_all(*reachable) == [internet.address, "internet", "internet", "echo"]
        others = [("tcp", NAME_SERVER, TCP_PORT), ("udp", NAME_SERVER, UDP_PORT)]
        by_device = [(*target, "tap0") for target in others]
        outcomes = session.connect_all(*others, *by_device)
        assert [outcome.partition(":")[0] for outcome in outcomes] == ["refused"] * 4, outcomes
        assert session.connect_all(*reachable[:2]) == [internet.address, "internet"]
        session.stop()


def frame(
    address: str, protocol: int = UDP, port: int = DNS_PORT, *, fragment: int = 0, options: bytes = b"", source: int = 9
) -> bytes:
    """Returns an Ethernet frame to an address, with the fields that the filter reads."""
    words = 5 + len(options) // 4
    ip = struct.pack(
        ">BBHHHBBH4s4s", 0x40 | words, 0, 0, 0, fragment, 64, protocol, 0, bytes(4), socket.inet_aton(address)
    )
    return bytes(12) + b"\x08\x00" + ip + options + struct.pack(">HHHH", source, port, 8, 0)


def passes(sent: bytes) -> bool:
    """Returns whether the kernel accepts a frame, with the filter attached to a socket instead of the tunnel."""
    instructions = program(NAME_SERVER, ["10.0.0.0/8"])
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in instructions))
    sender, receiver = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with sender, receiver:
        receiver.setsockopt(
            socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HP", len(instructions), ctypes.addressof(code))
        )
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
    "truncated": (frame(NAME_SERVER)[:36], False),
    "to the internet": (frame(PUBLIC_ADDRESS, TCP, 443), True),
    "a fragment to the internet": (frame(PUBLIC_ADDRESS, fragment=MORE_FRAGMENTS), True),
    "to a private network": (frame(PRIVATE_ADDRESS), False),
}


@pytest.mark.parametrize(("sent", "expected"), FRAMES.values(), ids=FRAMES)
def test_filter_accepts_only_permitted_frames(sent: bytes, expected: bool) -> None:
    assert passes(sent) is expected
