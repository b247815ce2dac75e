"""Code reaches its own loopback and its metadata service, and no service of the host. `test_network` tests PUBLIC."""

from __future__ import annotations

import contextlib
import socket
import uuid
from typing import TYPE_CHECKING

import pytest

from local_agentcore.process import client
from tests.support.account import REGION
from tests.support.connection_attempts import VPC
from tests.support.hostile_session import Attacker
from tests.support.languages import PYTHON
from tests.support.sandbox_host import each_user
from tests.support.system_calls import attempt

if TYPE_CHECKING:
    from collections.abc import Generator

    from tests.support.sandbox_host import Host

OPEN_LISTENERS = """
own = socket.create_server(('127.0.0.1', 0), backlog=64)
datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
datagrams.bind(('127.0.0.1', 0))
print(f'tcp={own.getsockname()[1]}')
print(f'udp={datagrams.getsockname()[1]}')"""
UNREACHABLE = {"ENETUNREACH", "EHOSTUNREACH"}
REFUSED = {"ECONNREFUSED"}


@contextlib.contextmanager
def host_services() -> Generator[tuple[int, socket.socket]]:
    """Opens a TCP listener and a UDP socket on the host's loopback. Yields the TCP port and the UDP socket."""
    with (
        socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as listener,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams,
    ):
        datagrams.bind(("127.0.0.1", 0))
        datagrams.settimeout(10)
        yield listener.getsockname()[1], datagrams


@each_user
def test_code_reaches_only_its_own_loopback(attacker: Attacker) -> None:
    own = PYTHON.outcomes(attacker, OPEN_LISTENERS)
    with host_services() as (port, datagrams):
        datagram_port = datagrams.getsockname()[1]
        for host in ("127.0.0.1", "::1"):  # the host reaches them
            socket.create_connection((host, port)).close()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
            control.sendto(b"control", ("127.0.0.1", datagram_port))
        assert datagrams.recv(10) == b"control"
        outcomes = PYTHON.attempt_all(
            attacker,
            {
                "own": attempt("tcp", "127.0.0.1", int(own["tcp"])),
                "own datagram": attempt("udp", "127.0.0.1", int(own["udp"])),
                "own metadata service": attempt("tcp", "169.254.169.254", 80),
                "own name": attempt("tcp", "localhost", int(own["tcp"])),
                "host": attempt("tcp", "127.0.0.1", port),
                "host by IPv6": attempt("tcp", "::1", port),
                "host's datagram": attempt("udp", "127.0.0.1", datagram_port),
                "gateway of slirp": attempt("tcp", "10.0.2.2", port),
                "a private network": attempt("tcp", "192.168.0.1", 80),
                "the internet": attempt("tcp", "1.1.1.1", 443),
                "the internet by IPv6": attempt("tcp", "2606:4700:4700::1111", 443),
                "a name server": attempt("udp", "1.1.1.1", 53),
                "metadata by IPv6": attempt("tcp", "fd00:ec2::254", 80),
                "container metadata": attempt("tcp", "169.254.170.2", 80),
                "another port of the metadata service": attempt("tcp", "169.254.169.254", 81),
                "broadcast": attempt("udp", "255.255.255.255", 9),
                "a name": attempt("resolve", "amazon.com"),
                "the host's name": attempt("resolve", socket.gethostname()),
                "a local name": attempt("resolve", "localhost"),
            },
        )
        assert outcomes.pop("a local name") == "ok"
        names = [outcomes.pop(name) for name in ("a name", "the host's name")]
        assert all("ok" not in outcome.split() and outcome not in REFUSED for outcome in names), names
        reached = {name for name, outcome in outcomes.items() if outcome == "ok"}
        assert reached == {"own", "own datagram", "own metadata service", "own name"}
        refused = {outcome for name, outcome in outcomes.items() if name not in reached}
        assert refused <= UNREACHABLE | REFUSED | {"EACCES"}
        datagrams.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            assert datagrams.recv(10) is None  # no datagram arrived


NETWORKS = {"VPC": {"networkMode": "VPC"} | VPC, "PUBLIC": {"networkMode": "PUBLIC"}}


@pytest.mark.parametrize("mode", NETWORKS)
def test_code_in_other_network_modes_does_not_reach_the_host(host: Host, mode: str) -> None:
    control = client("bedrock-agentcore-control", host.emulator.address, REGION)
    created = control.create_code_interpreter(name=f"n{uuid.uuid4().hex[:20]}", networkConfiguration=NETWORKS[mode])
    data = client("bedrock-agentcore", host.emulator.address, REGION)
    attacker = Attacker(data, created["codeInterpreterId"])
    own = PYTHON.outcomes(attacker, OPEN_LISTENERS)
    with host_services() as (port, datagrams):
        for address in ("127.0.0.1", "::1"):  # the host reaches them
            socket.create_connection((address, port)).close()
        # In PUBLIC mode the filter drops these packets without a reply. `test_network` covers that.
        filtered = {
            "gateway of slirp": attempt("tcp", "10.0.2.2", port),
            "a private network": attempt("tcp", "192.168.0.1", port),
            "container metadata": attempt("tcp", "169.254.170.2", 80),
        }
        outcomes = PYTHON.attempt_all(
            attacker,
            ({} if mode == "PUBLIC" else filtered)
            | {
                "own": attempt("tcp", "127.0.0.1", int(own["tcp"])),
                "own datagram": attempt("udp", "127.0.0.1", int(own["udp"])),
                "own metadata service": attempt("tcp", "169.254.169.254", 80),
                "host": attempt("tcp", "127.0.0.1", port),
                "host by IPv6": attempt("tcp", "::1", port),
                "host's datagram": attempt("udp", "127.0.0.1", datagrams.getsockname()[1]),
                "metadata by IPv6": attempt("tcp", "fd00:ec2::254", 80),
                "the internet by IPv6": attempt("tcp", "2606:4700:4700::1111", 443),
                "another port of the metadata service": attempt("tcp", "169.254.169.254", 81),
            },
        )
        assert {name for name, outcome in outcomes.items() if outcome == "ok"} == {
            "own",
            "own datagram",
            "own metadata service",
        }
        datagrams.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            assert datagrams.recv(10) is None  # no datagram arrived
    attacker.stop()
    control.delete_code_interpreter(codeInterpreterId=created["codeInterpreterId"])
