"""Messages from a sandbox are untrusted: a compromised supervisor gains nothing by what it sends.

Code that attacks the supervisor, its kernel or its parent processes damages only its own session.
"""

from __future__ import annotations

import asyncio
import json
import socket
from typing import TYPE_CHECKING

import pytest

from local_agentcore.errors import SandboxEndedError
from local_agentcore.sandbox.channel import Channel
from local_agentcore.sandbox.guest.frames import LENGTHS, MAX_MESSAGE_BYTES, MAX_PAYLOAD_BYTES
from local_agentcore.sandbox.responses import OperationError, parse_entries
from tests.support.sandbox_host import each_language
from tests.support.system_calls import number_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from local_agentcore.sandbox.guest.frames import Frame
    from tests.support.hostile_session import Attacker
    from tests.support.languages import Language


def frame(message: object, payload: bytes = b"") -> bytes:
    """Returns the bytes of a frame as a supervisor sends it."""
    text = json.dumps(message).encode()
    return LENGTHS.pack(len(text), len(payload)) + text + payload


def response_to(sent: bytes) -> Frame:
    """Returns the host's result of a request after which a supervisor sends bytes and disconnects."""

    async def converse() -> Frame:
        near, far = socket.socketpair()
        channel = await Channel.wrap(near)
        far.sendall(frame({"ready": True}))
        await channel.wait_ready()
        request = asyncio.ensure_future(channel.request({"op": "read"}))
        await asyncio.sleep(0)
        far.sendall(sent)
        far.shutdown(socket.SHUT_WR)
        try:
            return await request
        finally:
            await channel.close()
            far.close()

    return asyncio.run(converse())


def test_valid_response_is_accepted() -> None:
    response = response_to(frame({"id": 1, "note": "x"}, b"payload"))
    assert (response.message["note"], response.payload) == ("x", b"payload")


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"\x00",
        LENGTHS.pack(MAX_MESSAGE_BYTES + 1, 0),
        LENGTHS.pack(2, MAX_PAYLOAD_BYTES + 1) + b"{}",
        LENGTHS.pack(5, 0) + b"{nope",
        LENGTHS.pack(3, 0) + b"\xff\xfe\xfd",
        frame([1, 2, 3]),
        frame({"id": 2}),
        frame({"id": [1]}),
        frame({}),
        LENGTHS.pack(60_000, 0) + b"[" * 60_000,
        LENGTHS.pack(40, 100) + b"{}",
    ],
    ids=lambda sent: repr(sent[:24]),
)
def test_invalid_response_ends_the_sandbox(sent: bytes) -> None:
    with pytest.raises(SandboxEndedError):
        response_to(sent)


def test_sandbox_without_a_valid_ready_message_is_rejected() -> None:
    async def greet(sent: bytes) -> None:
        near, far = socket.socketpair()
        channel = await Channel.wrap(near)
        far.sendall(sent)
        far.close()
        try:
            await channel.wait_ready()
        finally:
            await channel.close()

    asyncio.run(greet(frame({"ready": True})))
    for sent in (b"", frame({"ready": "yes"}), frame({}), LENGTHS.pack(1 << 31, 0)):
        with pytest.raises(SandboxEndedError):
            asyncio.run(greet(sent))


@pytest.mark.parametrize("listing", [b"", b"5", b"[[1, 2]]", b'[["a"]]', b'[["a", "b"]]', b'{"a": 1}', b"[" * 100_000])
def test_invalid_listing_is_rejected(listing: bytes) -> None:
    assert [entry.name for entry in parse_entries(b'[["a", true]]')] == ["a"]
    with pytest.raises(OperationError):
        parse_entries(listing)


def test_lone_surrogate_in_a_file_name_is_replaced() -> None:
    (entry,) = parse_entries(b'[["a\\ud800b", false]]')
    assert entry.name.encode() == "a\ufffdb".encode()


