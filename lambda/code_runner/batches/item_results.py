"""Reads the results of items from their idempotency records, in the order of the items.

The records are the only complete source: they exist for items whose child execution failed, was stopped or lost its
function, and they state whether the code may have run.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from code_runner.agentcore.service_errors import storage_errors
from code_runner.batches.batch_folder import INDEX_DIGITS
from code_runner.idempotency.stored_record import Status, read_record

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from concurrent.futures import Executor, Future

    from code_runner.batches.batch_folder import BatchFolder
    from code_runner.idempotency.stored_record import StoredRecord

WINDOW_ITEMS = 100
"""Number of records that are read at a time. Two windows are in memory together, each record at most 256 KiB."""
NEVER_STARTED = ("NotStarted", "the item was not started; it has not run")
INTERRUPTED = ("NotStarted", "the attempt ended before the code was sent; it has not run")
LOST = ("SessionLost", "the code was sent and left no result; it may have run")


@dataclass(frozen=True)
class ItemOutcome:
    """How an item ended: with a result as JSON, or with the name and the message of an error."""

    index: int
    result: Mapping[str, Any] | None
    error: tuple[str, str] | None
    usage: Mapping[str, Any] | None = None

    def line(self) -> bytes:
        """Returns the line of the results."""
        if self.error is None:
            content: dict[str, object] = {"index": self.index, "result": self.result}
        else:
            content = {"index": self.index, "error": {"name": self.error[0], "message": self.error[1]}}
        return json.dumps(content, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n"


def outcome_of(index: int, record: StoredRecord | None, *, fail_on_error: bool) -> ItemOutcome:
    """Returns how an item ended, from its record.

    Args:
        index: The index of the item.
        record: The item's record, or None if the item was never started.
        fail_on_error: Whether an exit code other than 0 is an error.
    """
    if record is None:
        return ItemOutcome(index, None, NEVER_STARTED)
    if record.status is Status.DONE and record.result is not None:
        exit_code = record.result["exitCode"]
        failed = (
            ("CodeFailed", f"the program ended with exit code {exit_code}") if fail_on_error and exit_code else None
        )
        return ItemOutcome(index, record.result, failed, record.usage)
    if record.error is not None:
        error = (record.error["name"], record.error["message"])
    else:
        error = INTERRUPTED if record.status is Status.CLAIMED else LOST
    return ItemOutcome(index, None, error, record.usage)


def outcomes(
    folder: BatchFolder, start: int, count: int, threads: Executor, *, fail_on_error: bool
) -> Iterator[ItemOutcome]:
    """Yields the outcomes of the items from `start` up to, but not including, `count`. Raises StorageError.

    While the outcomes of one window are used, the threads read the records of the next one.
    """
    started = _started_indexes(folder, start)
    next_started = next(started, None)
    earlier = _Window(range(start, start), {})
    for begin in range(start, count, WINDOW_ITEMS):
        window = range(begin, min(begin + WINDOW_ITEMS, count))
        records: dict[int, Future[StoredRecord | None]] = {}
        while next_started is not None and next_started < window.stop:
            records[next_started] = threads.submit(_read, folder, next_started)
            next_started = next(started, None)
        yield from earlier.outcomes(fail_on_error=fail_on_error)
        earlier = _Window(window, records)
    yield from earlier.outcomes(fail_on_error=fail_on_error)


@dataclass(frozen=True)
class _Window:
    """Items whose records are being read. An item without a record was never started."""

    indexes: range
    records: Mapping[int, Future[StoredRecord | None]]

    def outcomes(self, *, fail_on_error: bool) -> Iterator[ItemOutcome]:
        for index in self.indexes:
            read = self.records.get(index)
            yield outcome_of(index, read and read.result(), fail_on_error=fail_on_error)


def _read(folder: BatchFolder, index: int) -> StoredRecord | None:
    return read_record(folder.s3, folder.item_record(index)).record


def _started_indexes(folder: BatchFolder, start: int) -> Iterator[int]:
    """Yields the indexes of the items that have a record, in ascending order. Raises StorageError.

    A listing distinguishes an item without a record from one that cannot be read.
    """
    runs = folder.item_runs
    with storage_errors("listing the runs of items in", runs.uri):
        pages = folder.s3.get_paginator("list_objects_v2").paginate(
            Bucket=runs.bucket,
            Prefix=f"{runs.key}/",
            Delimiter="/",
            StartAfter=f"{runs.key}/id={start:0{INDEX_DIGITS}}",
        )
        for page in pages:
            for entry in page.get("CommonPrefixes", []):
                label = entry.get("Prefix", "").rstrip("/").rpartition("/")[2]
                yield int(label.removeprefix("id="))
