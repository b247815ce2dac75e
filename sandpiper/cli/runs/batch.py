"""Shows a batch or one of its items, for `sandpiper runs show`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from sandpiper.cli.exit_codes import FAILED
from sandpiper.cli.output import progress, report
from sandpiper.cli.runs.batch_tables import print_failed_items, print_item
from sandpiper.cli.runs.tables import print_run
from sandpiper.errors import CliError
from sandpiper.names import RUN_BATCH
from sandpiper.runs.as_json import item_json, run_json
from sandpiper.runs.batch_progress import batch_progress
from sandpiper.runs.batches import batch_folder, failed_items, read_item, result_lines, with_summary
from sandpiper.runs.executions import SUCCEEDED
from sandpiper.runs.history import read_events, steps_of

if TYPE_CHECKING:
    import boto3

    from sandpiper.deployment import Deployment
    from sandpiper.runs.executions import Execution


def show_batch(
    session: boto3.Session, target: Deployment, batch: Execution, *, with_code: bool, as_json: bool
) -> Execution:
    """Prints a batch with the counts of its items, and its first failed items. Returns it with its summary."""
    with progress("reading the batch"):
        steps = steps_of(read_events(session, batch.arn))
        batch = with_summary(session, target, batch)
        folder = batch_folder(session, target, batch.arn)
        failed = failed_items(result_lines(folder), batch.failed_items) if batch.failed_items else []
        counts = batch_progress(session, batch.arn) if batch.is_running else None
    if as_json:
        shown = [{"index": item.index, "error": item.error, "message": item.message or None} for item in failed]
        progressed = None if counts is None else {**vars(counts)}
        run = run_json(batch, steps, [], with_code=with_code)
        print(json.dumps({**run, "progress": progressed, "failedItems": shown}, indent=2))
        return batch
    print_run(report, batch, steps, [], with_code=with_code)
    if counts is not None:
        report.print(f"\n{counts}")
    print_failed_items(report, batch, failed)
    return batch


def show_item(session: boto3.Session, target: Deployment, batch: Execution, index: int, *, as_json: bool) -> None:
    """Prints an item of a batch with its output. Raises CliError if the execution has no such item."""
    require_batch(batch)
    with progress("reading the item"):
        item = read_item(batch_folder(session, target, batch.arn), batch, index)
    if as_json:
        print(json.dumps(item_json(batch, item), indent=2))
    else:
        print_item(report, batch, item)


def require_batch(execution: Execution) -> None:
    """Raises CliError if an execution is not a batch: only batches have items."""
    if execution.workflow != RUN_BATCH:
        raise CliError(f"{execution.arn} is an execution of {execution.workflow}; allowed with --item: of {RUN_BATCH}")


def batch_exit_code(batch: Execution, *, tolerated: bool = False) -> int:
    """Returns the exit code for a batch.

    Args:
        batch: the batch, with its summary.
        tolerated: whether the caller accepts the failed items of a batch that succeeded.
    """
    if batch.status != SUCCEEDED or batch.summary is None:
        return FAILED
    return 1 if batch.failed_items and not tolerated else 0