NOISE = {
    "python": """
for one in range(3, 64):
    try: os.write(one, b'\\xff' * 4096)
    except OSError: pass
os.closerange(0, 64)""",
    "shell": """
for one in $(seq 0 63); do eval "printf '\\377%.0s' \\$(seq 4096) >&$one"; eval "exec $one>&- $one<&-"; done 2>/dev/null
for one in /proc/[0-9]*/fd/*; do printf xxxxxxxx >>$one; done 2>/dev/null""",
    "deno": f"""
const noise = new Uint8Array(4096).fill(255);
for (let one = 3; one < 64; one++) try {{ call({number_of("write")}, one, noise, noise.length); }} catch {{}}
for (let one = 0; one < 64; one++) try {{ call({number_of("close")}, one); }} catch {{}}
Deno.exit(0);""",
}
"""Write to every descriptor of the process and close it. The shell also writes to those of other processes."""
KILL_ALL = {
    "python": "os.kill(-1, signal.SIGKILL)",
    "shell": "kill -9 -1; kill -9 1; kill -9 $PPID; kill -9 0",
    "deno": f"call({number_of('kill')}, -1, 9);",
}
STOP_ALL = {
    "python": "os.kill(os.getppid(), signal.SIGSTOP)\nos.kill(-1, signal.SIGSTOP)\nprint('stopped')",
    "shell": "kill -STOP $PPID; kill -STOP -1; echo stopped",
    "deno": f"call({number_of('kill')}, -1, 19); console.log('stopped');",
}
"""Stops the parent, which is process 1, and all other processes."""
FORGED = frame({"id": 1, "note": "forged"}, b"payload")
"""A response to request 1. If the host received it without such a request, it would end the sandbox."""
IN_SHELL = "".join(map("\\x{:02x}".format, FORGED))
FORGERIES = {
    "python": f"""
forged = bytes.fromhex({FORGED.hex()!r})
for one in range(3, 64):
    try: os.write(one, forged)
    except OSError: pass
    try: open(f'/proc/1/fd/{{one}}', 'wb', buffering=0).write(forged)
    except OSError: pass
sys.modules['guest'] = None; os._exit = lambda code: None; print('patched')
raise SystemExit(255)""",
    "shell": f"""
forged='{IN_SHELL}'
for one in $(seq 3 63); do eval "printf '$forged' >&$one"; printf "$forged" >/proc/1/fd/$one; done 2>/dev/null""",
    "deno": f"""
const forged = Uint8Array.from({list(FORGED)});
for (let one = 3; one < 64; one++) {{
  try {{ call({number_of("write")}, one, forged, forged.length); }} catch {{}}
  try {{ Deno.writeFileSync(`/proc/1/fd/${{one}}`, forged); }} catch {{}}
}}""",
}


def test_forged_response_would_be_accepted_on_the_channel() -> None:
    response = response_to(FORGED)
    assert (response.message["note"], response.payload) == ("forged", b"payload")


@each_language  # each language's process is started and followed in a different way
@pytest.mark.parametrize("attack", [NOISE, KILL_ALL, STOP_ALL, FORGERIES], ids=["noise", "kill", "stop", "forge"])
def test_attack_on_the_supervisor_damages_only_its_own_session(
    new_attacker: Callable[[], Attacker], language: Language, attack: dict[str, str]
) -> None:
    attacker, other = new_attacker(), new_attacker()
    assert attacker.python("x = 1")["exitCode"] == 0
    assert other.python("x = 1")["exitCode"] == 0
    language.run(attacker, attack[language.name])
    if attack is STOP_ALL:  # otherwise the stopped kernel would only end at the time limit
        attacker.shell("kill -CONT -1")
    fresh = attacker.python("print('alive')", clearContext=True)
    assert "alive" in fresh["stdout"]  # output of the attack ended with its kernel
    assert attacker.is_responsive()
    assert other.python("print(x)")["stdout"] == "1"
