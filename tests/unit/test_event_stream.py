"""Events of responses: in one piece, over botocore's limit, damaged and incomplete."""

from __future__ import annotations

import json
import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import botocore.session
import pytest
from botocore.eventstream import ChecksumMismatch, EventStream, InvalidPayloadLength
from botocore.exceptions import EventStreamError
from botocore.parsers import EventStreamJSONParser
from hypothesis import given, settings
from hypothesis import strategies as st

from code_runner.agentcore import event_stream
from code_runner.agentcore.event_stream import KEPT_BYTES, KEPT_JSON_BYTES, MAX_EVENT_BYTES, ShortenedJson, read_events

if TYPE_CHECKING:
    from collections.abc import Iterator

BLOCK_BYTES = 65_536
LARGE = MAX_EVENT_BYTES // 2


@dataclass
class Body:
    """The body of a response, which arrives in blocks."""

    content: bytes

    def stream(self) -> Iterator[bytes]:
        for start in range(0, len(self.content), BLOCK_BYTES):
            yield self.content[start : start + BLOCK_BYTES]


def message(payload: bytes, **headers: str) -> bytes:
    names = {
        ":message-type": "event",
        ":event-type": "result",
        **{f":{k.replace('_', '-')}": v for k, v in headers.items()},
    }
    encoded = b"".join(
        struct.pack("!B", len(name)) + name.encode() + b"\x07" + struct.pack("!H", len(value)) + value.encode()
        for name, value in names.items()
    )
    start = struct.pack("!II", len(payload) + len(encoded) + 16, len(encoded))
    start += struct.pack("!I", zlib.crc32(start))
    return start + encoded + payload + struct.pack("!I", zlib.crc32(start + encoded + payload))


def result(stdout: str, **other: object) -> bytes:
    values = {"stdout": stdout, "stderr": "", "exitCode": 3, "executionTime": 0.5}
    return json.dumps(
        {"content": [{"type": "text", "text": stdout}, *other.values()], "structuredContent": values}
    ).encode()


def events(*messages: bytes, shorten: bool = True) -> list[Any]:
    model = botocore.session.get_session().get_service_model("bedrock-agentcore")
    shape: Any = model.operation_model("InvokeCodeInterpreter").get_event_stream_output()
    body: Any = Body(b"".join(messages))
    return list(read_events(EventStream(body, shape, EventStreamJSONParser(), "Invoke"), shorten=shorten))


def test_events_up_to_the_limit_are_returned_whole() -> None:
    texts = ["é" * 10, "a" * (LARGE - 1000)]
    found = events(*(message(result(text)) for text in texts), shorten=False)
    assert [event["result"]["structuredContent"]["stdout"] for event in found] == texts


def test_a_larger_event_has_both_ends_of_its_texts_and_its_exit_code() -> None:
    text = "first" + "\U0001f600" * (LARGE // 8) + "last"
    image = {"type": "image", "data": "aaaa" * KEPT_BYTES, "mimeType": "image/png"}
    found = events(message(result(text, image=image)), message(result("next")))
    shortened = found[0]["result"]["structuredContent"]
    first, note, last = shortened["stdout"].split("\n")
    assert (text.startswith(first), text.endswith(last), shortened["exitCode"]) == (True, True, 3)
    assert KEPT_JSON_BYTES - 8 < len(last.encode()) <= KEPT_JSON_BYTES
    assert "bytes omitted; the output is larger than one response" in note
    assert found[0]["result"]["content"] == [{"type": "text", "text": shortened["stdout"]}, {**image, "data": b""}]
    assert found[1]["result"]["structuredContent"]["stdout"] == "next"


def test_a_larger_event_is_an_error_unless_it_may_be_shortened() -> None:
    with pytest.raises(InvalidPayloadLength):
        events(message(result("a" * LARGE)), shorten=False)


@pytest.mark.parametrize("byte", [0, 7, 11, 100, -1])
@pytest.mark.parametrize("characters", [1, LARGE])
def test_a_damaged_event_is_an_error(characters: int, byte: int) -> None:
    damaged = bytearray(message(result("a" * characters)))
    damaged[byte] ^= 1
    with pytest.raises(ChecksumMismatch):
        events(bytes(damaged))


@pytest.mark.parametrize("characters", [1, LARGE])
@pytest.mark.parametrize("missing", [1, 5, 100])
def test_an_incomplete_event_is_not_returned(characters: int, missing: int) -> None:
    assert events(message(result("a" * characters))[:-missing]) == []


def test_an_error_of_the_service_is_raised() -> None:
    error = message(b'{"message": "no"}', message_type="exception", exception_type="validationException")
    with pytest.raises(EventStreamError, match="validationException"):
        events(error)


TEXTS = st.text() | st.lists(st.sampled_from(['"', "\\", "\n", "a", "é", "\U0001f600", "\0", "data"])).map("".join)


@settings(deadline=None)
@given(st.dictionaries(TEXTS, TEXTS | st.lists(TEXTS) | st.integers()), st.booleans(), st.integers(1, 9))
def test_shortened_json_is_the_same_json_with_shorter_texts(value: dict[str, Any], ascii_only: bool, size: int) -> None:
    encoded = json.dumps(value, ensure_ascii=ascii_only).encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(event_stream, "KEPT_JSON_BYTES", 5)
        patch.setattr(event_stream, "KEPT_BYTES", 30)
        text = ShortenedJson()
        for start in range(0, len(encoded), size):
            text.add(encoded[start : start + size])
        shortened = json.loads(text.finish())
    assert all(is_shortened(*pair) for pair in zip(shortened.values(), value.values(), strict=True))


def is_shortened(short: object, whole: object) -> bool:
    """Returns whether a value is another one, of which texts may be shortened."""
    if isinstance(whole, list) and isinstance(short, list):
        pairs = zip(cast("list[object]", short), cast("list[object]", whole), strict=True)
        return all(is_shortened(*pair) for pair in pairs)
    if not isinstance(whole, str) or not isinstance(short, str) or "bytes omitted; the" not in short:
        return short == whole or (short == "" and len(json.dumps(whole)) > 30)
    first, last = short[: short.index("\n… about ")], short[short.rindex(" …\n") + 3 :]
    return whole.startswith(first) and whole.endswith(last) and len(json.dumps(first)) <= 14
