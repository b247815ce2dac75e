"""The command line. Each module is one command, which calls a function that other code can call, too."""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated

import typer

from sandpiper.cli import (
    alarms,
    capacity,
    cost,
    dashboards,
    demo,
    deployment_policy,
    init,
    local,
    plan,
    review,
    run,
    runs,
    status,
    stop,
)
from sandpiper.cli.exit_codes import ChangeReportCommand

app = typer.Typer(
    name="sandpiper",
    help="Managed sandboxes for code written by models and users, on Amazon Bedrock AgentCore.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
app.add_typer(local.app, name="local")
app.add_typer(runs.app, name="runs")
app.add_typer(alarms.app, name="alarms")
app.add_typer(dashboards.app, name="dashboards")
app.command(epilog=run.EXAMPLES)(run.run)
app.command(epilog=stop.EXAMPLES)(stop.stop)
app.command(cls=ChangeReportCommand, epilog=plan.EXAMPLES)(plan.plan)
app.command(cls=ChangeReportCommand, epilog=status.EXAMPLES)(status.status)
app.command(cls=ChangeReportCommand, epilog=review.EXAMPLES)(review.review)
app.command(epilog=capacity.EXAMPLES)(capacity.capacity)
app.command(epilog=cost.EXAMPLES)(cost.cost)
app.command()(demo.demo)
app.command(epilog=init.EXAMPLES)(init.init)
app.command(epilog=deployment_policy.EXAMPLES)(deployment_policy.deployment_policy)


def _print_version(requested: bool) -> None:
    if requested:
        print(version("sandpiper"))
        raise typer.Exit


@app.callback()
def _options(  # pyright: ignore[reportUnusedFunction] - Typer calls it
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Managed sandboxes for code written by models and users, on Amazon Bedrock AgentCore."""
