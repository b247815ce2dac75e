"""The operations of the contract, each with the types of its request and its result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sandpiper_contract import batches, requests, results, workflows

if TYPE_CHECKING:
    from sandpiper_contract.records import Record


@dataclass(frozen=True)
class Operation:
    """An operation: the types of its request and its result."""

    request: type[Record]
    result: type[Record]


OPERATIONS: dict[str, Operation] = {
    "run_code": Operation(requests.RunCode, results.RunResult),
    "run_command": Operation(requests.RunCommand, results.RunResult),
    "start_command": Operation(requests.StartCommand, results.StartedCommand),
    "poll_command": Operation(requests.PollCommand, results.CommandState),
    "stop_command": Operation(requests.StopCommand, results.CommandState),
    "open_session": Operation(requests.OpenSession, results.OpenedSession),
    "run_in_session": Operation(requests.RunInSession, results.RunResult),
    "close_session": Operation(requests.CloseSession, results.ClosedSession),
    "collect_files": Operation(requests.CollectFiles, results.CollectedFiles),
    "stop_sessions": Operation(requests.StopSessions, results.StoppedSessions),
    "sweep_sessions": Operation(requests.SweepSessions, results.StoppedSessions),
    "prepare_batch": Operation(batches.RunBatch, batches.PreparedBatch),
    "run_items": Operation(batches.RunItems, batches.ItemsState),
    "finish_batch": Operation(batches.FinishBatch, batches.BatchState),
    "check_request": Operation(workflows.CheckRequest, workflows.CheckedRequest),
    "await_approval": Operation(workflows.AwaitApproval, workflows.AwaitedApproval),
}
"""The operations by name."""
