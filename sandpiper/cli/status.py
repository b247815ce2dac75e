"""`sandpiper status`: what is deployed of an environment, and what of it drifted."""

from __future__ import annotations

from typing import Annotated

import typer

from sandpiper.cli.lines import print_lines
from sandpiper.cli.options import ENVIRONMENT
from sandpiper.cli.output import failures_as_messages, notes
from sandpiper.cli.usage import ERROR

DRIFTED = 2
EXAMPLES = """
[bold]Examples[/]

  sandpiper status -e prod

  sandpiper status -e prod --no-drift

  sandpiper status -e prod --json | jq '.drift[]'
"""


def status(
    environment: Annotated[str | None, ENVIRONMENT] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
    drift: Annotated[
        bool, typer.Option("--drift/--no-drift", help="Compare what is deployed with its templates; takes longest.")
    ] = True,
) -> None:
    """Say what is deployed: stacks, interpreters, sessions, failures, alarms, and what is not as its template says.

    Changes nothing. Ends with 0, with 2 when something drifted, and with 1 for an error. Not about the embedded AWS
    itself: that is sandpiper local status.
    """
    with failures_as_messages(ERROR):
        from sandpiper.plan import environments  # here, so that --help does not pay for boto3
        from sandpiper.status import observe, render

        chosen = environments.choose(environment)
        with notes.status(f"reading {chosen.name}"):
            found = observe.status(chosen.account(), chosen.name, with_drift=drift)
        if as_json:
            print(found.model_dump_json(by_alias=True, indent=2))
        else:
            print_lines(render.report(found))
    raise typer.Exit(DRIFTED if found.drift else 0)
