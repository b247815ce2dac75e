"""`sandpiper runs stop`: stop an execution with its sessions."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from sandpiper.cli.options import ENVIRONMENT, TENANT
from sandpiper.cli.output import errors_as_messages, progress
from sandpiper.cli.runs.arguments import EXECUTION

EXAMPLES = """
[bold]Examples[/]

  sandpiper runs stop daily-1

  sandpiper runs stop daily-1 --json | jq -r '.sessions[]'
"""


def stop(
    execution: Annotated[str, EXECUTION],
    environment: Annotated[str | None, ENVIRONMENT] = None,
    tenant: Annotated[str | None, TENANT] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the stopped sessions as JSON.")] = False,
) -> None:
    """Stop an execution and its sessions. An execution that has ended keeps its status.

    Code that runs in a stopped session ends. Its run fails with SessionLost and is not repeated.
    """
    with errors_as_messages():
        from sandpiper import deployment, stopping  # here, so that --help does not import boto3
        from sandpiper.runs.finding import find_execution

        session, target = deployment.connect_for(execution, environment, tenant)
        found = find_execution(session, target, execution)
        with progress("stopping"):
            stopped = stopping.stop_execution(session, target, found.arn)
        if as_json:
            print(json.dumps({"arn": found.arn, "sessions": stopped}, indent=2))
        else:
            print_stopped(stopped)


def print_stopped(session_ids: tuple[str, ...]) -> None:
    """Prints a line for each stopped session."""
    for session_id in session_ids:
        print(f"stopped session {session_id}")
    if not session_ids:
        print("no live session")
