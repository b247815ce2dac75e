"""What code reaches in each network mode, and what it does not, each attempt beside one that must succeed.

The services that must not be reached run on the host, where the same attempt from a process of the host's succeeds in
the same test. The outside world is a network namespace of the test's own, with addresses that are not private.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import socket
import struct
import subprocess
import sys
import threading
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from local_agentcore.errors import SandboxUnavailableError
from local_agentcore.process import client
from local_agentcore.sandbox.internet_access import find_slirp
from tests.security.conftest import USERS, Attacker, Host, User, commands, hosting, one_user, wait_until
from tests.security.outside_world.world import TCP_PORT, UDP_PORT
from tests.security.speakers import SPEAKERS, attempt

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

    from tests.security.speakers import Speaker

WORLD = Path(__file__).parent / "outside_world"
TUNNEL = Path("/dev/net/tun")
GROUP, GROUP_PORT = "239.77.77.77", 7779
ATTEMPTS = """import json, socket, struct, sys
def attempt(action):
    try:
        return action() or 'reached'
    except OSError as error:
        return 'refused: ' + (error.strerror or str(error))
def options(sock, device):
    sock.settimeout(2)
    if device:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
    return sock
def tcp(host, port, device=''):
    family = socket.AF_INET6 if ':' in host else socket.AF_INET
    with options(socket.socket(family), device) as s:
        s.connect((host, port))
        return s.recv(100).decode()
def udp(host, port, device=''):
    family = socket.AF_INET6 if ':' in host else socket.AF_INET
    with options(socket.socket(family, socket.SOCK_DGRAM), device) as s:
        s.sendto(b'echo', (host, port))
        return s.recv(100).decode()
def multicast(host, port, device=''):
    with options(socket.socket(socket.AF_INET, socket.SOCK_DGRAM), device) as s:
        s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 8)
        s.sendto(b'echo', (host, port))
        return s.recv(100).decode()
def multicast_by_packet(host, port, device=''):
    with options(socket.socket(socket.AF_INET, socket.SOCK_DGRAM), '') as s:
        index = socket.if_nametoindex(device or 'lo')
        s.sendmsg([b'echo'], [(socket.IPPROTO_IP, 8,  # IP_PKTINFO
                               struct.pack('i4s4s', index, bytes(4), bytes(4)))], 0, (host, port))
        return s.recv(100).decode()
def name(host, port=0, device=''):
    return socket.getaddrinfo(host, 80, socket.AF_INET, socket.SOCK_STREAM)[0][4][0]
def unix(path, port=0, device=''):
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(path)
        return 'reached'
from concurrent.futures import ThreadPoolExecutor
made = [lambda kind=kind, rest=rest: globals()[kind](*rest) for kind, *rest in json.loads(sys.argv[1])]
with ThreadPoolExecutor(20) as at_once:
    print(json.dumps(list(at_once.map(attempt, made))))
"""


def assert_here(attempts: list[tuple[Any, ...]]) -> None:
    """Makes attempts from a process of the host's, each of which has to succeed."""
    command = [sys.executable, "-c", ATTEMPTS, json.dumps(attempts)]
    answers = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    assert [item for item in zip(attempts, answers, strict=True) if item[1].startswith("refused")] == []


class Session(Attacker):
    """A session of an interpreter of its own."""

    def __init__(self, host: Host, mode: str) -> None:
        address = host.emulator.address
        control = client("bedrock-agentcore-control", address, "us-east-1")
        network = {"networkMode": mode} | (
            {"vpcConfig": {"subnets": ["subnet-01234567"], "securityGroups": ["sg-01234567"]}} if mode == "VPC" else {}
        )
        made = control.create_code_interpreter(name=f"n{uuid.uuid4().hex[:20]}", networkConfiguration=network)
        super().__init__(client("bedrock-agentcore", address, "us-east-1"), made["codeInterpreterId"])

    def attempts(self, *attempts: tuple[Any, ...]) -> list[str]:
        """Makes attempts from inside."""
        content = self.python(f"import sys\nsys.argv = ['', {json.dumps(attempts)!r}]\n{ATTEMPTS}")
        assert content["exitCode"] == 0, content["stderr"]
        return json.loads(content["stdout"])


