"""What comes out of a sandbox is hostile: a supervisor that was taken over gains nothing by what it says.

And code that attacks the supervisor, its kernel or its parents harms its own session at most.
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
from tests.security.conftest import one_user
from tests.security.speakers import number_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from local_agentcore.sandbox.guest.frames import Frame
    from tests.security.conftest import Attacker
    from tests.security.speakers import Speaker


def frame(message: object, payload: bytes = b"") -> bytes:
    """Returns a frame as a supervisor sends it."""
    text = json.dumps(message).encode()
    return LENGTHS.pack(len(text), len(payload)) + text + payload


def answer_of(said: bytes) -> Frame:
    """Returns the host's answer to a request after which a supervisor says something and goes away."""

    async def converse() -> Frame:
        near, far = socket.socketpair()
        channel = await Channel.wrap(near)
        far.sendall(frame({"ready": True}))
        await channel.wait_ready()
        request = asyncio.ensure_future(channel.request({"op": "read"}))
        await asyncio.sleep(0)
        far.sendall(said)
        far.shutdown(socket.SHUT_WR)
        try:
            return await request
        finally:
            await channel.close()
            far.close()

    return asyncio.run(converse())


def test_an_honest_answer_is_taken() -> None:
    answer = answer_of(frame({"id": 1, "note": "x"}, b"payload"))
    assert (answer.message["note"], answer.payload) == ("x", b"payload")


@pytest.mark.parametrize(
    "said",
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
    ids=lambda said: repr(said[:24]),
)
def test_what_is_no_answer_ends_the_sandbox(said: bytes) -> None:
    with pytest.raises(SandboxEndedError):
        answer_of(said)


def test_a_sandbox_that_is_not_ready_in_so_many_words_is_none() -> None:
    async def greet(said: bytes) -> None:
        near, far = socket.socketpair()
        channel = await Channel.wrap(near)
        far.sendall(said)
        far.close()
        try:
            await channel.wait_ready()
        finally:
            await channel.close()

    asyncio.run(greet(frame({"ready": True})))
    for said in (b"", frame({"ready": "yes"}), frame({}), LENGTHS.pack(1 << 31, 0)):
        with pytest.raises(SandboxEndedError):
            asyncio.run(greet(said))


@pytest.mark.parametrize("listing", [b"", b"5", b"[[1, 2]]", b'[["a"]]', b'[["a", "b"]]', b'{"a": 1}', b"[" * 100_000])
def test_what_is_no_listing_is_refused(listing: bytes) -> None:
    assert [entry.name for entry in parse_entries(b'[["a", true]]')] == ["a"]
    with pytest.raises(OperationError):
        parse_entries(listing)


def test_a_name_that_is_no_text_is_made_readable() -> None:
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
"""To every descriptor that it has, which are closed afterwards; a shell's, to those of others as well."""
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
"""Process 1 is the parent of all of them."""
FORGED = frame({"id": 1, "note": "forged"}, b"payload")
"""An answer to a request. Taken, it is that; nobody having asked, it ends the sandbox."""
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


def test_the_forged_answer_would_be_taken_if_it_came_by_the_channel() -> None:
    answer = answer_of(FORGED)
    assert (answer.message["note"], answer.payload) == ("forged", b"payload")


@one_user
@pytest.mark.parametrize("attack", [NOISE, KILL_ALL, STOP_ALL, FORGERIES], ids=["noise", "kill", "stop", "forge"])
def test_an_attack_on_what_runs_it_harms_its_own_session_at_most(
    attackers: Callable[[], Attacker], speaker: Speaker, attack: dict[str, str]
) -> None:
    attacker, other = attackers(), attackers()
    assert attacker.python("x = 1")["exitCode"] == 0
    assert other.python("x = 1")["exitCode"] == 0
    speaker.said(attacker, attack[speaker.name])
    if attack is STOP_ALL:  # the kernel as well, which the time limit would end
        attacker.shell("kill -CONT -1")
    fresh = attacker.python("print('alive')", clear=True)
    assert "alive" in fresh["stdout"]  # whatever it has written is gone with its kernel
    assert attacker.lives()
    assert other.python("print(x)")["stdout"] == "1"
