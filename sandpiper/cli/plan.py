"""`sandpiper plan`: what `cdk deploy` would change, in words."""

from __future__ import annotations

import json
from pathlib import Path  # noqa: TC003 - Typer reads the annotation
from typing import TYPE_CHECKING, Annotated

import typer

from sandpiper.cli.lines import print_lines
from sandpiper.cli.options import ENVIRONMENT
from sandpiper.cli.output import failures_as_messages, notes, plain
from sandpiper.cli.usage import ERROR

if TYPE_CHECKING:
    from sandpiper.plan.assembly import Assembly

CHANGES = 2
EXAMPLES = """
[bold]Examples[/]

  sandpiper plan -e prod

  sandpiper plan -e prod --json | jq '.stacks[] | select(.change == "gone") | .name'

  cdk synth --quiet -c environment=prod --output cdk.out && sandpiper plan --assembly cdk.out
"""


def plan(
    environment: Annotated[str | None, ENVIRONMENT] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
    assembly: Annotated[
        Path | None,
        typer.Option(help="Folder of a cloud assembly, instead of synthesising one.", metavar="DIR"),
    ] = None,
) -> None:
    """Say in words what cdk deploy would change: stacks, interpreters, sessions, permissions, data, quotas.

    Changes nothing. Ends with 0 when there is nothing to do, with 2 when there are changes, and with 1 for an error.
    """
    with failures_as_messages(ERROR):
        from sandpiper.plan import compare, environments, render  # here, so that --help does not pay for boto3
        from sandpiper.plan.assembly import open_assembly

        given: Assembly | None = open_assembly(assembly) if assembly else None
        chosen = environments.choose(environment, given)
        with notes.status(f"reading {chosen.name}") as status:
            wanted = given or chosen.synthesise(lambda line: status.update(plain(line[:100])))
            account = chosen.account(wanted.place)
            found = compare.make(wanted, account.stacks(chosen.name), account, chosen.quotas, chosen.warnings)
        if as_json:
            print(json.dumps(found.to_json(), indent=2))
        else:
            print_lines(render.report(found))
    raise typer.Exit(CHANGES if found.has_changes else 0)
