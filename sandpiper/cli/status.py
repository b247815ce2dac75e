"""`sandpiper status`: show the deployed resources of an environment, and their drift."""

from __future__ import annotations

from typing import Annotated

import typer

from sandpiper.cli.exit_codes import CHANGES, ERROR
from sandpiper.cli.lines import print_lines
from sandpiper.cli.options import ENVIRONMENT
from sandpiper.cli.output import errors_as_messages, progress

EXAMPLES = """
[bold]Examples[/]

  sandpiper status -e prod

  sandpiper status -e prod --no-drift

  sandpiper status -e prod --json | jq '.drift[]'
"""


def status(
    environment: Annotated[str | None, ENVIRONMENT] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the status as JSON.")] = False,
    drift: Annotated[
        bool,
        typer.Option(
            "--drift/--no-drift", help="Compare deployed resources with their templates, which takes longest."
        ),
    ] = True,
) -> None:
    """Show what is deployed: stacks, interpreters, sessions, failed executions, alarms, drift and external resources.

    Changes nothing. Exits with 0 when there is no drift, 2 when there is drift, when the policy of an existing role or
    data bucket has a problem or cannot be read, or when the audit trail does not record, and 1 on an error. For the
    state of the embedded AWS, use sandpiper local status.
    """
    with errors_as_messages(ERROR):
        from sandpiper.plan.environments import select_environment  # here, so that --help does not import boto3
        from sandpiper.status.collect import collect_status
        from sandpiper.status.render import report

        selected = select_environment(environment)
        with progress(f"reading {selected.name}"):
            found = collect_status(selected.account(), selected, with_drift=drift)
        if as_json:
            print(found.model_dump_json(by_alias=True, indent=2))
        else:
            print_lines(report(found))
    raise typer.Exit(0 if found.is_as_described else CHANGES)
