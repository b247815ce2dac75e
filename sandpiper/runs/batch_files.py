"""Downloads the results of a batch, and the files of its items into a folder for each item."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from code_runner.agentcore.concurrency import map_concurrently
from code_runner.batches.finishing import RESULTS_NAME, SUMMARY_NAME
from sandpiper.downloads import SavedFile, download_files, save_object
from sandpiper.errors import CliError
from sandpiper.runs.batches import batch_folder, read_item, recorded_result, result_lines
from sandpiper.runs.files import DownloadedRun, problems_of
from sandpiper_contract.errors import CodeFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import boto3
    from mypy_boto3_s3 import S3Client

    from code_runner.batches.batch_folder import BatchFolder
    from sandpiper.deployment import Deployment
    from sandpiper.runs.executions import Execution

CONTENT_TYPES = {RESULTS_NAME: "application/jsonl", SUMMARY_NAME: "application/json"}
"""The objects of a batch that are saved, with their types."""
WINDOW_ITEMS = 200
"""The number of items whose results are in memory together."""


def item_folder(out: Path, index: int) -> Path:
    """Returns the folder for the files of an item."""
    return out / f"item-{index}"


def download_batch(
    session: boto3.Session,
    deployment: Deployment,
    execution: Execution,
    out: Path,
    progress: Callable[[str], None],
    *,
    overwrite: bool = False,
) -> DownloadedRun:
    """Downloads the results and the summary of a batch that has ended, and the files of its items.

    The files of an item are in `item-INDEX`, also those of a program that failed.

    Args:
        session: the credentials.
        deployment: the tenant.
        execution: the execution of the batch.
        out: the folder for the files.
        progress: called with a line about how many items are done.
        overwrite: whether to replace existing files in the folder that no earlier run has saved.

    Raises:
        CliError: The batch is running, or has no results.
    """
    if execution.is_running:
        raise CliError(
            f"{execution.arn} is running; allowed: a batch that has ended, or the files of an item that has ended with "
            f"--item. Wait for it with `sandpiper runs show --follow {execution.arn}`"
        )
    folder = batch_folder(session, deployment, execution.arn)
    lines = result_lines(folder)
    first = next(lines, None)  # before anything is saved, because a batch that was not prepared has no results
    run = DownloadedRun(execution)
    for name, content_type in CONTENT_TYPES.items():
        run.files.append(save_object(folder.s3, folder.address(name), out, content_type, overwrite=overwrite))

    def download(line: Mapping[str, Any]) -> tuple[list[SavedFile], str | None]:
        result = _result(folder, line)
        target = item_folder(out, line["index"])
        return _download(folder.s3, result, target, overwrite=overwrite)

    done = 0
    while first is not None:
        window = [first, *islice(lines, WINDOW_ITEMS - 1)]
        for saved, problem in map_concurrently(download, window):
            run.files += saved
            run.problems += [problem] if problem else []
        done += len(window)
        progress(f"saving the files of items, {done:,} items done")
        first = next(lines, None)
    run.problems += problems_of(run.files)
    return run


def download_item(
    session: boto3.Session,
    deployment: Deployment,
    execution: Execution,
    index: int,
    out: Path,
    *,
    overwrite: bool = False,
) -> DownloadedRun:
    """Downloads the files of one item, also while the batch runs. The arguments are those of `download_batch`.

    Raises:
        CliError: The batch has no such item, or the item has no result.
    """
    folder = batch_folder(session, deployment, execution.arn)
    item = read_item(folder, execution, index)
    if item.result is None:
        ended = f"{item.error or item.status}: {item.message}".rstrip(": ")
        raise CliError(f"item {index} of {execution.arn} has no result and no files: {ended}")
    saved, problem = _download(folder.s3, item.result, item_folder(out, index), overwrite=overwrite)
    return DownloadedRun(execution, saved, [*([problem] if problem else []), *problems_of(saved)])


def _result(folder: BatchFolder, line: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Returns the result of an item. With `failOnError`, that of a program that failed is only in its record."""
    if line.get("error", {}).get("name") == CodeFailed.__name__:
        return recorded_result(folder, line["index"])
    return line.get("result")


def _download(
    objects: S3Client, result: Mapping[str, Any] | None, out: Path, *, overwrite: bool
) -> tuple[list[SavedFile], str | None]:
    if result is None or not (result["files"] or "manifestUri" in result):
        return [], None
    return download_files(objects, result, out, lambda _: None, overwrite=overwrite)
