"""Connections that code can and cannot make in each network mode. Each refused attempt has a control that succeeds.

Services that must not be reached run on the host, and a process of the host reaches them in the same test. The
simulated internet is a network namespace with public addresses.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import struct
import subprocess
import threading
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError

from local_agentcore.errors import SandboxUnavailableError
from local_agentcore.sandbox.internet_access import find_slirp
from tests.support.connection_attempts import NetworkSession, Target, assert_reached_from_host, assert_refused
from tests.support.internet import public_emulator
from tests.support.languages import PYTHON, SHELL
from tests.support.processes import commands, wait_until
from tests.support.sandbox_host import USERS, running_host
from tests.support.simulated_internet.server import TCP_PORT, UDP_PORT
from tests.support.system_calls import attempt

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from tests.support.internet import Internet
    from tests.support.sandbox_host import Host


TUNNEL = Path("/dev/net/tun")
GROUP, GROUP_PORT = "239.77.77.77", 7779


@dataclass(frozen=True)
class Services:
    """Services of the host: TCP and UDP on all of its IPv4 and IPv6 addresses, and two Unix sockets.

    Attributes:
        tcp: port of the TCP service.
        udp: port of the UDP service, which echoes datagrams.
        path: path of a Unix socket.
        abstract: name of an abstract Unix socket.
        received: datagrams that the UDP service received.
    """

    tcp: int
    udp: int
    path: str
    abstract: str
    received: list[bytes]

    @property
    def targets(self) -> list[Target]:
        """Connection attempts that succeed on the host."""
        return [
            ("tcp", "127.0.0.1", self.tcp),
            ("udp", "127.0.0.1", self.udp),
            ("tcp", "::1", self.tcp),
            ("udp", "::1", self.udp),
            *(("tcp", address, self.tcp) for address in host_addresses()),
            *(("udp", address, self.udp) for address in host_addresses()),
            ("unix", self.path),
            ("unix", self.abstract),
        ]


def host_addresses() -> list[str]:
    """Returns the host's addresses without loopback."""
    links = json.loads(subprocess.run(["ip", "-j", "addr"], capture_output=True, check=True).stdout)
    addresses = [item for link in links for item in link["addr_info"] if item["scope"] == "global"]
    return [item["local"] for item in addresses if not item.get("tentative")]


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Generator[Services]:
    """Services of the host that reply to every connection."""
    path, abstract = str(tmp_path_factory.mktemp("sockets") / "socket"), f"\0{uuid.uuid4().hex}"
    received: list[bytes] = []
    with contextlib.ExitStack() as opened:
        listener = opened.enter_context(
            socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True, backlog=128)
        )
        port = listener.getsockname()[1]
        datagrams = opened.enter_context(socket.socket(socket.AF_INET6, socket.SOCK_DGRAM))
        datagrams.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        datagrams.bind(("::", 0))
        for name in (path, abstract):
            unix = opened.enter_context(socket.socket(socket.AF_UNIX))
            unix.bind(name)
            unix.listen(128)
        threading.Thread(target=_serve, args=(listener,), daemon=True).start()
        threading.Thread(target=_echo, args=(datagrams, received), daemon=True).start()
        yield Services(port, datagrams.getsockname()[1], path, abstract, received)


