"""What code reaches by the network, and what it does not, tried in each language. The outside world: `test_network`."""

from __future__ import annotations

import contextlib
import socket
import uuid
from typing import TYPE_CHECKING

import pytest

from local_agentcore.process import client
from tests.security.conftest import Attacker, one_user
from tests.security.speakers import PYTHON, attempt

if TYPE_CHECKING:
    from collections.abc import Generator

    from tests.security.conftest import Host
    from tests.security.speakers import Speaker

OWN = """
own = socket.create_server(('127.0.0.1', 0), backlog=64)
datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
datagrams.bind(('127.0.0.1', 0))
print(f'tcp={own.getsockname()[1]}')
print(f'udp={datagrams.getsockname()[1]}')"""
NOWHERE = {"ENETUNREACH", "EHOSTUNREACH"}
REFUSED = {"ECONNREFUSED"}


@contextlib.contextmanager
def host_services() -> Generator[tuple[int, socket.socket]]:
    """Opens TCP and a datagram socket of the host, on loopback of both protocols."""
    with (
        socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as listener,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams,
    ):
        datagrams.bind(("127.0.0.1", 0))
        datagrams.settimeout(10)
        yield listener.getsockname()[1], datagrams


def test_nothing_but_its_own_loopback_is_reached(attacker: Attacker, speaker: Speaker) -> None:
    own = PYTHON.told(attacker, OWN)
    with host_services() as (port, datagrams):
        datagram_port = datagrams.getsockname()[1]
        for host in ("127.0.0.1", "::1"):  # from here they are reachable
            socket.create_connection((host, port)).close()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
            control.sendto(b"control", ("127.0.0.1", datagram_port))
        assert datagrams.recv(10) == b"control"
        answers = speaker.tries(
            attacker,
            {
                "own": attempt("tcp", "127.0.0.1", int(own["tcp"])),
                "own datagram": attempt("udp", "127.0.0.1", int(own["udp"])),
                "metadata, its own": attempt("tcp", "169.254.169.254", 80),
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
                "another port of it": attempt("tcp", "169.254.169.254", 81),
                "broadcast": attempt("udp", "255.255.255.255", 9),
                "a name": attempt("look_up", "amazon.com"),
                "the host's name": attempt("look_up", socket.gethostname()),
                "a name that it has": attempt("look_up", "localhost"),
            },
        )
        resolved = answers.pop("a name that it has")
        assert resolved == "ok" or "127.0.0.1" in resolved or resolved in REFUSED  # Deno connects to it as well
        names = [answers.pop(name) for name in ("a name", "the host's name")]
        assert all("ok" not in answer.split() and answer not in REFUSED for answer in names), names
        reached = {name for name, answer in answers.items() if answer == "ok"}
        assert reached == {"own", "own datagram", "metadata, its own", "own name"}
        assert {answer for name, answer in answers.items() if name not in reached} <= NOWHERE | REFUSED | {"EACCES"}
        datagrams.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            assert datagrams.recv(10) is None  # nothing came


NETWORKS = {
    "VPC": {
        "networkMode": "VPC",
        "vpcConfig": {"subnets": ["subnet-01234567"], "securityGroups": ["sg-01234567"]},
    },
    "PUBLIC": {"networkMode": "PUBLIC"},
}


@one_user
@pytest.mark.parametrize("mode", NETWORKS)
def test_other_modes_do_not_reach_the_host_either(host: Host, mode: str, speaker: Speaker) -> None:
    control = client("bedrock-agentcore-control", host.emulator.address, "us-east-1")
    made = control.create_code_interpreter(name=f"n{uuid.uuid4().hex[:20]}", networkConfiguration=NETWORKS[mode])
    data = client("bedrock-agentcore", host.emulator.address, "us-east-1")
    attacker = Attacker(data, made["codeInterpreterId"])
    own = PYTHON.told(attacker, OWN)
    with host_services() as (port, datagrams):
        for address in ("127.0.0.1", "::1"):  # from here they are reachable
            socket.create_connection((address, port)).close()
        # What PUBLIC mode filters gets no answer at all; `test_network` waits for that.
        filtered = {
            "gateway of slirp": attempt("tcp", "10.0.2.2", port),
            "a private network": attempt("tcp", "192.168.0.1", port),
            "container metadata": attempt("tcp", "169.254.170.2", 80),
        }
        answers = speaker.tries(
            attacker,
            ({} if mode == "PUBLIC" else filtered)
            | {
                "own": attempt("tcp", "127.0.0.1", int(own["tcp"])),
                "own datagram": attempt("udp", "127.0.0.1", int(own["udp"])),
                "metadata, its own": attempt("tcp", "169.254.169.254", 80),
                "host": attempt("tcp", "127.0.0.1", port),
                "host by IPv6": attempt("tcp", "::1", port),
                "host's datagram": attempt("udp", "127.0.0.1", datagrams.getsockname()[1]),
                "metadata by IPv6": attempt("tcp", "fd00:ec2::254", 80),
                "the internet by IPv6": attempt("tcp", "2606:4700:4700::1111", 443),
                "another port of it": attempt("tcp", "169.254.169.254", 81),
            },
        )
        assert {name for name, answer in answers.items() if answer == "ok"} == {
            "own",
            "own datagram",
            "metadata, its own",
        }
        datagrams.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            assert datagrams.recv(10) is None  # nothing came
    attacker.stop()
    control.delete_code_interpreter(codeInterpreterId=made["codeInterpreterId"])
