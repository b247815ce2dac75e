"""Makes a result fit into a workflow's state (256 KiB), moving what is too long to S3 whole."""

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

STREAM_BYTES = 64 * 1024
LISTS_BYTES = 96 * 1024
"""As JSON. Two streams and the lists make 224 KiB, which leaves room for the state around the result."""
ROW_BYTES = 200
"""Of the row that says how many were left out."""

Result = TypeVar("Result", bound="Record")


def fit(result: Result, keep: Callable[[str, str], S3Object | None]) -> Result:
    """The result, long streams cut in the middle and long lists at the end, each whole in S3.

    `keep` puts a text by its name and returns its address, or None where that failed; the list then ends with a row for
    those that are left out.
    """
    has = {field.name for field in fields(cast("Any", result))}
    whole = cast("Any", result)
    for stream in sorted({"stdout", "stderr"} & has):
        text, uri = _stream(f"{stream}.txt", getattr(whole, stream), keep)
        whole = replace(whole, **{stream: text, f"{stream}_uri": uri})
    return _lists(whole, keep) if "manifest_uri" in has else whole


def _lists(result: Any, keep: Callable[[str, str], S3Object | None]) -> Any:
    lists = {"files": _json(result.files), "skipped": _json(result.skipped)}
    if _size(lists) <= LISTS_BYTES:
        return result
    uri = keep("manifest.json", json.dumps(lists))
    files, skipped = result.files, result.skipped
    while _size(_json((*files, *skipped))) > LISTS_BYTES - ROW_BYTES:
        if skipped:  # first: a file that was kept is worth more than the name of one that was not
            skipped = skipped[: len(skipped) * 3 // 4]
        else:
            files = files[: len(files) * 3 // 4]
    if uri is None:
        left_out = len(result.files) + len(result.skipped) - len(files) - len(skipped)
        skipped = (*skipped, SkippedFile(f"(and {left_out:,} more)", 0, SkipReason.NOT_STORED))
    return replace(result, files=files, skipped=skipped, manifest_uri=uri)


def _json(records: Sequence[Record]) -> list[object]:
    return [record.to_json() for record in records]


def _stream(name: str, text: str, keep: Callable[[str, str], S3Object | None]) -> tuple[str, S3Object | None]:
    if len(text) * 6 <= STREAM_BYTES or _size(text) <= STREAM_BYTES:
        return text, None
    address = keep(name, text)
    half = STREAM_BYTES // 2
    while _size(text[:half]) + _size(text[-half:]) > STREAM_BYTES - 200:
        half = half * 3 // 4
    note = f"the complete text is at {address.uri}" if address else "S3 did not store the complete text"
    return truncate_middle(text, half, note), address


def _size(value: object) -> int:
    return len(json.dumps(value))
