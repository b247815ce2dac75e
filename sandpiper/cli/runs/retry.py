"""`sandpiper runs retry`: start a new execution with the input of an earlier one."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from sandpiper.cli.options import ENVIRONMENT, TENANT
from sandpiper.cli.output import errors_as_messages, notes
from sandpiper.cli.runs.arguments import EXECUTION

EXAMPLES = """
[bold]Examples[/]

  sandpiper runs retry daily-1

  sandpiper runs retry daily-1 --yes

  sandpiper runs show --follow $(sandpiper runs retry daily-1 --yes)
"""


def retry(
    execution: Annotated[str, EXECUTION],
    yes: Annotated[
        bool, typer.Option("--yes", help="Also if the code of the earlier run may have run, and so runs a second time.")
    ] = False,
    environment: Annotated[str | None, ENVIRONMENT] = None,
    tenant: Annotated[str | None, TENANT] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the new execution as JSON.")] = False,
) -> None:
    """Start a new execution with the same input, or of a batch with its failed items, and print its ARN.

    The code runs again. Without --yes, this is refused unless the code of the earlier run certainly did not run.
    """
    with errors_as_messages():
        from sandpiper import deployment  # here, so that --help does not import boto3
        from sandpiper.runs.finding import find_execution
        from sandpiper.runs.retrying import retry_execution

        session, target = deployment.connect_for(execution, environment, tenant)
        found = find_execution(session, target, execution)
        arn, reason = retry_execution(session, target, found, runs_code_again=yes)
        notes.print(reason, soft_wrap=True)
        print(json.dumps({"arn": arn, "retryOf": found.arn}, indent=2) if as_json else arn)
