"""`sandpiper alarms`: list the alarms of an environment, and test a notification."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from sandpiper.cli.options import ENVIRONMENT
from sandpiper.cli.output import MAX_TABLE_WIDTH, PlainConsole, errors_as_messages, notes, progress, report, styled

if TYPE_CHECKING:
    import boto3

    from sandpiper.alarms.listing import AlarmStatus

EXAMPLES = """
[bold]Examples[/]

  sandpiper alarms -e prod

  sandpiper alarms -e prod --json | jq -r '.[] | select(.state == "ALARM") | .runbook'

  sandpiper alarms test claims-throttles -e prod
"""
TEST_EXAMPLES = """
[bold]Examples[/]

  sandpiper alarms test -e prod

  sandpiper alarms test fleet-live-sessions -e prod
"""
STYLES = {"ALARM": "bold red", "OK": "green", "INSUFFICIENT_DATA": "dim"}

app = typer.Typer(invoke_without_command=True, rich_markup_mode="rich", epilog=EXAMPLES)


@app.callback()
def alarms(
    context: typer.Context,
    environment: Annotated[str | None, ENVIRONMENT] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the alarms as JSON.")] = False,
) -> None:
    """List the alarms of an environment with state, threshold and runbook; alarms in the state ALARM first."""
    if context.invoked_subcommand is not None:
        return
    with errors_as_messages():
        found = _read(*_connect(environment))
        if as_json:
            print(json.dumps([asdict(alarm) | {"since": alarm.since.isoformat()} for alarm in found], indent=2))
            return
        _print(found)


@app.command(epilog=TEST_EXAMPLES)
def test(
    name: Annotated[
        str | None,
        typer.Argument(
            help="The alarm's name, with or without sandpiper-ENV-. Default: the first alarm with a topic.",
            metavar="ALARM",
            show_default=False,
        ),
    ] = None,
    environment: Annotated[str | None, ENVIRONMENT] = None,
) -> None:
    """Send the notification of an alarm to its topic. It states that it is a test."""
    with errors_as_messages():
        from sandpiper.alarms.testing import select_alarm, send_test  # here, so that --help does not import boto3

        session, selected = _connect(environment)
        alarm = select_alarm(_read(session, selected), name, selected)
        send_test(session, alarm)
        report.print(styled(("sent", "green"), f" {alarm.name} to {', '.join(alarm.topics)}"), soft_wrap=True)


def _connect(environment: str | None) -> tuple[boto3.Session, str]:
    """Returns a session and the name of the environment."""
    from sandpiper import deployment

    name = environment or "local"
    session = deployment.session_for(name)
    deployment.require_intended_endpoint(session, name)
    return session, deployment.environment_file(name).stem


def _read(session: boto3.Session, environment: str) -> list[AlarmStatus]:
    from sandpiper.alarms.listing import list_alarms

    with progress(f"reading the alarms of {environment}"):
        return list_alarms(session, environment)


def _print(found: list[AlarmStatus]) -> None:
    if not found:
        notes.print("no alarms: the environment is not deployed")
        return
    table = Table("alarm", "state", "since", "condition", "for", "runbook", box=None, pad_edge=False)
    for alarm in found:
        table.add_row(
            alarm.name,
            styled((alarm.state, STYLES[alarm.state])),
            f"{alarm.since.astimezone(UTC):%Y-%m-%d %H:%M UTC}",
            alarm.condition,
            alarm.team,
            alarm.runbook,
        )
    PlainConsole(file=report.file, width=MAX_TABLE_WIDTH).print(table)
    without_topic = sum(not alarm.topics for alarm in found)
    if without_topic:
        notes.print(
            f"{without_topic} of {len(found)} alarms notify no topic: set alarm_subscriptions or alarm_topic_arn"
        )
