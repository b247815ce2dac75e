"""Downloads the files of an execution that has ended."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from sandpiper.downloads import SavedFile, download_files
from sandpiper.errors import CliError
from sandpiper.runs.records import read_records, recorded_results

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    import boto3

    from sandpiper.deployment import Deployment
    from sandpiper.runs.executions import Execution


@dataclass
class DownloadedRun:
    """An execution with its downloaded files.

    Attributes:
        execution: the execution with its results.
        files: the files.
        problems: why files are missing, with the remedies.
    """

    execution: Execution
    files: list[SavedFile] = field(default_factory=list[SavedFile])
    problems: list[str] = field(default_factory=list[str])


def download_run(
    session: boto3.Session,
    deployment: Deployment,
    execution: Execution,
    out: Path,
    progress: Callable[[str], None],
    *,
    overwrite: bool = False,
) -> DownloadedRun:
    """Downloads the files of an execution that is no batch, also of one that failed.

    The files of an execution with several programs are in a folder for each, such as `step-0`.

    Args:
        session: the credentials.
        deployment: the tenant.
        execution: the execution.
        out: the folder for the files.
        progress: called with a line about each file.
        overwrite: whether to replace existing files in the folder that no earlier run has saved.

    Raises:
        CliError: The execution is running, has no result, or its records cannot be read.
    """
    if execution.is_running:
        raise CliError(
            f"{execution.arn} is running; allowed: an execution that has ended. Wait for it with "
            f"`sandpiper runs show --follow {execution.arn}`"
        )
    if not execution.results:
        execution = replace(execution, results=recorded_results(read_records(session, deployment, execution.arn)))
    if not execution.results:
        ended = f"{execution.error or execution.status}: {execution.message}".rstrip(": ")
        raise CliError(f"{execution.arn} has no result and no files: {ended}")
    run = DownloadedRun(execution)
    objects = session.client("s3")
    for one in execution.results:
        folder = out / one.label.replace(" ", "-") if one.label else out
        saved, problem = download_files(objects, one.result, folder, progress, overwrite=overwrite)
        run.files += saved
        run.problems += [*([problem] if problem else []), *problems_of(saved)]
    return run


def problems_of(files: Iterable[SavedFile]) -> list[str]:
    """Returns why files were not saved, with the remedies."""
    return [file.problem for file in files if file.problem]