@dataclass(frozen=True)
class Services:
    """What the host offers: TCP and datagrams on all of its addresses, on both protocols, and two Unix sockets."""

    tcp: int
    udp: int
    path: str
    abstract: str
    heard: list[bytes]

    @property
    def reachable_here(self) -> list[tuple[Any, ...]]:
        """Attempts that succeed on the host."""
        return [
            ("tcp", "127.0.0.1", self.tcp),
            ("udp", "127.0.0.1", self.udp),
            ("tcp", "::1", self.tcp),
            ("udp", "::1", self.udp),
            *(("tcp", address, self.tcp) for address in own_addresses()),
            *(("udp", address, self.udp) for address in own_addresses()),
            ("unix", self.path),
            ("unix", self.abstract),
        ]


def own_addresses() -> list[str]:
    """Returns the host's addresses beside loopback."""
    shown = json.loads(subprocess.run(["ip", "-j", "addr"], capture_output=True, check=True).stdout)
    found = [item for link in shown for item in link["addr_info"] if item["scope"] == "global"]
    return [item["local"] for item in found if not item.get("tentative")]


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Generator[Services]:
    """Services of the host, which answer whoever reaches them."""
    path, abstract = str(tmp_path_factory.mktemp("sockets") / "socket"), f"\0{uuid.uuid4().hex}"
    heard: list[bytes] = []
    with contextlib.ExitStack() as opened:
        listener = opened.enter_context(
            socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True, backlog=128)
        )
        port = listener.getsockname()[1]
        datagrams = opened.enter_context(socket.socket(socket.AF_INET6, socket.SOCK_DGRAM))
        datagrams.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        datagrams.bind(("::", 0))
        for place in (path, abstract):
            unix = opened.enter_context(socket.socket(socket.AF_UNIX))
            unix.bind(place)
            unix.listen(128)
        threading.Thread(target=_answer, args=(listener,), daemon=True).start()
        threading.Thread(target=_echo, args=(datagrams, heard), daemon=True).start()
        yield Services(port, datagrams.getsockname()[1], path, abstract, heard)


