"""What comes out of a sandbox is hostile: a supervisor that was taken over gains nothing by what it says."""

from __future__ import annotations

import asyncio
import json
import socket
from typing import TYPE_CHECKING

import pytest

from local_agentcore.errors import SandboxEndedError
from local_agentcore.sandbox.channel import Channel
from local_agentcore.sandbox.host import OperationError, entries_of
from local_agentcore.sandbox.inside.frames import LENGTHS, MAXIMUM_MESSAGE_BYTES, MAXIMUM_PAYLOAD_BYTES

if TYPE_CHECKING:
    from local_agentcore.sandbox.inside.frames import Frame


def frame(message: object, payload: bytes = b"") -> bytes:
    """Returns a frame as a supervisor sends it."""
    text = json.dumps(message).encode()
    return LENGTHS.pack(len(text), len(payload)) + text + payload


def answer_of(said: bytes) -> Frame:
    """Returns the host's answer to a request after which a supervisor says something and goes away."""

    async def converse() -> Frame:
        near, far = socket.socketpair()
        channel = await Channel.over(near)
        far.sendall(frame({"ready": True}))
        await channel.ready()
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
        LENGTHS.pack(MAXIMUM_MESSAGE_BYTES + 1, 0),
        LENGTHS.pack(2, MAXIMUM_PAYLOAD_BYTES + 1) + b"{}",
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
        channel = await Channel.over(near)
        far.sendall(said)
        far.close()
        try:
            await channel.ready()
        finally:
            await channel.close()

    asyncio.run(greet(frame({"ready": True})))
    for said in (b"", frame({"ready": "yes"}), frame({}), LENGTHS.pack(1 << 31, 0)):
        with pytest.raises(SandboxEndedError):
            asyncio.run(greet(said))


@pytest.mark.parametrize("listing", [b"", b"5", b"[[1, 2]]", b'[["a"]]', b'[["a", "b"]]', b'{"a": 1}', b"[" * 100_000])
def test_what_is_no_listing_is_refused(listing: bytes) -> None:
    assert [entry.name for entry in entries_of(b'[["a", true]]')] == ["a"]
    with pytest.raises(OperationError):
        entries_of(listing)


def test_a_name_that_is_no_text_is_made_readable() -> None:
    (entry,) = entries_of(b'[["a\\ud800b", false]]')
    assert entry.name.encode() == "a\ufffdb".encode()
