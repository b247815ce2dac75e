"""`sandpiper stop`: stop an execution with its sessions, or one session."""

from __future__ import annotations

from typing import Annotated

import typer

from sandpiper.cli.options import ENVIRONMENT, TENANT
from sandpiper.cli.output import errors_as_messages, progress
from sandpiper.cli.runs.stop import print_stopped
from sandpiper.errors import CliError

EXAMPLES = """
[bold]Examples[/]

  sandpiper stop arn:aws:states:eu-west-1:123456789012:execution:report:daily-1 -e prod

  sandpiper stop --session 01K0Z3M5W7Q9S2T4V6X8Y0A1B3 -e prod
"""


def stop(
    execution: Annotated[
        str | None,
        typer.Argument(help="ARN of an execution, or its name if it is of the workflow run-code.", metavar="EXECUTION"),
    ] = None,
    session_id: Annotated[
        str | None, typer.Option("--session", help="Stop only this session of the tenant.", metavar="ID")
    ] = None,
    environment: Annotated[str | None, ENVIRONMENT] = None,
    tenant: Annotated[str | None, TENANT] = None,
) -> None:
    """Stop an execution and its sessions, or one session.

    Code that runs in a stopped session ends. Its run fails with SessionLost and is not repeated.
    """
    with errors_as_messages():
        from sandpiper import deployment, stopping  # here, so that --help does not import boto3

        if (execution is None) == (session_id is None):
            raise CliError(
                "EXECUTION is missing; allowed: the ARN or name of an execution, or --session ID"
                if execution is None
                else "EXECUTION and --session exclude each other; allowed: one of them"
            )
        session, target = deployment.connect_for(execution or "", environment, tenant)
        if session_id is not None:
            live = stopping.stop_one_session(session, target, session_id)
            stopped = (session_id,) if live else ()
        else:
            with progress("stopping"):
                stopped = stopping.stop_execution(session, target, execution or "")
        print_stopped(stopped)
