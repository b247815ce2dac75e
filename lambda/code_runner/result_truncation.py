"""Truncates a result to fit into the state of a workflow (256 KiB), after storing the complete data in S3."""

from __future__ import annotations

import json
from bisect import bisect_left
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, TypeVar, cast

from sandpiper_contract.files import RESULT_BYTES, SkippedFile, SkipReason
from sandpiper_contract.truncation import truncate_middle

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sandpiper_contract.records import Record
    from sandpiper_contract.s3_objects import S3Object

MAX_STREAM_BYTES = 64 * 1024
"""Maximum size of a stream as UTF-8. A longer one is truncated."""
LISTS_SHARE = 3 / 7
"""Maximum share of the file lists in a result: 96 of 224 KiB, which leaves room for two streams of 64 KiB."""
ROW_BYTES = 200
"""Size of the row with the number of files that were left out."""
NOTE_BYTES = 400
"""Size that is reserved for the note in a truncated stream. It contains the S3 URI of the whole stream: a URI that is
longer, at most 1,092 bytes, makes the stream that much longer."""

Result = TypeVar("Result", bound="Record")


def truncate_result(
    result: Result, put_artifact: Callable[[str, str], S3Object | None], max_bytes: int = RESULT_BYTES[1]
) -> Result:
    """Truncates long streams in the middle and long file lists at the end.

    Args:
        result: The complete result.
        put_artifact: Stores a text under a name and returns its address, or None when that failed. A file list whose
            complete form could not be stored ends with a row that states how many files were left out.
        max_bytes: Maximum size of the streams and the lists as JSON.
    """
    names = {field.name for field in fields(cast("Any", result))}
    truncated = cast("Any", result)
    if "manifest_uri" in names:
        truncated = _truncate_lists(truncated, int(max_bytes * LISTS_SHARE), put_artifact)
    streams = {stream: getattr(truncated, stream) for stream in sorted({"stdout", "stderr"} & names)}
    left = max_bytes - sum(_size(_json(getattr(truncated, part))) for part in {"files", "skipped"} & names)
    # Characters such as line ends and quotation marks are longer in JSON: two streams of 64 KiB can exceed the rest.
    sizes = {stream: _shown_size(text, left) for stream, text in streams.items()}
    for stream, text in streams.items():
        share = max(left // 2, left - sum(sizes[other] for other in streams if other != stream))
        if not _fits(text, share):
            shown, uri = _truncate_stream(f"{stream}.txt", text, share, put_artifact)
            truncated = replace(truncated, **{stream: shown, f"{stream}_uri": uri})
    return truncated


def _truncate_lists(result: Any, max_bytes: int, put_artifact: Callable[[str, str], S3Object | None]) -> Any:
    lists = {"files": _json(result.files), "skipped": _json(result.skipped)}
    if _size(lists) <= max_bytes:
        return result
    uri = put_artifact("manifest.json", json.dumps(lists))
    files, skipped = result.files, result.skipped
    while _size(_json((*files, *skipped))) > max_bytes - ROW_BYTES:
        if skipped:  # first, because a stored file matters more than the name of a skipped one
            skipped = skipped[: len(skipped) * 3 // 4]
        else:
            files = files[: len(files) * 3 // 4]
    if uri is None:
        left_out = len(result.files) + len(result.skipped) - len(files) - len(skipped)
        skipped = (*skipped, SkippedFile(f"(and {left_out:,} more)", 0, SkipReason.NOT_STORED))
    return replace(result, files=files, skipped=skipped, manifest_uri=uri)


def _json(records: Sequence[Record]) -> list[object]:
    return [record.to_json() for record in records]


def _truncate_stream(
    name: str, text: str, max_bytes: int, put_artifact: Callable[[str, str], S3Object | None]
) -> tuple[str, S3Object | None]:
    """Returns the head and the tail of a text that fit into `max_bytes` as JSON, and the address of the whole text."""
    address = put_artifact(name, text)
    note = f"the complete text is at {address.uri}" if address else "S3 did not store the complete text"
    return truncate_middle(text, _fitting_characters(text, max_bytes), note), address


def _fitting_characters(text: str, max_bytes: int) -> int:
    """Returns how many characters of both ends of a text fit together with a note, at least 1 of each."""
    counts = range(1, min(MAX_STREAM_BYTES, len(text)) // 2)
    fitting = bisect_left(
        counts, True, key=lambda count: not _fits(text[:count] + text[-count:], max_bytes, NOTE_BYTES)
    )
    return counts[max(fitting - 1, 0)]


def _shown_size(text: str, max_bytes: int) -> int:
    """Returns the size as JSON of a text that is truncated if it does not fit into `max_bytes`."""
    if _fits(text, max_bytes):
        return _size(text)
    count = _fitting_characters(text, max_bytes)
    return _size(text[:count] + text[-count:]) + NOTE_BYTES


def _fits(text: str, max_bytes: int, note_bytes: int = 0) -> bool:
    """Returns whether a text fits into a stream as UTF-8, and into `max_bytes` as JSON."""
    utf8 = len(text.encode("utf-8", "surrogatepass"))
    return utf8 <= MAX_STREAM_BYTES - note_bytes and _size(text) <= max_bytes - note_bytes


def _size(value: object) -> int:
    """Returns the size of a value in the response: Lambda's runtime sends JSON as UTF-8."""
    return len(json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass"))