def _answer(listener: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while True:
            connection, _ = listener.accept()
            connection.sendall(b"host")
            connection.close()


def _echo(datagrams: socket.socket, heard: list[bytes]) -> None:
    with contextlib.suppress(OSError):
        while True:
            data, sender = datagrams.recvfrom(2048)
            heard.append(data)
            datagrams.sendto(data, sender)


@dataclass(frozen=True)
class World:
    """The outside world: where it is, an address of it in a private network, and the files of its emulator."""

    address: str
    private: str
    address6: str
    host_side: str
    link: str
    resolv_conf: Path


def ip(*arguments: str) -> None:
    """Runs the `ip` command."""
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Generator[World]:
    """The outside world, joined to the host by a cable. Root makes it."""
    name, number = f"world{os.getpid()}", os.getpid() % 63 * 4
    near, far = f"near{os.getpid() % 100000}", f"far{os.getpid() % 100000}"
    outside = [f"198.51.100.{number + end}" for end in (1, 2)]
    private = [f"172.31.255.{number + end}" for end in (1, 2)]
    six = [f"2001:db8:{number:x}::{end}" for end in (1, 2)]
    ip("netns", "add", name)
    try:
        ip("link", "add", near, "type", "veth", "peer", "name", far, "netns", name)
        for place, device, end in (((), near, 0), (("-n", name), far, 1)):
            for address, length in ((outside[end], "30"), (private[end], "30"), (six[end], "64")):
                ip(*place, "addr", "add", f"{address}/{length}", "dev", device, *(["nodad"] if ":" in address else []))
            ip(*place, "link", "set", device, "up")
        ip("-n", name, "link", "set", "lo", "up")
        command = ["ip", "netns", "exec", name, sys.executable, str(WORLD / "world.py"), outside[1]]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
            assert server.stdout is not None
            assert server.stdout.readline() == b"ready\n"
            resolv_conf = tmp_path_factory.mktemp("world") / "resolv.conf"
            resolv_conf.write_text(f"nameserver {outside[1]}\n")
            yield World(outside[1], private[1], six[1], outside[0], near, resolv_conf)
            server.terminate()
    finally:
        with contextlib.suppress(subprocess.CalledProcessError):  # there was none yet
            ip("link", "del", near)  # with the namespace alone it would go later
        ip("netns", "del", name)


@pytest.fixture(scope="module")
def public_host(world: World, agentcore_runtime: Path) -> Generator[Host]:
    """An emulator of root's whose name server is the world's."""
    with public_emulator(world, agentcore_runtime) as host:
        yield host


@contextlib.contextmanager
def public_emulator(world: World, runtime: Path) -> Generator[Host]:
    """Starts such an emulator."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(WORLD))
        patch.setenv("OUTSIDE_WORLD_RESOLV_CONF", str(world.resolv_conf))
        with hosting(User("root"), runtime, "--pool", "0") as host:
            yield host


@pytest.fixture(scope="module")
def network_host(user: User, agentcore_runtime: Path, services: Services) -> Generator[Host]:
    """An emulator with hosts that were named."""
    target = f"127.0.0.1:{services.tcp}"
    options = ("--vpc-host", f"db.example.internal:5432={target}", "--public-host", f"api.example.com:443={target}")
    with hosting(user, agentcore_runtime, *options, "--public-hosts-only") as host:
        yield host


def refused(answers: list[str], attempts: list[tuple[Any, ...]]) -> bool:
    """Whether each attempt came to nothing; says which did not."""
    reached = [item for item in zip(attempts, answers, strict=True) if not item[1].startswith("refused: ")]
    assert reached == []
    return True


@pytest.mark.parametrize("mode", ["SANDBOX", "VPC", "PUBLIC"])
def test_nothing_of_the_host_is_reached(network_host: Host, services: Services, mode: str) -> None:
    attempts = services.reachable_here
    assert_here(attempts)
    session = Session(network_host, mode)
    own = "own = __import__('socket').create_server(('127.0.0.1', 0)); print(own.getsockname()[1])"
    port = int(session.python(own)["stdout"])
    assert session.python(f"__import__('socket').create_connection(('127.0.0.1', {port})).close()")["exitCode"] == 0
    assert refused(session.attempts(*attempts), attempts)
    outside = [("tcp", "1.1.1.1", 443), ("udp", "1.1.1.1", 53), ("tcp", "2606:4700:4700::1111", 443),
               ("name", "amazon.com"), ("multicast", GROUP, GROUP_PORT), ("tcp", "169.254.169.254", 81)]  # fmt: skip
    assert refused(session.attempts(*outside), outside)
    session.stop()


def test_a_vpc_interpreter_reaches_the_hosts_that_were_named(network_host: Host) -> None:
    named = [("tcp", "db.example.internal", 5432), ("name", "db.example.internal")]
    session, other = Session(network_host, "VPC"), Session(network_host, "SANDBOX")
    assert session.attempts(*named) == ["host", "127.0.1.1"]
    assert refused(other.attempts(*named), named)
    not_named = [("tcp", "db.example.internal", 5433), ("tcp", "api.example.com", 443)]
    assert refused(session.attempts(*not_named), not_named)
    session.stop()
    other.stop()


def test_a_public_interpreter_reaches_the_hosts_that_were_named(network_host: Host) -> None:
    session = Session(network_host, "PUBLIC")
    assert session.attempts(("tcp", "api.example.com", 443)) == ["host"]
    session.stop()


SERVICE = "http://169.254.169.254/latest/"
TOKEN, TOKEN_TTL = "X-aws-ec2-metadata-token: ", "X-aws-ec2-metadata-token-ttl-seconds: "
METADATA = {
    "python": f"""
import urllib.request, urllib.error
def asked(method, path, headers):
    named = dict(one.split(': ') for one in headers)
    try:
        answer = urllib.request.urlopen(urllib.request.Request('{SERVICE}' + path, method=method, headers=named))
    except urllib.error.HTTPError as error:
        answer = error
    return f'{{answer.code}} {{answer.read().decode()}}'.strip()
token = asked('PUT', 'api/token', ['{TOKEN_TTL}60']).split()[1]
def ask(name, method, path, *headers):
    print(f"{{name}}={{asked(method, path, [one.replace('TOKEN', token) for one in headers])}}")
print(f'token={{token}}')
""",
    "shell": f"""
token=$(curl -s -X PUT -H '{TOKEN_TTL}60' '{SERVICE}api/token')
ask() {{
  name=$1 method=$2 path=$3 headers=(); shift 3
  for header in "$@"; do headers+=(-H "${{header/TOKEN/$token}}"); done
  answer=$(curl -s -o answer -w '%{{http_code}}' -X "$method" "${{headers[@]}}" "{SERVICE}$path")
  echo "$name=$answer$(test -s answer && echo " $(cat answer)")"
}}
echo "token=$token"
""",
    "deno": f"""
async function asked(method, path, headers) {{
  const answer = await fetch("{SERVICE}" + path, {{ method, headers: headers.map((one) => one.split(": ")) }});
  return `${{answer.status}} ${{await answer.text()}}`.trim();
}}
const token = (await asked("PUT", "api/token", ["{TOKEN_TTL}60"])).split(" ")[1];
async function ask(name, method, path, ...headers) {{
  console.log(`${{name}}=${{await asked(method, path, headers.map((one) => one.replace("TOKEN", token)))}}`);
}}
console.log(`token=${{token}}`);
""",
}
"""Each gets a token and tells it; `ask` tells the status and body of an answer, TOKEN in a header being the token."""
ASK: dict[str, Callable[[list[str]], str]] = {
    "python": lambda words: f"ask({', '.join(map(json.dumps, words))})",
    "shell": lambda words: shlex.join(["ask", *words]),
    "deno": lambda words: f"await ask({', '.join(map(json.dumps, words))});",
}
REGION, ROLES = "meta-data/placement/region", "meta-data/iam/security-credentials/"
QUESTIONS = {
    "region": (("GET", REGION, f"{TOKEN}TOKEN"), "200 us-east-1"),
    "region with a guess": (("GET", REGION, f"{TOKEN}guess"), "401"),
    "roles": (("GET", ROLES, f"{TOKEN}TOKEN"), "404"),
    "roles without a token": (("GET", ROLES), "401"),
    "token without a time": (("PUT", "api/token"), "400"),
    "token for too long": (("PUT", "api/token", f"{TOKEN_TTL}99999"), "400"),
    "token by POST": (("POST", "api/token", f"{TOKEN_TTL}9"), "405"),
    "token for another": (("PUT", "api/token", f"{TOKEN_TTL}9", "X-Forwarded-For: 1.2.3.4"), "403"),
    "another path": (("GET", "user-data", f"{TOKEN}TOKEN"), "404"),
}


def metadata(session: Session, speaker: Speaker, questions: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """Has a session ask its metadata service, and returns the answers by name, and the token."""
    asking = "\n".join(ASK[speaker.name]([name, *words]) for name, words in questions.items())
    return speaker.told(session, METADATA[speaker.name] + asking)


@one_user
def test_the_metadata_service_wants_a_token_and_knows_no_credentials_without_a_role(
    network_host: Host, speaker: Speaker
) -> None:
    session = Session(network_host, "SANDBOX")
    answers = metadata(session, speaker, {name: question for name, (question, _) in QUESTIONS.items()})
    assert len(answers.pop("token")) > 30
    assert answers == {name: answer for name, (_, answer) in QUESTIONS.items()}
    session.stop()


def test_one_sessions_token_is_of_no_use_in_another(network_host: Host, speaker: Speaker) -> None:
    first, second = Session(network_host, "SANDBOX"), Session(network_host, "SANDBOX")
    token = metadata(first, speaker, {})["token"]
    region = {"region": ("GET", REGION, f"{TOKEN}{token}")}
    assert metadata(first, speaker, region)["region"] == "200 us-east-1"
    assert metadata(second, speaker, region)["region"] == "401"
    first.stop()
    second.stop()


REACH = {
    "shell": (
        'reach() { (timeout 2 bash -c ": 3<>/dev/tcp/$1/$2" 2>/dev/null && echo "$1=reached" || echo "$1=refused") & }',
        "reach {address} {port}",
        "wait",
    ),
    "deno": (
        """
const late = new Promise((_, refuse) => setTimeout(() => refuse(new Error("late")), 2000));
const all = [];
const reach = (hostname, port) => all.push(Promise.race([Deno.connect({ hostname, port }), late])
  .then(() => console.log(`${hostname}=reached`), () => console.log(`${hostname}=refused`)));""",
        'reach("{address}", {port});',
        "await Promise.all(all);\nDeno.exit(0);",
    ),
}
"""All at once, since what is filtered gets no answer. Python's attempts are `ATTEMPTS`."""


# PUBLIC: the outside world by slirp4netns

if os.geteuid() == 0:  # the outside world is root's to make; whoever is not root finds the refusal tested below

    def test_a_public_interpreter_reaches_the_outside_world(public_host: Host, world: World) -> None:
        session = Session(public_host, "PUBLIC")
        attempts = [("tcp", world.address, TCP_PORT), ("udp", world.address, UDP_PORT), ("name", "outside.example"),
                    ("tcp", "outside.example", TCP_PORT)]  # fmt: skip
        assert session.attempts(*attempts) == ["outside", "echo", world.address, "outside"]
        session.stop()

    def test_a_public_interpreter_does_not_reach_the_host_or_private_networks(
        public_host: Host, world: World, services: Services
    ) -> None:
        session = Session(public_host, "PUBLIC")
        with _multicast_listener() as heard:
            device = world.link
            here = [*services.reachable_here, ("tcp", world.private, TCP_PORT), ("tcp", world.address6, TCP_PORT),
                    ("udp", world.private, UDP_PORT), ("multicast", GROUP, GROUP_PORT, device),
                    ("multicast_by_packet", GROUP, GROUP_PORT, device)]  # fmt: skip
            assert_here(here)
            assert heard == [b"echo"] * 2  # the controls
            own = [("tcp", world.host_side, services.tcp), ("udp", world.host_side, services.udp)]
            gateway = [("tcp", host, services.tcp) for host in ("10.0.2.2", "10.0.2.3", "0.0.0.0")]  # noqa: S104
            there = [(*attempt[:3], "tap0") if attempt[0].startswith("multicast") else attempt for attempt in here]
            by_device = [(*item, "tap0") for item in [*there, *own, *gateway]
                         if item[0] in ("tcp", "udp") and ":" not in str(item[1])]  # fmt: skip
            attempts = [*there, *own, *gateway, *by_device, ("multicast", GROUP, GROUP_PORT)]
            before = len(services.heard)
            assert refused(session.attempts(*attempts), attempts)
            assert heard == [b"echo"] * 2
            assert len(services.heard) == before  # nor did a datagram arrive whose answer was lost
        assert session.attempts(("tcp", world.address, TCP_PORT)) == ["outside"]  # it has had a network all the time
        session.stop()

    @pytest.mark.parametrize("speaker", [SPEAKERS[name] for name in REACH], ids=list(REACH))
    def test_what_is_not_outside_is_reached_in_no_language(
        public_host: Host, world: World, services: Services, speaker: Speaker
    ) -> None:
        assert_here([("tcp", world.private, TCP_PORT), ("tcp", world.host_side, services.tcp),
                     ("udp", world.host_side, services.udp)])  # fmt: skip
        session = Session(public_host, "PUBLIC")
        places = {world.private: TCP_PORT, world.address6: TCP_PORT} | dict.fromkeys(
            (world.host_side, "10.0.2.2", "10.0.2.3", "127.0.0.1", "192.168.0.1", "169.254.170.2"), services.tcp
        )
        begin, reach, end = REACH[speaker.name]
        lines = [reach.replace("{address}", address).replace("{port}", str(port))
                 for address, port in {**places, world.address: TCP_PORT}.items()]  # fmt: skip
        answers = speaker.told(session, "\n".join([begin, *lines, end]))
        assert answers == dict.fromkeys(places, "refused") | {world.address: "reached"}
        before = len(services.heard)
        speaker.tries(session, {"datagram": attempt("udp", world.host_side, services.udp)})
        assert len(services.heard) == before
        session.stop()

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
    def test_the_way_out_ends_with_the_emulator(world: World, agentcore_runtime: Path, number: signal.Signals) -> None:
        with public_emulator(world, agentcore_runtime) as host:
            sessions = [Session(host, "PUBLIC") for _ in range(2)]
            assert len(_slirps(host.process)) == 2
            sessions[0].stop()
            assert len(_slirps(host.process)) == 1
            left = _slirps(host.process)
            os.kill(host.process, number)
            wait_until(lambda: not any(Path(f"/proc/{process}").exists() for process in left))

    def test_the_way_out_has_no_rights_on_the_host(public_host: Host) -> None:
        session = Session(public_host, "PUBLIC")
        (process,) = _slirps(public_host.process)
        status = dict(line.split(":\t", 1) for line in Path(f"/proc/{process}/status").read_text().splitlines())
        assert 0 not in {int(number) for name in ("Uid", "Gid") for number in status[name].split()}
        assert int(status["CapEff"], 16) == 0
        assert status["Seccomp"] == "2"
        session.stop()


@contextlib.contextmanager
def _multicast_listener() -> Generator[list[bytes]]:
    """Listens on the host to the group, on every interface; answers, and gives what it has heard."""
    heard: list[bytes] = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("", GROUP_PORT))
        for address in own_addresses():
            if ":" not in address:
                membership = struct.pack("4s4s", socket.inet_aton(GROUP), socket.inet_aton(address))
                with contextlib.suppress(OSError):  # two addresses of one interface
                    sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
        threading.Thread(target=_echo, args=(sock, heard), daemon=True).start()
        yield heard


