"""`sandpiper runs list`: list the executions of a tenant, the most recent first."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from sandpiper.cli.options import ENVIRONMENT, TENANT
from sandpiper.cli.output import errors_as_messages, notes, progress, report
from sandpiper.errors import CliError
from sandpiper.runs.executions import STATUSES

EXAMPLES = """
[bold]Examples[/]

  sandpiper runs list

  sandpiper runs list -e prod --tenant claims --status failed --limit 100

  sandpiper runs list --workflow run-code --json | jq -r '.[] | select(.exitCode == 1) | .arn'
"""


def list_runs(
    workflow: Annotated[
        str | None, typer.Option(help="Only executions of this workflow. Default: all of the tenant.", metavar="NAME")
    ] = None,
    status: Annotated[
        str | None, typer.Option(help=f"Only executions with this status: {' | '.join(STATUSES)}.", metavar="STATUS")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Maximum number of executions.")] = 20,
    environment: Annotated[str | None, ENVIRONMENT] = None,
    tenant: Annotated[str | None, TENANT] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the list as JSON.")] = False,
) -> None:
    """List the tenant's executions, the most recent first, with state, duration, exit code, error and estimated cost.

    Running executions are sorted by their start, others by their end. Step Functions keeps them for 90 days.
    """
    with errors_as_messages():
        from sandpiper import deployment  # here, so that --help does not import boto3
        from sandpiper.cli.runs.tables import print_list
        from sandpiper.runs.as_json import execution_json
        from sandpiper.runs.cost import with_prices
        from sandpiper.runs.listing import list_executions

        only: Any = _status(status)
        session, target = deployment.connect(environment, tenant)
        if workflow is not None and workflow not in target.workflows:
            raise CliError(f"--workflow is {workflow!r}; allowed: {' | '.join(target.workflows)}")
        workflows = {workflow: target.workflows[workflow]} if workflow else target.workflows
        with progress("reading executions"):
            found = with_prices(list_executions(session, target, workflows, limit, only), environment)
        if as_json:
            print(json.dumps([execution_json(one) for one in found], indent=2))
            return
        print_list(report, found)
        if not found:
            notes.print("no executions")
        if len(found) == limit:
            notes.print(f"the {limit:,} most recent executions; there may be more: use --limit")


def _status(option: str | None) -> str | None:
    """Returns the status as Step Functions names it. Raises CliError for another one."""
    if option is None:
        return None
    status = option.upper().replace("-", "_")
    if status not in STATUSES:
        raise CliError(f"--status is {option!r}; allowed: {' | '.join(STATUSES)}")
    return status
