"""Runs items of a batch. Each item has its own idempotency record, so that no retry or redrive runs it again."""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from math import ceil
from typing import TYPE_CHECKING

from code_runner.agentcore.live_sessions import stop_after_deadline, stop_or_report
from code_runner.agentcore.service_errors import storage_errors
from code_runner.batches.item_formats import fields_of_item
from code_runner.batches.metered_clients import MeteredClients
from code_runner.session import start_session
from sandpiper_contract.batches import ITEM_FILE, ItemsState
from sandpiper_contract.errors import InvalidRequest, NotStarted, QuotaExceeded, RunError, Throttled
from sandpiper_contract.files import InputFile
from sandpiper_contract.requests import SESSION_TIMEOUT_SECONDS, TIMEOUT_RESERVE_SECONDS
from sandpiper_contract.s3_objects import S3Object

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from types import TracebackType

    from code_runner.batches.batch_folder import BatchFolder, StoredBatch
    from code_runner.operations import Operations
    from code_runner.session import CodeSession
    from sandpiper_contract.batches import BatchItem, RunBatch, RunItems
    from sandpiper_contract.requests import RunCode

log = logging.getLogger(__name__)

RESERVE_SECONDS = 60
"""An item that is not the first begins only if this much time is left after its timeout."""
DEFAULT_ITEM_SECONDS = 60
"""The time that an item without a timeout is expected to need."""
STOPPED_NAME = "stopped"
"""Name of the object that marks a batch as stopped."""


def item_request(request: RunBatch, item: BatchItem) -> RunCode:
    """Returns the request of an item: the batch's request with the files of the item. Raises InvalidRequest."""
    fields = fields_of_item(item.item) if request.item_inputs else {}
    own = [
        InputFile(path=each.path, s3_uri=S3Object.parse(each.s3_uri_from, fields.get(each.s3_uri_from)))
        for each in request.item_inputs
    ]
    file = InputFile(ITEM_FILE, text=item.item.encode())
    return replace(request.request, inputs=(file, *own, *request.request.inputs))


def run_items(operations: Operations, folder: BatchFolder, request: RunItems) -> ItemsState:
    """Runs items one after another, each in its own session or all in one, as the batch requires.

    An item that fails or times out does not stop the next one.

    Raises:
        InvalidRequest: The batch was not prepared.
        Throttled: An item was throttled. The same request again runs the items that have not run.
        RunError: The error of the first item that a retry may run; otherwise, if no item has a result, of the last.
    """
    batch = folder.read_batch()
    if batch is None:
        raise InvalidRequest(f"no batch has been prepared for {request.execution}; allowed: after prepare_batch")
    clients = MeteredClients(operations.clients, operations.tenant.seconds_between_calls)
    operations = replace(operations, clients=clients, usage=clients.take_usage)
    succeeded, errors = 0, list[RunError]()
    with SharedSession(operations, batch, folder) as session:
        for position, item in enumerate(request.items):
            if position and not _has_time_for_next(operations, batch):
                break
            clients.take_usage()
            try:
                _run_item(operations, folder, batch, item, session)
                succeeded += 1
            except (Throttled, QuotaExceeded):
                raise
            except RunError as error:
                errors.append(error)
                log.warning("item %d: %s", item.index, type(error).__name__)
    retryable = next((error for error in errors if error.retryable), None)
    if retryable is not None:
        raise retryable
    if errors and not succeeded:
        raise errors[-1]
    return ItemsState(succeeded, len(errors), len(request.items) - succeeded - len(errors))


def _has_time_for_next(operations: Operations, batch: StoredBatch) -> bool:
    timeout = batch.request.request.timeout_seconds or DEFAULT_ITEM_SECONDS
    return operations.deadline.seconds_left >= timeout + RESERVE_SECONDS


def _run_item(
    operations: Operations, folder: BatchFolder, batch: StoredBatch, item: BatchItem, session: SharedSession
) -> None:
    own = replace(operations, run=folder.item_run(batch, item.index))
    request = item_request(batch.request, item)
    if batch.request.items_per_session is None:
        own.run_code(request)
        return
    try:
        own.run_code_in(request, session.get)
    except RunError:
        session.close()  # its state is unknown
        raise


class SharedSession:
    """The session that items share. It is started when the first item needs it, and again after an item's error."""

    def __init__(self, operations: Operations, batch: StoredBatch, folder: BatchFolder) -> None:
        """Starts no session yet."""
        self._operations = operations
        self._request = batch.request.request
        self._folder = folder
        self._session: CodeSession | None = None
        self._guard: AbstractContextManager[None] | None = None
        self._began = time.monotonic()
        self._is_first = True

    def __enter__(self) -> SharedSession:
        """Returns itself."""
        return self

    def __exit__(
        self, error_type: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stops the session, if any."""
        self.close()

    def get(self) -> CodeSession:
        """Returns the session. Starts one if there is none or its lifetime ends too soon. Raises RunError."""
        if self._session is not None and not self._lasts_for_item(self._session):
            self.close()
        if self._session is None:
            if not self._is_first:
                self._require_not_stopped()
            self._session = self._start()
            self._guard = stop_after_deadline(self._session.client, self._operations.on_stop_failed)
            self._guard.__enter__()
            self._is_first = False
        return self._session

    def close(self) -> None:
        """Stops the session, if any. A failure is reported."""
        session, self._session = self._session, None
        if session is None:
            return
        if self._guard is not None:
            self._guard.__exit__(None, None, None)
        operations = self._operations
        stop_or_report(operations.clients, session.client.interpreter_id, session.session_id, operations.on_stop_failed)

    def _start(self) -> CodeSession:
        operations, tenant = self._operations, self._operations.tenant
        key = tenant.interpreter_key(self._request.interpreter)
        maximum = tenant.max_lifetime_seconds(key)
        rest = ceil(operations.deadline.seconds_left)
        lifetime = min(max(tenant.lifetime_seconds(self._request), rest, SESSION_TIMEOUT_SECONDS[0]), maximum)
        return start_session(
            operations.clients,
            tenant.interpreters[key],
            timeout_seconds=lifetime,
            deadline=operations.work_deadline,
            on_stop_failed=operations.on_stop_failed,
            name=operations.session_name,
        )

    def _lasts_for_item(self, session: CodeSession) -> bool:
        lifetime = session.client.lifetime
        needed = (self._request.timeout_seconds or DEFAULT_ITEM_SECONDS) + TIMEOUT_RESERVE_SECONDS
        return lifetime is None or lifetime.seconds_left >= needed

    def _require_not_stopped(self) -> None:
        """Raises NotStarted if the batch was stopped after this invocation began, which may have ended the session."""
        target = self._folder.address(STOPPED_NAME)
        with storage_errors("reading", target.uri):
            listed = self._folder.s3.list_objects_v2(Bucket=target.bucket, Prefix=target.key, MaxKeys=1)
            modified = [entry["LastModified"] for entry in listed.get("Contents", []) if "LastModified" in entry]
        elapsed = time.monotonic() - self._began
        if modified and (time.time() - modified[0].timestamp()) < elapsed + RESERVE_SECONDS:
            raise NotStarted("the batch was stopped; the item has not run")
