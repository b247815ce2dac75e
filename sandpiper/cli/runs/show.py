"""`sandpiper runs show`: show one execution in full."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Annotated

import typer

from sandpiper.cli.exit_codes import FAILED
from sandpiper.cli.options import ENVIRONMENT, TENANT
from sandpiper.cli.output import errors_as_messages, print_note, progress, report
from sandpiper.cli.runs.arguments import EXECUTION
from sandpiper.cli.runs.reconnection import interrupted
from sandpiper.errors import CliError, CommandInterruptedError

EXAMPLES = """
[bold]Examples[/]

  sandpiper runs show 4b3c0d9e-7d0f-4c0e-9d6b-2f1d1f0e8a11

  sandpiper runs show arn:aws:states:eu-west-1:123456789012:execution:sandpiper-prod-claims-run-code:daily-1

  sandpiper runs show daily-1 --follow

  sandpiper runs show daily-1 --json | jq .steps

  sandpiper runs show nightly-1 --item 17
"""


def show(
    execution: Annotated[str, EXECUTION],
    follow: Annotated[
        bool, typer.Option("--follow", help="Print its progress until it ends. Ctrl-C does not stop the execution.")
    ] = False,
    item: Annotated[
        int | None,
        typer.Option("--item", help="Show this item of a batch, from 0, with its output, also if it failed."),
    ] = None,
    code: Annotated[
        bool, typer.Option("--code", help="Show the programs and files in the request instead of their lengths.")
    ] = False,
    environment: Annotated[str | None, ENVIRONMENT] = None,
    tenant: Annotated[str | None, TENANT] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the execution as JSON.")] = False,
) -> None:
    """Show an execution: request, states with attempts, sessions, error, output and files.

    A batch has its counts and its first failed items, and --item shows one of them. With --follow, exits with the
    program's exit code, or 2 if there is no result.
    """
    with errors_as_messages():
        from sandpiper import deployment  # here, so that --help does not import boto3
        from sandpiper.cli.runs.batch import batch_exit_code, show_batch, show_item
        from sandpiper.cli.runs.tables import print_run
        from sandpiper.names import RUN_BATCH
        from sandpiper.runs.as_json import run_json
        from sandpiper.runs.batch_progress import follow_batch
        from sandpiper.runs.cost import with_prices
        from sandpiper.runs.finding import find_execution
        from sandpiper.runs.follow import follow as follow_execution
        from sandpiper.runs.history import read_events, steps_of
        from sandpiper.runs.records import read_records, recorded_results

        if item is not None and follow:
            raise CliError("--item and --follow exclude each other; allowed: one of them")
        session, target = deployment.connect_for(execution, environment, tenant)
        found = find_execution(session, target, execution)
        if item is not None:
            show_item(session, target, found, item, as_json=as_json)
            return
        if follow:
            follow_to_end = follow_batch if found.workflow == RUN_BATCH else follow_execution
            try:
                follow_to_end(session, found.arn, print_note)
            except KeyboardInterrupt:
                raise CommandInterruptedError(interrupted(found.arn, environment, tenant)) from None
            found = find_execution(session, target, found.arn)
        if found.workflow == RUN_BATCH:
            found = show_batch(session, target, found, with_code=code, as_json=as_json)
            if follow:
                raise typer.Exit(batch_exit_code(found))
            return
        with progress("reading the execution"):
            steps = steps_of(read_events(session, found.arn))
            records = read_records(session, target, found.arn)
            (found,) = with_prices([replace(found, results=found.results or recorded_results(records))], environment)
        if as_json:
            print(json.dumps(run_json(found, steps, records, with_code=code), indent=2))
        else:
            print_run(report, found, steps, records, with_code=code)
    if follow:
        raise typer.Exit(FAILED if found.exit_code is None else found.exit_code)
