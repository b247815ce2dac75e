"""What code can do to the emulator through what the emulator serves inside of its sandbox."""

from __future__ import annotations

import contextlib
import resource
from typing import TYPE_CHECKING

from tests.security.conftest import hosting, one_user
from tests.security.speakers import PYTHON

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from tests.security.conftest import Attacker, Host, User
    from tests.security.speakers import Speaker

pytestmark = one_user

ASK = (
    "PUT /latest/api/token HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n"
    "X-aws-ec2-metadata-token-ttl-seconds: TTL\\r\\n\\r\\n"
)
ASKING = {
    "python": f"""
def ask(ttl):
    with socket.create_connection(('169.254.169.254', 80), 20) as connection:
        connection.sendall(f'{ASK.replace("TTL", "{ttl}")}'.encode())
        return connection.recv(100).decode().split()[1]
tell('control', lambda: ask('60'))
for number in range(20): tell(f'ask{{number}}', lambda: ask('0' * 8 + '1' + '9' * 5000))""",
    "shell": f"""
ask() {{
  exec 3<>/dev/tcp/169.254.169.254/80
  printf '{ASK.replace("TTL", "%s")}' "$1" >&3
  builtin read -r version status words <&3
  echo "$status"
}}
digits=$(printf '9%.0s' $(seq 5000))
tell control ask 60
for number in $(seq 0 19); do tell ask$number ask 000000001$digits; done""",
    "deno": f"""
async function ask(ttl) {{
  const connection = await Deno.connect({{ hostname: "169.254.169.254", port: 80 }});
  await connection.write(new TextEncoder().encode(`{ASK.replace("TTL", "${ttl}")}`));
  const answer = new Uint8Array(100);
  await connection.read(answer);
  connection.close();
  return new TextDecoder().decode(answer).split(" ")[1];
}}
await tell("control", () => ask("60"));
const digits = "0".repeat(8) + "1" + "9".repeat(5000);
for (let number = 0; number < 20; number++) await tell(`ask${{number}}`, () => ask(digits));""",
}


def test_nonsense_does_not_fill_the_emulators_log(attacker: Attacker, speaker: Speaker, host: Host) -> None:
    log = host.state / "log"
    before = log.stat().st_size
    answers = speaker.told(attacker, ASKING[speaker.name])
    assert answers == {"control": "200"} | {f"ask{number}": "400" for number in range(20)}
    assert log.stat().st_size - before < 200


HOLD = """
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
def few_descriptors(number: int) -> Generator[None]:
    """Lets processes that are started have so many at first, as a login shell does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (number, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_held_connections_leave_descriptors_for_others(user: User, agentcore_runtime: Path) -> None:
    # By Python alone: the connections are the same.
    with few_descriptors(256), hosting(user, agentcore_runtime, "--pool", "0") as host:
        for _ in range(3):
            assert PYTHON.told(host.attacker(), HOLD) == {"held": "200"}
        other = host.attacker()
        assert other.lives()
        assert PYTHON.told(other, ASKING["python"])["control"] == "200"
