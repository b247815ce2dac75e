"""Stops the sessions of an execution that was stopped, which its idempotency records contain.

A state of the execution may be starting its session at that time, in an invocation that continues. So the records are
read repeatedly until no attempt is starting. An invocation whose session is stopped fails with SessionLost.
"""

from __future__ import annotations

import logging
import re
import time
from itertools import count
from typing import TYPE_CHECKING

from code_runner.agentcore.concurrency import map_concurrently
from code_runner.agentcore.live_sessions import stop_session
from code_runner.agentcore.service_errors import storage_errors
from code_runner.idempotency.stored_record import OwnSession, Status, StoredRecord, read_record
from sandpiper_contract.errors import InterpreterNotFound, InvalidRequest, RunError, StorageError
from sandpiper_contract.handles import SessionHandle
from sandpiper_contract.s3_objects import S3Object
from sandpiper_contract.settings import RECORD_NAME, RUNS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from code_runner.agentcore.boto_clients import Clients
    from code_runner.agentcore.deadline import Deadline
    from code_runner.tenant_config import TenantConfig
    from sandpiper_contract.run import Run

log = logging.getLogger(__name__)

POLL_INTERVAL_SECONDS = 5
"""Time until the second reading: an invocation writes its first record within seconds of its start."""
MAX_SECONDS = 45
"""How long to wait for attempts that are starting a session."""
_RECORD = re.compile(rf"[^/]+(?:/[a-z]+=[^/]+)*/{re.escape(RECORD_NAME)}")
"""A record's key below the folder of its execution. A file of a program, of any name, is below `files/`."""


def stop_sessions_of(
    run: Run,
    tenant: TenantConfig,
    clients: Clients,
    deadline: Deadline,
    on_stop_failed: Callable[[str, RunError], None],
    *,
    may_start: bool = True,
) -> tuple[str, ...]:
    """Stops all sessions of the run's execution and returns the ids of those that were live.

    Without `may_start`, the states of the execution have ended, so that none is about to write its first record.

    `on_stop_failed` is called for each session that could not be stopped, with the last error.

    Raises:
        StorageError: The records cannot be listed.
    """
    folder = tenant.folder(RUNS, run.execution_key)
    until = min(deadline.at, time.monotonic() + MAX_SECONDS)
    stopped, ended, failed = list[str](), set[OwnSession](), dict[OwnSession, RunError]()
    for reading in count():
        if reading:
            time.sleep(POLL_INTERVAL_SECONDS)
        records = _records(clients, folder)
        for session in {found for record in records for found in _sessions(record, tenant)} - ended:
            try:
                if stop_session(clients, session.interpreter_id, session.session_id):
                    stopped.append(session.session_id)
                ended.add(session)
                failed.pop(session, None)
            except RunError as error:
                failed[session] = error
        starting = any(record.status is Status.CLAIMED for record in records)
        if time.monotonic() + POLL_INTERVAL_SECONDS > until or ((reading or not may_start) and not starting):
            break
    for session, error in failed.items():
        on_stop_failed(session.session_id, error)
    return tuple(stopped)


def is_record(key: str) -> bool:
    """Returns whether a key below the folder of an execution is the key of an idempotency record.

    Example:
        >>> is_record("RunCode/entered=2026-11-30T100000.000Z/claim.json"), is_record("RunCode/files/claim.json")
        (True, False)
    """
    return _RECORD.fullmatch(key) is not None


def _records(clients: Clients, folder: S3Object) -> list[StoredRecord]:
    """Returns the idempotency records below a folder. A record that cannot be read is logged."""
    with storage_errors("listing the records of the execution", folder.uri):
        pages = clients.s3.get_paginator("list_objects_v2").paginate(Bucket=folder.bucket, Prefix=f"{folder.key}/")
        keys = [item.get("Key", "") for page in pages for item in page.get("Contents", [])]
    start = len(folder.key) + 1
    addresses = [S3Object(folder.bucket, key) for key in keys if is_record(key[start:])]

    def read(address: S3Object) -> StoredRecord | None:
        try:
            return read_record(clients.s3, address).record
        except StorageError as error:
            log.warning("record not read: %s", error)
            return None

    return [record for record in map_concurrently(read, addresses) if record is not None]


def _sessions(record: StoredRecord, tenant: TenantConfig) -> Iterator[OwnSession]:
    """Yields the session of a run that was sent, and the session whose handle a result contains."""
    if record.session is not None and record.status is Status.ACCEPTED:
        yield record.session
    result = record.result or {}
    handle: object = result.get("task", result).get("session")
    try:
        if handle is not None:
            session = SessionHandle.from_json(handle, "session")
            yield OwnSession(tenant.interpreter_id(session.interpreter), session.session_id)
    except (InvalidRequest, InterpreterNotFound) as error:  # the interpreter no longer exists
        log.warning("session not stopped: %s", error)
