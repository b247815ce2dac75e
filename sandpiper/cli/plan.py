"""`sandpiper plan`: show what `cdk deploy` would change."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path  # noqa: TC003 - Typer reads the annotation
from typing import TYPE_CHECKING, Annotated

import typer

from sandpiper.cli.exit_codes import CHANGES, ERROR
from sandpiper.cli.lines import print_lines
from sandpiper.cli.options import ENVIRONMENT
from sandpiper.cli.output import errors_as_messages, progress

if TYPE_CHECKING:
    from sandpiper.plan.assembly import Assembly

EXAMPLES = """
[bold]Examples[/]

  sandpiper plan -e prod

  sandpiper plan -e prod --json | jq '.stacks[] | select(.change == "gone") | .name'

  cdk synth --quiet -c environment=prod --output cdk.out && sandpiper plan --assembly cdk.out
"""


def plan(
    environment: Annotated[str | None, ENVIRONMENT] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the plan as JSON.")] = False,
    assembly: Annotated[
        Path | None,
        typer.Option(help="Read the cloud assembly in this folder instead of synthesizing.", metavar="DIR"),
    ] = None,
) -> None:
    """Show what cdk deploy would change: stacks, interpreters, sessions, permissions, data, quotas and cost.

    If NAME.review.json is next to the environment file, shows what is allowed and not approved, too.
    Changes nothing. Exits with 0 when there are no changes, 2 when there are changes, and 1 on an error.
    """
    with errors_as_messages(ERROR):
        from sandpiper.audit.check import existing_trail_problems
        from sandpiper.plan import compare, environments, render  # here, so that --help does not import boto3
        from sandpiper.plan.assembly import read_assembly
        from sandpiper.plan.costs import maximum_costs
        from sandpiper.review.baseline.path import baseline_of

        provided: Assembly | None = read_assembly(assembly) if assembly else None
        selected = environments.select_environment(environment, provided)
        with ExitStack() as stack:
            show = stack.enter_context(progress(f"reading {selected.name}"))
            folder = assembly or stack.enter_context(selected.synthesized(lambda line: show(line[:100])))
            synthesized = provided or read_assembly(folder)
            account = selected.account(synthesized.target)
            warnings = (*selected.warnings, *existing_trail_problems(account, selected.environment))
            costs = maximum_costs(selected.environment) if selected.environment else None
            stacks = account.stacks(selected.name)
            found = compare.create_plan(synthesized, stacks, account, selected.quotas, warnings, costs)
            lines, approval = (), {}
            if (baseline := baseline_of(selected.file)).exists():
                from sandpiper.cli.plan_approval import changes_since_approval  # here, because z3 is imported slowly

                lines, approval = changes_since_approval(folder, baseline, lambda line: show(line[:100]))
        if as_json:
            print(json.dumps({**found.to_json(), **approval}, indent=2))
        else:
            print_lines([*render.report(found), *lines])
    raise typer.Exit(CHANGES if found.has_changes else 0)
