"""Many connection attempts at the same time, from a session in a network mode or from a process of the host."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from typing import TYPE_CHECKING, Any

from local_agentcore.process import client
from tests.support.account import REGION
from tests.support.hostile_session import Attacker

if TYPE_CHECKING:
    from tests.support.sandbox_host import Host

PROGRAM = """import json, socket, struct, sys
def outcome(action):
    try:
        return action() or 'reached'
    except OSError as error:
        return 'refused: ' + (error.strerror or str(error))
def configure(sock, device):
    sock.settimeout(2)
    if device:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
    return sock
def tcp(host, port, device=''):
    family = socket.AF_INET6 if ':' in host else socket.AF_INET
    with configure(socket.socket(family), device) as s:
        s.connect((host, port))
        return s.recv(100).decode()
def udp(host, port, device=''):
    family = socket.AF_INET6 if ':' in host else socket.AF_INET
    with configure(socket.socket(family, socket.SOCK_DGRAM), device) as s:
        s.sendto(b'echo', (host, port))
        return s.recv(100).decode()
def multicast(host, port, device=''):
    with configure(socket.socket(socket.AF_INET, socket.SOCK_DGRAM), device) as s:
        s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 8)
        s.sendto(b'echo', (host, port))
        return s.recv(100).decode()
def multicast_by_packet(host, port, device=''):
    with configure(socket.socket(socket.AF_INET, socket.SOCK_DGRAM), '') as s:
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
actions = [lambda kind=kind, rest=rest: globals()[kind](*rest) for kind, *rest in json.loads(sys.argv[1])]
with ThreadPoolExecutor(len(actions)) as threads:
    print(json.dumps(list(threads.map(outcome, actions))))
"""
"""Makes the attempts in its argument and prints what each received, or why it failed."""
VPC = {"vpcConfig": {"subnets": ["subnet-01234567"], "securityGroups": ["sg-01234567"]}}

Target = tuple[Any, ...]
"""Kind, address, port and network interface of one attempt. Port and interface are optional."""


def assert_reached_from_host(targets: list[Target]) -> None:
    """Checks that a process of the host reaches every target."""
    command = [sys.executable, "-c", PROGRAM, json.dumps(targets)]
    outcomes = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    assert [item for item in zip(targets, outcomes, strict=True) if item[1].startswith("refused")] == []


def assert_refused(outcomes: list[str], targets: list[Target]) -> None:
    """Checks that no attempt reached its target."""
    reached = [item for item in zip(targets, outcomes, strict=True) if not item[1].startswith("refused: ")]
    assert reached == []


class NetworkSession(Attacker):
    """A session of a new custom interpreter with a network mode."""

    def __init__(self, host: Host, mode: str) -> None:
        address = host.emulator.address
        control = client("bedrock-agentcore-control", address, REGION)
        network = {"networkMode": mode} | (VPC if mode == "VPC" else {})
        created = control.create_code_interpreter(name=f"n{uuid.uuid4().hex[:20]}", networkConfiguration=network)
        super().__init__(client("bedrock-agentcore", address, REGION), created["codeInterpreterId"])

    def connect_all(self, *targets: Target) -> list[str]:
        """Attempts to reach the targets from the sandbox. Returns an outcome for each."""
        content = self.python(f"import sys\nsys.argv = ['', {json.dumps(targets)!r}]\n{PROGRAM}")
        assert content["exitCode"] == 0, content["stderr"]
        return json.loads(content["stdout"])
