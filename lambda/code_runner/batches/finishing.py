"""Writes the results and the summary of a batch, with bounded memory and in as many invocations as it takes."""

from __future__ import annotations

import logging
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any

from code_runner.agentcore.boto_clients import S3_CONNECTIONS
from code_runner.agentcore.live_sessions import live_sessions, stop_or_report
from code_runner.batches.item_results import WINDOW_ITEMS, outcomes
from code_runner.batches.item_runner import STOPPED_NAME
from code_runner.batches.stream_upload import StreamUpload
from code_runner.batches.summary import SummaryCounter
from code_runner.cost import configured_prices, function_usd
from sandpiper_contract.batches import BatchState
from sandpiper_contract.costs import session_usd
from sandpiper_contract.errors import BatchFailed, InvalidRequest, RunError

if TYPE_CHECKING:
    from code_runner.agentcore.deadline import Deadline
    from code_runner.batches.batch_folder import BatchFolder, StoredBatch
    from code_runner.operations import Operations
    from sandpiper_contract.batches import BatchSummary, FinishBatch

log = logging.getLogger(__name__)

RESULTS_NAME, SUMMARY_NAME = "results.jsonl", "summary.json"
PROGRESS_NAME, REST_NAME = "progress.json", "progress.jsonl"
"""What is written so far, and the lines that are not yet sent, when an invocation had no time to write all."""
RESERVE_SECONDS = 15
"""Time for storing the progress."""
POLL_INTERVAL_SECONDS = 5
CHILD_STATES = 3
"""State transitions of a child execution that needs one invocation."""
STOP_SECONDS = 45
"""How long sessions are stopped: an item may be starting one at that time."""


@dataclass
class _Progress:
    """How far the results are written.

    Attributes:
        visit: Identifies the end of the batch whose results are written: a redrive ends again.
        written: The number of items that are written.
        upload: The upload of the results.
        counter: The counts of these items.
    """

    visit: list[Any]
    upload: StreamUpload
    written: int = 0
    counter: SummaryCounter = field(default_factory=SummaryCounter)


