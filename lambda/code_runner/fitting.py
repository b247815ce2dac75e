"""Makes a result fit into a workflow's state (256 KiB), moving what is too long to S3 whole."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandpiper_contract.result import RunResult

STREAM_BYTES = 64 * 1024
LISTS_BYTES = 96 * 1024
"""As JSON. Two streams and the lists make 224 KiB, which leaves room for the state around the result."""


def fit(result: RunResult, keep: Callable[[str, str], str | None]) -> RunResult:
    """The result, long streams cut in the middle and long lists at the end, each whole in S3.

    `keep` puts a text by its name and returns its address, or None where that failed.
    """
    stdout, stdout_uri = _stream("stdout.txt", result.stdout, keep)
    stderr, stderr_uri = _stream("stderr.txt", result.stderr, keep)
    result = replace(result, stdout=stdout, stdout_uri=stdout_uri, stderr=stderr, stderr_uri=stderr_uri)
    whole = result.to_json()
    lists = {name: whole[name] for name in ("files", "skipped")}
    if _size(lists) <= LISTS_BYTES:
        return result
    uri = keep("manifest.json", json.dumps(lists))
    while _size([file.to_json() for file in (*result.files, *result.skipped)]) > LISTS_BYTES:
        if result.skipped:  # first: a file that was kept is worth more than the name of one that was not
            result = replace(result, skipped=result.skipped[: len(result.skipped) * 3 // 4])
        else:
            result = replace(result, files=result.files[: len(result.files) * 3 // 4])
    return replace(result, manifest_uri=uri)


def _stream(name: str, text: str, keep: Callable[[str, str], str | None]) -> tuple[str, str | None]:
    if len(text) * 6 <= STREAM_BYTES or _size(text) <= STREAM_BYTES:
        return text, None
    uri = keep(name, text)
    half = STREAM_BYTES // 2
    while _size(text[:half]) + _size(text[-half:]) > STREAM_BYTES - 200:
        half = half * 3 // 4
    where = f"the whole is at {uri}" if uri else "S3 did not take the whole"
    return f"{text[:half]}\n… {len(text) - 2 * half:,} characters left out; {where} …\n{text[-half:]}", uri


def _size(value: object) -> int:
    return len(json.dumps(value))
