"""Reads the events of a response in linear time, also those that are larger than botocore accepts.

botocore rejects an event over 24 MiB before it reads it, although the program ran, and joins the parts of an event in
quadratic time. This module hands each event to botocore's parser in one piece. An event over the limit is handed over
with its long texts shortened, so that the exit code and both ends of the output are known, in constant memory.
"""

from __future__ import annotations

import json
import re
import zlib
from bisect import bisect_right
from collections import deque
from typing import TYPE_CHECKING, Any

from botocore.eventstream import (
    ChecksumMismatch,
    DecodeUtils,
    EventStreamBuffer,
    EventStreamHeaderParser,
    EventStreamMessage,
    InvalidPayloadLength,
    MessagePrelude,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_EVENT_BYTES = 24 * 1024 * 1024
"""Maximum size of an event that is read as it is: botocore's limit (botocore/eventstream.py, _MAX_PAYLOAD_LENGTH)."""
KEPT_JSON_BYTES = 28 * 1024
"""Maximum size, as JSON, of each end of a long text of a larger event: a result has room for two such texts."""
KEPT_BYTES = 6 * KEPT_JSON_BYTES
"""Minimum size of each end in the event, in which a character can be an escape of 6 bytes."""
BLOCK_BYTES = 64 * 1024
PRELUDE_BYTES, CHECKSUM_BYTES = 12, 4
"""An event consists of a prelude, headers, a payload and a checksum. Each length includes all of its parts.
https://docs.aws.amazon.com/AmazonS3/latest/API/RESTSelectObjectAppendix.html"""
NOTE = "the output is larger than one response; write it to a file"
_BINARY = re.compile(rb'"(data|blob)"\s*:\s*"\Z')
"""Precedes content in base64, such as an image, which is omitted because a part of it is useless."""
_INCOMPLETE_ESCAPE = re.compile(rb"\\(u[0-9a-fA-F]{0,3})?\Z")


def read_events(stream: Any, *, shorten: bool = False) -> Iterator[Any]:
    """Yields the parsed events of a response.

    Args:
        stream: The stream of a response, a botocore.eventstream.EventStream.
        shorten: Whether to shorten the long texts of an event over MAX_EVENT_BYTES instead of raising an error.

    Raises:
        EventStreamError: The service reported an error in the stream.
        ParserError: An event is invalid, or too large (InvalidPayloadLength).
    """
    blocks = _Blocks(stream._raw_stream.stream())
    while len(start := blocks.read(PRELUDE_BYTES)) == PRELUDE_BYTES:
        prelude = MessagePrelude(*DecodeUtils.unpack_prelude(start)[0])
        if prelude.crc != (checksum := zlib.crc32(start[:-CHECKSUM_BYTES])):
            raise ChecksumMismatch(prelude.crc, checksum)
        if prelude.payload_length <= MAX_EVENT_BYTES:
            messages = EventStreamBuffer()
            messages.add_data(start + blocks.read(prelude.total_length - PRELUDE_BYTES))
        elif shorten:
            messages = _shortened(start, prelude, blocks)
        else:
            raise InvalidPayloadLength(prelude.payload_length)
        for message in messages:
            if event := stream._parse_event(message):
                yield event


def _shortened(start: bytes, prelude: MessagePrelude, blocks: _Blocks) -> Iterator[EventStreamMessage]:
    """Yields an event with shortened texts, or nothing if the response ends within it. Raises ChecksumMismatch."""
    headers = blocks.read(prelude.headers_length)
    checksum = zlib.crc32(headers, zlib.crc32(start))
    text, left = ShortenedJson(), prelude.payload_length
    while left and (block := blocks.next(min(left, BLOCK_BYTES))):
        checksum = zlib.crc32(block, checksum)
        left -= len(block)
        text.add(block)
    expected = blocks.read(CHECKSUM_BYTES)
    if len(expected) < CHECKSUM_BYTES:
        return
    if checksum != DecodeUtils.unpack_uint32(expected)[0]:
        raise ChecksumMismatch(DecodeUtils.unpack_uint32(expected)[0], checksum)
    new_message: Any = EventStreamMessage  # its stub has other types
    yield new_message(prelude, EventStreamHeaderParser().parse(headers), text.finish(), checksum)


class _Blocks:
    """The bytes of a response, as parts of any length."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks
        self._rest = b""

    def next(self, most: int) -> bytes:
        """Returns the next bytes, at least one and at most `most`, or none at the end."""
        block = self._rest or next(self._blocks, b"")
        self._rest = block[most:]
        return block[:most]

    def read(self, count: int) -> bytes:
        """Returns exactly `count` bytes, or fewer at the end."""
        parts: list[bytes] = []
        while count and (block := self.next(count)):
            parts.append(block)
            count -= len(block)
        return b"".join(parts)


class ShortenedJson:
    """A JSON text whose long strings are shortened while it is read, in constant memory.

    Example:
        >>> text = ShortenedJson()
        >>> text.add(b'{"stdout": "0"}')
        >>> text.finish()
        b'{"stdout": "0"}'
    """

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._string: _String | None = None
        self._rest = b""

    def add(self, block: bytes) -> None:
        """Adds the next bytes."""
        block = self._rest + block
        # Escapes are covered, so that every quotation mark that is left begins or ends a string.
        visible = block.replace(rb"\\", b"__").replace(rb"\"", b"__")
        incomplete = _INCOMPLETE_ESCAPE.search(visible, max(len(visible) - 5, 0))
        end = incomplete.start() if incomplete else len(block)
        self._rest = block[end:]
        at = 0
        while at < end:
            quote = visible.find(b'"', at, end)
            stop = end if quote < 0 else quote
            if self._string is None:
                self._parts.append(block[at : stop + 1])
                if quote >= 0:
                    self._string = _String(is_binary=_BINARY.search(b"".join(self._parts[-4:])) is not None)
            else:
                self._string.add(block[at:stop])
                if quote >= 0:
                    self._parts.append(self._string.finish() + b'"')
                    self._string = None
            at = stop + 1

    def finish(self) -> bytes:
        """Returns the shortened text."""
        return b"".join(self._parts)


class _String:
    """The two ends of a string of a JSON text."""

    def __init__(self, *, is_binary: bool) -> None:
        self._is_binary = is_binary
        self._head, self._tail = list[bytes](), deque[bytes]()
        self._head_bytes = self._tail_bytes = self._bytes = 0

    def add(self, block: bytes) -> None:
        """Adds a part that does not end within an escape."""
        self._bytes += len(block)
        if self._head_bytes < KEPT_BYTES:
            self._head.append(block)
            self._head_bytes += len(block)
            return
        self._tail.append(block)
        self._tail_bytes += len(block)
        while self._tail_bytes - len(self._tail[0]) >= KEPT_BYTES:
            self._tail_bytes -= len(self._tail.popleft())

    def finish(self) -> bytes:
        """Returns the whole string if it is short, or both ends around a note."""
        head, tail = b"".join(self._head), b"".join(self._tail)
        if len(head) + len(tail) == self._bytes:
            return head + tail
        if self._is_binary:
            return b""
        first, last = _decode(head), _decode(tail)
        first, last = first[: _fitting(first)], last[::-1][: _fitting(last[::-1])][::-1]
        omitted = self._bytes - _size(first) - _size(last)
        note = f"\n… about {omitted:,} bytes omitted; {NOTE} …\n"
        return json.dumps(first + note + last)[1:-1].encode()


def _decode(text: bytes) -> str:
    """Returns a part of a string of a JSON text, without characters that are cut at its ends."""
    decoded: str = json.loads(b'"' + text.decode("utf-8", "ignore").encode() + b'"', strict=False)
    return decoded.encode("utf-16", "surrogatepass").decode("utf-16", "ignore")


def _fitting(text: str) -> int:
    """Returns how many of the first characters have at most KEPT_JSON_BYTES."""
    return bisect_right(range(1, len(text) + 1), KEPT_JSON_BYTES, key=lambda count: _size(text[:count]))


def _size(text: str) -> int:
    return len(json.dumps(text, ensure_ascii=False).encode())
