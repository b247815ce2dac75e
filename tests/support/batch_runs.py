"""Runs a batch as the state machine `run-batch` does, with the operations of the session function in memory."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from code_runner.agentcore.deadline import Deadline
from code_runner.batches.batch_operations import BatchOperations
from code_runner.operations import Operations
from code_runner.tenant_config import TenantConfig
from sandpiper_contract.batches import BatchItem, BatchState, FinishBatch, ItemResult, PreparedBatch, RunBatch, RunItems
from sandpiper_contract.errors import RunError
from sandpiper_contract.run import Run
from tests.support.account_in_memory import Killed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sandpiper_contract.s3_objects import S3Object
    from tests.support.account_in_memory import AccountInMemory

EXECUTION = "arn:aws:states:eu-west-1:123456789012:execution:run-batch:nightly"
TENANT = TenantConfig({"sandbox": "sandbox-0123456789"}, "bucket", "tenants/a", max_batch_concurrency=10)
FUNCTION_SECONDS = 900
MAX_RETRIES = 20
"""The workflow has 1,000 retries while other batches use the function. No fault of a test lasts that long."""
MAX_LAMBDA_RETRIES = 3
RETRIED = {
    "PrepareBatch": (),
    "RunItems": ("Lambda.Unknown",),
    "FinishBatch": ("Lambda.Unknown", "ServiceFault", "StorageError"),
}
"""Errors that each state repeats in addition to the retryable ones, MAX_LAMBDA_RETRIES times."""
RETRY_SECONDS = 60
STARTED = "2026-11-30T09:00:00.000Z"


@dataclass
class BatchRun:
    """One execution of a batch, without a Distributed Map: its child executions run one after another.

    Attributes:
        account: The clients.
        request: The input of the execution without `items`.
        error: The name and the message of the error of the execution, if any.
        state: The output of the execution.
    """

    account: AccountInMemory
    request: dict[str, Any]
    error: tuple[str, str] | None = None
    state: BatchState | None = None
    redrive: int = 0
    groups: list[tuple[BatchItem, ...]] = field(default_factory=list[tuple[BatchItem, ...]])
    """The items of the child executions that have not succeeded."""

    def execute(self, items: Sequence[Any]) -> None:
        """Runs the batch to its end."""
        body = "".join(json.dumps(item) + "\n" for item in items).encode()
        self.account.put_object(TENANT.bucket, "tenants/a/inputs/items.jsonl", body)
        location = {"location": f"s3://{TENANT.bucket}/tenants/a/inputs/items.jsonl", "format": "jsonl"}
        request = RunBatch.from_json({"items": location, **self.request})
        prepared = self._task("PrepareBatch", lambda operations: operations.prepare_batch(request))
        if isinstance(prepared, PreparedBatch):
            lines = self.account.objects[prepared.bucket, prepared.key].data.splitlines()
            stored = [BatchItem.from_json(json.loads(line), "item") for line in lines]
            size = prepared.items_per_session
            self.groups = [tuple(stored[start : start + size]) for start in range(0, len(stored), size)]
            self._run()

    def redriven(self) -> None:
        """Runs the child executions again that have not succeeded, and ends again."""
        self.redrive += 1
        self.error = None
        self._run()

    def stop(self) -> BatchState:
        """Sends the event of a stopped execution. Lambda repeats an asynchronous invocation that fails."""
        for _ in range(MAX_RETRIES):
            with suppress(Killed, RunError):
                operations = self._operations("FinishBatch", _time(self.account.now))
                return operations.finish_batch(FinishBatch(stopped=True))
            self.account.now += RETRY_SECONDS
        raise AssertionError("more faults than retries")

    def results(self) -> list[ItemResult]:
        """Returns the lines of the results."""
        assert self.state is not None, self.error
        data = self.account.objects[_key(self.state.results_uri)].data
        return [ItemResult.from_json(json.loads(line), "line") for line in data.splitlines()]

    def _run(self) -> None:
        for group in tuple(self.groups):
            if self._has_succeeded(RunItems(execution=EXECUTION, items=group)):
                self.groups.remove(group)
            self.error = None  # the batch tolerates it
        finished = self._task("FinishBatch", lambda operations: operations.finish_batch(FinishBatch()))
        assert finished is None or finished.finished
        self.state = finished or self.stop()

    def _has_succeeded(self, request: RunItems) -> bool:
        remaining = len(request.items)
        while remaining:
            state = self._task("RunItems", lambda operations: operations.run_items(request))
            if state is None:
                return False
            assert state.remaining < remaining, "no item ended"
            remaining = state.remaining
        return True

    def _task(self, state: str, work: Callable[[BatchOperations], Any]) -> Any:
        """Performs the task of a state with its retries. Returns None and sets `error` if it fails."""
        failed, entered = 0, _time(self.account.now)
        for retry in range(MAX_RETRIES):
            try:
                return work(self._operations(state, entered, retry))
            except Killed:
                self.error, is_retried = ("Lambda.Unknown", ""), False
            except RunError as error:
                self.error, is_retried = (type(error).__name__, str(error)), error.retryable
            failed += not is_retried
            if failed > (MAX_LAMBDA_RETRIES if self.error[0] in RETRIED[state] else 0) and not is_retried:
                return None
            self.account.now += RETRY_SECONDS
        return None

    def _operations(self, state: str, entered: str, retry: int = 0) -> BatchOperations:
        run = Run(EXECUTION, state, started=STARTED, entered=entered, retry=retry, redrive=self.redrive)
        deadline = Deadline.after(FUNCTION_SECONDS)
        return BatchOperations(Operations(run, TENANT, self.account, deadline, on_stop_failed=_ignore))


def _ignore(session_id: str, error: RunError) -> None:
    """Does nothing: the session is in the account, where a test finds it."""


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def _key(address: S3Object) -> tuple[str, str]:
    return address.bucket, address.key
