"""Attacks on the emulator through the services that it offers inside a sandbox."""

from __future__ import annotations

import contextlib
import resource
from typing import TYPE_CHECKING

from tests.support.languages import PYTHON
from tests.support.sandbox_host import running_host

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from tests.support.hostile_session import Attacker
    from tests.support.sandbox_host import Host, User

REQUEST = (
    "PUT /latest/api/token HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n"
    "X-aws-ec2-metadata-token-ttl-seconds: TTL\\r\\n\\r\\n"
)
REQUEST_TOKENS = f"""
def request(ttl):
    with socket.create_connection(('169.254.169.254', 80), 20) as connection:
        connection.sendall(f'{REQUEST.replace("TTL", "{ttl}")}'.encode())
        return connection.recv(100).decode().split()[1]
report('control', lambda: request('60'))
for number in range(20): report(f'invalid{{number}}', lambda: request('0' * 8 + '1' + '9' * 5000))"""


def test_invalid_requests_do_not_fill_the_log_of_the_emulator(attacker: Attacker, host: Host) -> None:
    log = host.state / "log"
    before = log.stat().st_size
    statuses = PYTHON.outcomes(attacker, REQUEST_TOKENS)
    assert statuses == {"control": "200"} | {f"invalid{number}": "400" for number in range(20)}
    assert log.stat().st_size - before < 200


HOLD_CONNECTIONS = """
held = []
for address in (('169.254.169.254', 80), ('127.0.0.1', 4566)):
    for _ in range(100):
        one = socket.socket()
        one.setblocking(False)
        one.connect_ex(address)
        held.append(one)
time.sleep(1)
print('held=' + str(len(held)))"""


@contextlib.contextmanager
def descriptor_limit(number: int) -> Generator[None]:
    """Limits the open descriptors of processes that start in the context, as a login shell does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (number, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_open_connections_leave_descriptors_for_other_sessions(user: User, agentcore_runtime: Path) -> None:
    with descriptor_limit(256), running_host(user, agentcore_runtime, "--pool", "0") as host:
        for _ in range(3):
            assert PYTHON.outcomes(host.new_attacker(), HOLD_CONNECTIONS) == {"held": "200"}
        other = host.new_attacker()
        assert other.is_responsive()
        assert PYTHON.outcomes(other, REQUEST_TOKENS)["control"] == "200"
