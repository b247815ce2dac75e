"""The operations of batches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from code_runner.batches.batch_folder import BatchFolder
from code_runner.batches.finishing import finish
from code_runner.batches.item_runner import run_items
from code_runner.batches.preparation import prepare
from sandpiper_contract.batches import BatchState, FinishBatch, ItemsState, PreparedBatch, RunBatch, RunItems

if TYPE_CHECKING:
    from code_runner.operations import Operations


@dataclass(frozen=True, eq=False, repr=False)
class BatchOperations:
    """The operations of batches in one invocation. Each takes a request and returns its result, or raises a RunError.

    Attributes:
        operations: The other operations, which run the items.
    """

    operations: Operations

    def prepare_batch(self, request: RunBatch) -> PreparedBatch:
        """Validates a batch and writes its items for the Distributed Map."""
        run, deadline = self.operations.run, self.operations.work_deadline
        folder = self._folder(run.execution)
        return self.operations.run_once(
            request, PreparedBatch, lambda _: prepare(request, folder, run.started, deadline)
        )

    def run_items(self, request: RunItems) -> ItemsState:
        """Runs some items of a batch. Each item has its own record, so this operation needs none."""
        return run_items(self.operations, self._folder(request.execution), request)

    def finish_batch(self, request: FinishBatch) -> BatchState:
        """Writes the results of the batch in `run`. This is idempotent by nature and needs no record."""
        return finish(self.operations, self._folder(self.operations.run.execution), request)

    def _folder(self, execution: str) -> BatchFolder:
        return BatchFolder(self.operations.clients.s3, self.operations.tenant, execution)
