"""`sandpiper run --batch`: run a program once for each item of a file or of a folder in S3."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

from sandpiper.batch import start_batch
from sandpiper.batch_items import items_source
from sandpiper.cli.output import first_lines, notes, print_note, print_saved, progress, report
from sandpiper.cli.run_options import RunOptions, fields_as_flags, print_execution, without_none
from sandpiper.cli.runs.batch import batch_exit_code
from sandpiper.cli.runs.batch_tables import print_failed_items, print_summary
from sandpiper.errors import CliError, NoResultError
from sandpiper.execution_control import interruptible, wait_for_end
from sandpiper.runs.as_json import execution_json, file_json
from sandpiper.runs.batch_files import download_batch
from sandpiper.runs.batch_progress import batch_progress, follow_batch
from sandpiper.runs.batches import batch_folder, failed_items, is_prepared, read_summary, result_lines
from sandpiper.runs.executions import SUCCEEDED
from sandpiper.runs.finding import find_execution

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import boto3

    from sandpiper.deployment import Deployment
    from sandpiper.local_inputs import LocalFile
    from sandpiper.runs.executions import Execution

SUMMARY_SECONDS = 90
"""How long to wait for the results of a batch that failed. The rule that writes them runs within a minute."""
SUMMARY_POLL_SECONDS = 1
COUNTS_SECONDS = 2
"""Interval between two reads of the counts."""


@dataclass(frozen=True)
class BatchOptions:
    """The options of a batch. Each attribute is the option with its name."""

    batch: str
    batch_format: str | None
    item_inputs: Sequence[str]
    items_per_session: int | None
    tolerated_failures: str | None
    max_concurrency: int | None


def run_batch(batch: BatchOptions, program: dict[str, Any], inputs: Sequence[LocalFile], options: RunOptions) -> int:
    """Starts a batch, waits for its end, saves its results and prints its summary. Returns the exit code.

    Args:
        batch: the options of the batch.
        program: the request of `run-code` for each item, without the input files of this machine.
        inputs: the input files of this machine, which every item gets.
        options: the other options.

    Raises:
        CliError: Nothing was started, the batch failed, or a file was not saved.
    """
    items = items_source(batch.batch, batch.batch_format)
    tolerated = batch.tolerated_failures
    request = without_none(
        request=program,
        itemInputs=[_item_input(option) for option in batch.item_inputs] or None,
        itemsPerSession=batch.items_per_session,
        toleratedFailures=int(tolerated) if tolerated and tolerated.isdecimal() else tolerated,
        maxConcurrency=batch.max_concurrency,
    )
    session, target = options.connect()
    with progress("starting") as line, fields_as_flags():
        execution = start_batch(session, target, request, items, inputs, line)
        if options.detach and not options.follow:
            options.print_started(execution)
            return 0
        with interruptible(session, execution, options.on_interrupt):
            print_execution(execution)
            ended = _wait(session, target, execution, line, follow=options.follow)
            run = download_batch(session, target, ended, options.out, line, overwrite=options.overwrite)
        failed = failed_items(result_lines(batch_folder(session, target, execution)), ended.failed_items or 0)
    if options.as_json:
        files = [file_json(file) for file in run.files]
        print(json.dumps({**execution_json(ended), "files": files}, indent=2))
    else:
        print_summary(report, ended)
        print_failed_items(report, ended, failed)
        print_saved(notes, run.files, options.out)
    if ended.status != SUCCEEDED:
        run.problems.insert(0, f"{ended.error or ended.status}: {ended.message}".rstrip(": "))
    if run.problems:
        raise CliError(first_lines(run.problems))
    return batch_exit_code(ended, tolerated=tolerated is not None)


def _item_input(option: str) -> dict[str, str]:
    """Returns the `PATH=FIELD` value of `--item-input` as in a request."""
    path, separator, name = option.partition("=")
    if not separator or not path or not name:
        raise CliError(f"--item-input is {option!r}; allowed: PATH=FIELD, such as photo.jpg=s3Uri")
    return {"path": path, "s3UriFrom": name}


def _wait(
    session: boto3.Session, target: Deployment, execution: str, line: Callable[[str], None], *, follow: bool
) -> Execution:
    """Waits for the end of a batch and for its summary. Raises CliError if it has no results."""
    if follow:
        follow_batch(session, execution, print_note)
    counted_at, counts = 0.0, ""

    def show(seconds: float) -> None:
        nonlocal counted_at, counts
        if seconds - counted_at >= COUNTS_SECONDS:
            counted_at, counts = seconds, f", {found}" if (found := batch_progress(session, execution)) else ""
        line(f"running, {seconds:.0f} s{counts}")

    wait_for_end(session, execution, show)
    ended = find_execution(session, target, execution)
    folder = batch_folder(session, target, execution)
    if ended.summary is None and is_prepared(folder):
        until = monotonic() + SUMMARY_SECONDS
        while (summary := read_summary(folder)) is None and monotonic() < until:
            line("the batch has ended, waiting for its results")
            sleep(SUMMARY_POLL_SECONDS)
        ended = replace(ended, summary=summary)
    if ended.summary is None:
        raise NoResultError(f"{ended.error or ended.status}: {ended.message}".rstrip(": "))
    return ended