def finish(operations: Operations, folder: BatchFolder, request: FinishBatch) -> BatchState:
    """Writes the results and the summary, or as much of them as time allows.

    Args:
        operations: The operations of this invocation.
        folder: The folder of the batch.
        request: The request.

    Raises:
        InvalidRequest: The batch was not prepared.
        BatchFailed: More items failed than the batch tolerates. Everything is written.
        StorageError: S3 failed.
    """
    batch = folder.read_batch()
    if batch is None and request.stopped:
        return BatchState(True, 0, folder.address(RESULTS_NAME), folder.address(SUMMARY_NAME))
    if batch is None:
        raise InvalidRequest(f"no batch has been prepared for {folder.execution}; allowed: after prepare_batch")
    progress = _load(folder, [request.stopped, operations.run.redrive])
    if progress.written == 0:
        (_stop_sessions if request.stopped else _stop_lost_sessions)(operations, folder)
    _write(folder, batch, progress, operations.work_deadline.earlier(RESERVE_SECONDS))
    if progress.written < batch.count:
        _save(folder, progress)
        return _state(folder, progress)
    progress.upload.complete()
    children = -(-batch.count // (batch.request.items_per_session or 1))
    summary = progress.counter.summary(batch_usd(progress.counter, children))
    folder.write_json(SUMMARY_NAME, summary.to_json())
    folder.write_json(PROGRESS_NAME, {})
    if not request.stopped:
        _require_tolerated(folder, batch, summary)
    return _state(folder, progress, summary)


def batch_usd(counter: SummaryCounter, children: int) -> float:
    """Returns the estimated cost of a batch in US dollars. The function runs as long as its sessions.

    Args:
        counter: The usage of the batch.
        children: The number of child executions.
    """
    prices = configured_prices()
    sessions = session_usd(
        execution_seconds=counter.execution_seconds, session_seconds=counter.session_seconds, prices=prices
    )
    function = function_usd(
        seconds=counter.session_seconds,
        invocations=children,
        state_transitions=children * CHILD_STATES,
        prices=prices,
    )
    return round(sessions + function, 9)


def _write(folder: BatchFolder, batch: StoredBatch, progress: _Progress, deadline: Deadline) -> None:
    fails = batch.request.request.fail_on_error
    with ThreadPoolExecutor(S3_CONNECTIONS) as threads:
        for outcome in outcomes(folder, progress.written, batch.count, threads, fail_on_error=fails):
            progress.upload.write(outcome.line())
            if outcome.error is not None:
                progress.counter.add_error(outcome.error[0])
            elif outcome.result is not None:
                progress.counter.add_result(outcome.result)
            if outcome.usage is not None:
                progress.counter.add_usage(outcome.usage)
            progress.written = outcome.index + 1
            if progress.written % WINDOW_ITEMS == 0 and deadline.seconds_left < 0:
                break


def _require_tolerated(folder: BatchFolder, batch: StoredBatch, summary: BatchSummary) -> None:
    """Checks the number of failed items. The Distributed Map counts groups of items that all failed."""
    tolerated = batch.request.tolerated_failures
    if isinstance(tolerated, str):
        is_failed = summary.failed * 100 > int(tolerated.removesuffix("%")) * summary.count
    else:
        is_failed = summary.failed > tolerated
    if is_failed:
        raise BatchFailed(
            f"{summary.failed:,} of {summary.count:,} items failed, and toleratedFailures is {tolerated}; the errors "
            f"are in {folder.address(RESULTS_NAME).uri}"
        )


def _state(folder: BatchFolder, progress: _Progress, summary: BatchSummary | None = None) -> BatchState:
    return BatchState(
        finished=summary is not None,
        written=progress.written,
        results_uri=folder.address(RESULTS_NAME),
        summary_uri=folder.address(SUMMARY_NAME),
        summary=summary,
    )


def _load(folder: BatchFolder, visit: list[Any]) -> _Progress:
    """Returns the progress of an earlier invocation for the same end of the batch, or none."""
    upload = StreamUpload(folder.s3, folder.address(RESULTS_NAME), "application/jsonl")
    stored = folder.read_json(PROGRESS_NAME)
    if not stored or stored["visit"] != visit:
        return _Progress(visit, upload)
    upload.upload_id, upload.etags = stored["uploadId"], stored["etags"]
    upload.rest += folder.read(REST_NAME) or b""
    return _Progress(visit, upload, stored["written"], SummaryCounter.from_json(stored["counter"]))


def _save(folder: BatchFolder, progress: _Progress) -> None:
    folder.write(REST_NAME, bytes(progress.upload.rest), "application/jsonl")
    content = {
        "visit": progress.visit,
        "written": progress.written,
        "uploadId": progress.upload.upload_id,
        "etags": progress.upload.etags,
        "counter": progress.counter.to_json(),
    }
    folder.write_json(PROGRESS_NAME, content)


def _stop_sessions(operations: Operations, folder: BatchFolder) -> None:
    """Marks the batch as stopped and stops its sessions, which are found by their name.

    Sessions are listed until two listings in a row have none, because an item may be starting its session.
    """
    folder.write_json(STOPPED_NAME, {})
    until = time.monotonic() + min(STOP_SECONDS, operations.work_deadline.seconds_left)
    empty = 0
    for reading in count():
        if reading:
            time.sleep(POLL_INTERVAL_SECONDS)
        live = _stop_live_sessions(operations)
        empty = 0 if live else empty + 1
        if empty == 2 or time.monotonic() + POLL_INTERVAL_SECONDS > until:
            for session_id in live:
                log.warning("session %s may be live until its lifetime expires", session_id)
            return


def _stop_lost_sessions(operations: Operations, _: BatchFolder) -> None:
    """Stops sessions that are still live after all items have ended: of functions that Lambda ended.

    A failure does not fail the batch. The sessions then end when their lifetime expires.
    """
    try:
        _stop_live_sessions(operations)
    except RunError as error:
        log.warning("sessions of the batch not listed: %s", error)


def _stop_live_sessions(operations: Operations) -> list[str]:
    """Stops the sessions of the batch that are live and returns their ids. Raises RunError if they cannot be listed."""
    found: list[str] = []
    for interpreter_id in operations.tenant.interpreters.values():
        live = list(live_sessions(operations.clients, interpreter_id))
        for session_id in [each["sessionId"] for each in live if each.get("name") == operations.session_name]:
            found.append(session_id)
            stop_or_report(operations.clients, interpreter_id, session_id, _log_warning)
    return found


def _log_warning(session_id: str, error: RunError) -> None:
    log.warning("session %s not stopped: %s", session_id, error)