def _slirps(emulator: int) -> list[int]:
    """Returns the emulator's own slirp4netns processes."""
    children = {
        int(child) for path in Path(f"/proc/{emulator}/task").glob("*/children") for child in path.read_text().split()
    }
    return [process for process, command in commands() if process in children and "slirp4netns" in command]


@pytest.mark.parametrize("user", [USERS[-1]], ids=lambda user: user.name, indirect=True, scope="session")
def test_who_may_not_open_a_tunnel_is_told_what_to_do(user: User, agentcore_runtime: Path, services: Services) -> None:
    with hosting(user, agentcore_runtime, "--pool", "0") as host:
        if TUNNEL.exists() and TUNNEL.stat().st_mode & 0o006 == 0o006:
            session = Session(host, "PUBLIC")
            attempts = services.reachable_here
            assert refused(session.attempts(*attempts), attempts)
        else:
            with pytest.raises(ClientError) as refusal:
                Session(host, "PUBLIC")
            message = str(refusal.value)
            assert str(TUNNEL) in message
            assert "--public-hosts-only" in message
        sandbox = Session(host, "SANDBOX")
        assert sandbox.python("print('works')")["stdout"] == "works"


def test_slirp_is_asked_for_where_it_is_not_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert find_slirp().endswith("/slirp4netns") or os.geteuid() != 0
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SandboxUnavailableError) as refusal:
        find_slirp()
    assert "apt-get install slirp4netns" in refusal.value.fix
