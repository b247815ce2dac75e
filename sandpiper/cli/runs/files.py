"""`sandpiper runs files`: download the files of an execution."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from sandpiper.cli.options import ENVIRONMENT, OUT, OVERWRITE, TENANT
from sandpiper.cli.output import errors_as_messages, first_lines, notes, print_saved, print_skipped, progress, report
from sandpiper.cli.runs.arguments import EXECUTION
from sandpiper.errors import CliError

EXAMPLES = """
[bold]Examples[/]

  sandpiper runs files daily-1 --out out/daily

  sandpiper runs files nightly-1 --item 17

  sandpiper runs files daily-1 --json | jq -r '.[].savedTo'
"""


def files(
    execution: Annotated[str, EXECUTION],
    out: Annotated[Path, OUT] = Path("out"),
    item: Annotated[
        int | None, typer.Option("--item", help="Download only the files of this item of a batch, from 0.")
    ] = None,
    overwrite: Annotated[bool, OVERWRITE] = False,
    environment: Annotated[str | None, ENVIRONMENT] = None,
    tenant: Annotated[str | None, TENANT] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the list of files as JSON.")] = False,
) -> None:
    """Download the files of an execution that has ended, also of one that failed.

    The files of an execution with several programs are in a folder for each, such as step-0. A batch has results.jsonl,
    summary.json and a folder for each item with files, such as item-17.
    """
    with errors_as_messages():
        from sandpiper import deployment  # here, so that --help does not import boto3
        from sandpiper.cli.runs.batch import require_batch
        from sandpiper.names import RUN_BATCH
        from sandpiper.runs.as_json import file_json
        from sandpiper.runs.batch_files import download_batch, download_item
        from sandpiper.runs.files import download_run
        from sandpiper.runs.finding import find_execution

        session, target = deployment.connect_for(execution, environment, tenant)
        found = find_execution(session, target, execution)
        with progress("reading the execution") as line:
            if item is not None:
                require_batch(found)
                run = download_item(session, target, found, item, out, overwrite=overwrite)
            else:
                download = download_batch if found.workflow == RUN_BATCH else download_run
                run = download(session, target, found, out, line, overwrite=overwrite)
        if as_json:
            print(json.dumps([file_json(file) for file in run.files], indent=2))
        else:
            print_saved(report, run.files, out)
            for one in run.execution.results:
                print_skipped(notes, one.result)
            if not run.files:
                notes.print("the execution has no files")
        if run.problems:
            raise CliError(first_lines(run.problems))
