"""The frame that host and supervisor exchange: two lengths, a small JSON object, and raw bytes."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    import asyncio

LENGTHS = struct.Struct("!II")
MAX_MESSAGE_BYTES = 64 * 1024
MAX_PAYLOAD_BYTES = 128 * 1024 * 1024


class FrameError(ValueError):
    """The other end violated the protocol and must not be trusted any more."""


@dataclass(frozen=True)
class Frame:
    """One message. `message` has at most 64 KiB of JSON, `payload` at most 128 MiB."""

    message: dict[str, Any]
    payload: bytes = field(default=b"", repr=False)

    def header(self) -> bytes:
        """Returns the bytes before the payload."""
        text = json.dumps(self.message).encode()
        if len(text) > MAX_MESSAGE_BYTES or len(self.payload) > MAX_PAYLOAD_BYTES:
            raise FrameError(f"a frame of {len(text)} + {len(self.payload)} bytes is too large")
        return LENGTHS.pack(len(text), len(self.payload)) + text


async def receive(reader: asyncio.StreamReader) -> Frame:
    """Returns the next frame.

    Raises:
        FrameError: Sizes or JSON are invalid.
        asyncio.IncompleteReadError: The other end has closed the socket.
    """
    message_bytes, payload_bytes = LENGTHS.unpack(await reader.readexactly(LENGTHS.size))
    if message_bytes > MAX_MESSAGE_BYTES or payload_bytes > MAX_PAYLOAD_BYTES:
        raise FrameError(f"a frame of {message_bytes} + {payload_bytes} bytes exceeds the size limit")
    text = await reader.readexactly(message_bytes)
    payload = await reader.readexactly(payload_bytes) if payload_bytes else b""
    try:
        message: object = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise FrameError("a frame's message is not JSON") from error
    if not isinstance(message, dict):
        raise FrameError("a frame's message is not a JSON object")
    return Frame(cast("dict[str, Any]", message), payload)


async def send(writer: asyncio.StreamWriter, frame: Frame) -> None:
    """Sends one frame. Frames of parallel calls do not mix, as there is no suspension point between the two writes."""
    writer.write(frame.header())
    if frame.payload:
        writer.write(frame.payload)
    await writer.drain()
