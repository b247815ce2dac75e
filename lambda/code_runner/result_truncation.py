"""Truncates a result to fit into the state of a workflow (256 KiB), after storing the complete data in S3."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, TypeVar, cast

from sandpiper_contract.files import SkippedFile, SkipReason
from sandpiper_contract.truncation import truncate_middle

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sandpiper_contract.records import Record
    from sandpiper_contract.s3_objects import S3Object

MAX_STREAM_BYTES = 64 * 1024
MAX_LISTS_BYTES = 96 * 1024
"""Maximum size of the file lists as JSON. Two streams and the lists total 224 KiB, which leaves room for the state
around the result."""
ROW_BYTES = 200
"""Size of the row with the number of files that were left out."""

Result = TypeVar("Result", bound="Record")


def truncate_result(result: Result, put_artifact: Callable[[str, str], S3Object | None]) -> Result:
    """Truncates long streams in the middle and long file lists at the end.

    Args:
        result: The complete result.
        put_artifact: Stores a text under a name and returns its address, or None when that failed. A file list whose
            complete form could not be stored ends with a row that states how many files were left out.
    """
    names = {field.name for field in fields(cast("Any", result))}
    truncated = cast("Any", result)
    for stream in sorted({"stdout", "stderr"} & names):
        text, uri = _truncate_stream(f"{stream}.txt", getattr(truncated, stream), put_artifact)
        truncated = replace(truncated, **{stream: text, f"{stream}_uri": uri})
    return _truncate_lists(truncated, put_artifact) if "manifest_uri" in names else truncated


def _truncate_lists(result: Any, put_artifact: Callable[[str, str], S3Object | None]) -> Any:
    lists = {"files": _json(result.files), "skipped": _json(result.skipped)}
    if _size(lists) <= MAX_LISTS_BYTES:
        return result
    uri = put_artifact("manifest.json", json.dumps(lists))
    files, skipped = result.files, result.skipped
    while _size(_json((*files, *skipped))) > MAX_LISTS_BYTES - ROW_BYTES:
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
    name: str, text: str, put_artifact: Callable[[str, str], S3Object | None]
) -> tuple[str, S3Object | None]:
    if len(text) * 6 <= MAX_STREAM_BYTES or _size(text) <= MAX_STREAM_BYTES:
        return text, None
    address = put_artifact(name, text)
    half = MAX_STREAM_BYTES // 2
    while _size(text[:half]) + _size(text[-half:]) > MAX_STREAM_BYTES - 200:
        half = half * 3 // 4
    note = f"the complete text is at {address.uri}" if address else "S3 did not store the complete text"
    return truncate_middle(text, half, note), address


def _size(value: object) -> int:
    return len(json.dumps(value))