def _serve(listener: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while True:
            connection, _ = listener.accept()
            connection.sendall(b"host")
            connection.close()


def _echo(datagrams: socket.socket, received: list[bytes]) -> None:
    with contextlib.suppress(OSError):
        while True:
            data, sender = datagrams.recvfrom(2048)
            received.append(data)
            datagrams.sendto(data, sender)


@pytest.fixture(scope="module")
def network_host(agentcore_runtime: Path, services: Services) -> Generator[Host]:
    """An emulator with named hosts for VPC and PUBLIC interpreters."""
    target = f"127.0.0.1:{services.tcp}"
    options = ("--vpc-host", f"db.example.internal:5432={target}", "--public-host", f"api.example.com:443={target}")
    with running_host(USERS[0], agentcore_runtime, *options, "--public-hosts-only") as host:
        yield host


@pytest.mark.parametrize("mode", ["SANDBOX", "VPC", "PUBLIC"])
def test_code_reaches_no_service_of_the_host(network_host: Host, services: Services, mode: str) -> None:
    targets = services.targets
    assert_reached_from_host(targets)
    session = NetworkSession(network_host, mode)
    own = "own = __import__('socket').create_server(('127.0.0.1', 0)); print(own.getsockname()[1])"
    port = int(session.python(own)["stdout"])
    assert session.python(f"__import__('socket').create_connection(('127.0.0.1', {port})).close()")["exitCode"] == 0
    internet = [
        ("tcp", "1.1.1.1", 443),
        ("udp", "1.1.1.1", 53),
        ("tcp", "2606:4700:4700::1111", 443),
        ("name", "amazon.com"),
        ("multicast", GROUP, GROUP_PORT),
        ("tcp", "169.254.169.254", 81),
    ]
    assert_refused(session.connect_all(*targets, *internet), [*targets, *internet])
    session.stop()


def test_vpc_interpreter_reaches_named_hosts(network_host: Host) -> None:
    named = [("tcp", "db.example.internal", 5432), ("name", "db.example.internal")]
    session, other = NetworkSession(network_host, "VPC"), NetworkSession(network_host, "SANDBOX")
    assert session.connect_all(*named) == ["host", "127.0.1.1"]
    assert_refused(other.connect_all(*named), named)
    unnamed = [("tcp", "db.example.internal", 5433), ("tcp", "api.example.com", 443)]
    assert_refused(session.connect_all(*unnamed), unnamed)
    session.stop()
    other.stop()


def test_public_interpreter_reaches_named_hosts(network_host: Host) -> None:
    session = NetworkSession(network_host, "PUBLIC")
    assert session.connect_all(("tcp", "api.example.com", 443)) == ["host"]
    session.stop()


SERVICE = "http://169.254.169.254/latest/"
TOKEN, TOKEN_TTL = "X-aws-ec2-metadata-token: ", "X-aws-ec2-metadata-token-ttl-seconds: "
ASK_METADATA = f"""
import urllib.request, urllib.error
def ask(method, path, headers):
    fields = dict(one.split(': ') for one in headers)
    try:
        response = urllib.request.urlopen(urllib.request.Request('{SERVICE}' + path, method=method, headers=fields))
    except urllib.error.HTTPError as error:
        response = error
    return f'{{response.code}} {{response.read().decode()}}'.strip()
token = ask('PUT', 'api/token', ['{TOKEN_TTL}60']).split()[1]
print(f'token={{token}}')
for name, (method, path, *headers) in REQUESTS.items():
    print(f"{{name}}={{ask(method, path, [one.replace('TOKEN', token) for one in headers])}}")
"""
"""Gets a token and prints it, then the status and body of each response. TOKEN in a header stands for the token."""
REGION, ROLES = "meta-data/placement/region", "meta-data/iam/security-credentials/"
METADATA_REQUESTS = {
    "region": (("GET", REGION, f"{TOKEN}TOKEN"), "200 us-east-1"),
    "region with a guessed token": (("GET", REGION, f"{TOKEN}guess"), "401"),
    "roles": (("GET", ROLES, f"{TOKEN}TOKEN"), "404"),
    "roles without a token": (("GET", ROLES), "401"),
    "token without a lifetime": (("PUT", "api/token"), "400"),
    "token for too long": (("PUT", "api/token", f"{TOKEN_TTL}99999"), "400"),
    "token by POST": (("POST", "api/token", f"{TOKEN_TTL}9"), "405"),
    "token for a proxy": (("PUT", "api/token", f"{TOKEN_TTL}9", "X-Forwarded-For: 1.2.3.4"), "403"),
    "another path": (("GET", "user-data", f"{TOKEN}TOKEN"), "404"),
}


def ask_metadata(session: NetworkSession, requests: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """Sends requests to a session's metadata service. Returns the responses by name, and the token."""
    return PYTHON.outcomes(session, f"REQUESTS = {dict(requests)!r}" + ASK_METADATA)


def test_metadata_service_requires_a_token_and_has_no_credentials_without_a_role(network_host: Host) -> None:
    session = NetworkSession(network_host, "SANDBOX")
    responses = ask_metadata(session, {name: request for name, (request, _) in METADATA_REQUESTS.items()})
    assert len(responses.pop("token")) > 30
    assert responses == {name: response for name, (_, response) in METADATA_REQUESTS.items()}
    session.stop()


def test_metadata_token_of_a_session_is_invalid_in_another_session(network_host: Host) -> None:
    first, second = NetworkSession(network_host, "SANDBOX"), NetworkSession(network_host, "SANDBOX")
    token = ask_metadata(first, {})["token"]
    region = {"region": ("GET", REGION, f"{TOKEN}{token}")}
    assert ask_metadata(first, region)["region"] == "200 us-east-1"
    assert ask_metadata(second, region)["region"] == "401"
    first.stop()
    second.stop()


CONNECT_IN_SHELL = (
    'connect() { (timeout 2 bash -c ": 3<>/dev/tcp/$1/$2" 2>/dev/null && echo "$1=reached" || echo "$1=refused") & }'
)
"""Starts an attempt in the background, because filtered packets get no reply."""


# PUBLIC: internet access by slirp4netns

if os.geteuid() == 0:  # only root can create the simulated internet

    def test_public_interpreter_reaches_the_internet(public_host: Host, internet: Internet) -> None:
        session = NetworkSession(public_host, "PUBLIC")
        targets = [
            ("tcp", internet.address, TCP_PORT),
            ("udp", internet.address, UDP_PORT),
            ("name", "outside.example"),
            ("tcp", "outside.example", TCP_PORT),
        ]
        assert session.connect_all(*targets) == ["internet", "echo", internet.address, "internet"]
        session.stop()

    def test_public_interpreter_reaches_neither_the_host_nor_private_networks(
        public_host: Host, internet: Internet, services: Services
    ) -> None:
        session = NetworkSession(public_host, "PUBLIC")
        with _multicast_listener() as received:
            device = internet.link
            targets = [
                *services.targets,
                ("tcp", internet.private_address, TCP_PORT),
                ("tcp", internet.address6, TCP_PORT),
                ("udp", internet.private_address, UDP_PORT),
                ("multicast", GROUP, GROUP_PORT, device),
                ("multicast_by_packet", GROUP, GROUP_PORT, device),
            ]
            assert_reached_from_host(targets)
            assert received == [b"echo"] * 2  # the controls
            own = [("tcp", internet.host_address, services.tcp), ("udp", internet.host_address, services.udp)]
            gateway = [("tcp", host, services.tcp) for host in ("10.0.2.2", "10.0.2.3", "0.0.0.0")]  # noqa: S104
            guest = [(*target[:3], "tap0") if target[0].startswith("multicast") else target for target in targets]
            by_device = [
                (*item, "tap0")
                for item in [*guest, *own, *gateway]
                if item[0] in ("tcp", "udp") and ":" not in str(item[1])
            ]
            attempts = [*guest, *own, *gateway, *by_device, ("multicast", GROUP, GROUP_PORT)]
            before = len(services.received)
            assert_refused(session.connect_all(*attempts), attempts)
            assert received == [b"echo"] * 2
            assert len(services.received) == before  # no datagram arrived whose reply was lost
        assert session.connect_all(("tcp", internet.address, TCP_PORT)) == ["internet"]  # the control
        session.stop()

    def test_programs_of_a_shell_reach_neither_the_host_nor_private_networks(
        public_host: Host, internet: Internet, services: Services
    ) -> None:
        assert_reached_from_host(
            [
                ("tcp", internet.private_address, TCP_PORT),
                ("tcp", internet.host_address, services.tcp),
                ("udp", internet.host_address, services.udp),
            ]
        )
        session = NetworkSession(public_host, "PUBLIC")
        refused = {internet.private_address: TCP_PORT, internet.address6: TCP_PORT} | dict.fromkeys(
            (internet.host_address, "10.0.2.2", "10.0.2.3", "127.0.0.1", "192.168.0.1", "169.254.170.2"), services.tcp
        )
        attempts = [f"connect {address} {port}" for address, port in {**refused, internet.address: TCP_PORT}.items()]
        outcomes = SHELL.outcomes(session, "\n".join([CONNECT_IN_SHELL, *attempts, "wait"]))
        assert outcomes == dict.fromkeys(refused, "refused") | {internet.address: "reached"}
        before = len(services.received)
        SHELL.attempt_all(session, {"datagram": attempt("udp", internet.host_address, services.udp)})
        assert len(services.received) == before
        session.stop()

    def test_public_session_cannot_fill_the_neighbor_table_of_the_machine(
        public_host: Host, internet: Internet
    ) -> None:
        session = NetworkSession(public_host, "PUBLIC")
        assert session.connect_all(("tcp", internet.address, TCP_PORT)) == ["internet"]
        neighbors = [f"10.0.2.{number}" for number in (1, 4, 9, 31, 63, 77, 127, 200, 254)]
        attempts = {address: attempt("udp", address, 9) for address in neighbors}
        table = {"table": attempt("read", "/proc/net/arp"), "ipv6": attempt("read", "/proc/net/if_inet6")}
        outcomes = PYTHON.attempt_all(session, attempts | table)
        assert {outcomes[address] for address in neighbors[1:]} <= {"ENETUNREACH", "EHOSTUNREACH"}
        known = {line.split()[0] for line in outcomes["table"].split("|")[1:] if line}
        assert "10.0.2.2" in known  # the control
        assert known <= {f"10.0.2.{number}" for number in range(4)}
        assert "tap0" not in outcomes["ipv6"]
        session.stop()

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
    def test_slirp_ends_with_its_session_and_with_the_emulator(
        internet: Internet, agentcore_runtime: Path, number: signal.Signals
    ) -> None:
        with public_emulator(internet, agentcore_runtime) as host:
            sessions = [NetworkSession(host, "PUBLIC") for _ in range(2)]
            assert len(_slirp_processes(host.process)) == 2
            sessions[0].stop()
            remaining = _slirp_processes(host.process)
            assert len(remaining) == 1
            os.kill(host.process, number)
            wait_until(lambda: not any(Path(f"/proc/{process}").exists() for process in remaining))

    def test_slirp_has_no_rights_on_the_host(public_host: Host) -> None:
        session = NetworkSession(public_host, "PUBLIC")
        (process,) = _slirp_processes(public_host.process)
        status = dict(line.split(":\t", 1) for line in Path(f"/proc/{process}/status").read_text().splitlines())
        assert 0 not in {int(number) for name in ("Uid", "Gid") for number in status[name].split()}
        assert int(status["CapEff"], 16) == 0
        assert status["Seccomp"] == "2"
        session.stop()


@contextlib.contextmanager
def _multicast_listener() -> Generator[list[bytes]]:
    """Joins the multicast group on every interface of the host and replies. Yields the datagrams received."""
    received: list[bytes] = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("", GROUP_PORT))
        for address in host_addresses():
            if ":" not in address:
                membership = struct.pack("4s4s", socket.inet_aton(GROUP), socket.inet_aton(address))
                with contextlib.suppress(OSError):  # two addresses of one interface
                    sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
        threading.Thread(target=_echo, args=(sock, received), daemon=True).start()
        yield received


def _slirp_processes(emulator: int) -> list[int]:
    """Returns the slirp4netns processes that an emulator started."""
    children = {
        int(child) for path in Path(f"/proc/{emulator}/task").glob("*/children") for child in path.read_text().split()
    }
    return [process for process, command in commands() if process in children and "slirp4netns" in command]


def test_user_without_access_to_the_tunnel_device_gets_a_remedy(agentcore_runtime: Path, services: Services) -> None:
    with running_host(USERS[-1], agentcore_runtime, "--pool", "0") as host:
        if TUNNEL.exists() and TUNNEL.stat().st_mode & 0o006 == 0o006:
            session = NetworkSession(host, "PUBLIC")
            targets = services.targets
            assert_refused(session.connect_all(*targets), targets)
        else:
            with pytest.raises(ClientError) as refusal:
                NetworkSession(host, "PUBLIC")
            message = str(refusal.value)
            assert str(TUNNEL) in message
            assert "--public-hosts-only" in message
        sandbox = NetworkSession(host, "SANDBOX")
        assert sandbox.python("print('works')")["stdout"] == "works"


def test_missing_slirp_is_reported_with_a_remedy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert find_slirp().endswith("/slirp4netns") or os.geteuid() != 0
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SandboxUnavailableError) as refusal:
        find_slirp()
    assert "apt-get install slirp4netns" in refusal.value.fix
