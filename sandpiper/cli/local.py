"""`sandpiper local`: start and stop the embedded AWS, which runs in the background on loopback."""

from __future__ import annotations

import json
import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from local_aws import control, environment, running_instance
from local_aws.settings import COMPONENTS, TOTAL_LIMITS, Hosts, LocalAwsError, StateDirectory, parse_totals
from sandpiper.cli.output import errors_as_messages, notes, progress, report, styled

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console

app = typer.Typer(
    help="Start, inspect and stop the embedded AWS on this machine. Needs no AWS account and no Docker.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)
START_EXAMPLES = """
[bold]Examples[/]

  sandpiper local start

  eval "$(sandpiper local env)" && cdk bootstrap && cdk deploy --all --require-approval never

  sandpiper local start --port 4566 --state /tmp/second

  sandpiper local start --vpc-host db.internal:5432=127.0.0.1:5432
"""
State = Annotated[
    Path,
    typer.Option(
        help="Keep the files of the embedded AWS in DIR/.sandpiper/local. Default: the current folder.",
        metavar="DIR",
        show_default=False,
    ),
]
STATE = Path()
TOTALS = {
    "diskMiB": "MiB of disk",
    "processes": "processes",
    "terminals": "terminals",
    "openFiles": "open files",
    "memoryMiB": "MiB of memory",
}
"""Limits of all sessions together, as in the health report, with their names."""


@app.command(epilog=START_EXAMPLES)
def start(
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port of the AWS endpoint. Default: a free port.", show_default=False)
    ] = 0,
    agentcore_port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port of AgentCore. Default: a free port.", show_default=False)
    ] = 0,
    vpc_hosts: Annotated[
        list[str] | None,
        typer.Option(
            "--vpc-host",
            help="Let VPC interpreters reach the service HOST:PORT as NAME:PORT. Repeatable.",
            metavar="NAME:PORT=HOST:PORT",
        ),
    ] = None,
    public_hosts: Annotated[
        list[str] | None,
        typer.Option(
            "--public-host",
            help="Let PUBLIC interpreters reach the service HOST:PORT as NAME:PORT. Repeatable.",
            metavar="NAME:PORT=HOST:PORT",
        ),
    ] = None,
    public_hosts_only: Annotated[
        bool, typer.Option("--public-hosts-only", help="Let PUBLIC interpreters reach nothing else.")
    ] = False,
    limits: Annotated[
        list[str] | None,
        typer.Option(
            "--total",
            help=f"Limit all sessions together. NAME: {', '.join(TOTAL_LIMITS)}. Default: this machine minus a "
            "reserve. Repeatable.",
            metavar="NAME=N",
        ),
    ] = None,
    state: State = STATE,
) -> None:
    """Start the embedded AWS and wait until it is ready. For development and tests; its sandbox is not a microVM."""
    with errors_as_messages():
        started = time.monotonic()
        hosts = Hosts(vpc_hosts or (), public_hosts or (), public_hosts_only)
        totals = parse_totals(limits or ())
        with progress("starting the embedded AWS"):
            running, is_new = control.start(
                _state_directory(state), port=port, agentcore_port=agentcore_port, hosts=hosts, totals=totals
            )
        if not is_new:
            notes.print(f"already running: {running.url}, process {running.pid}", soft_wrap=True)
            if port or agentcore_port or hosts != Hosts() or totals:
                stop = f"sandpiper local stop{_option(state)}"
                notes.print(
                    f"it runs with other options: to apply these, run `{stop}` and start it again", soft_wrap=True
                )
            return
        notes.print(control.WARNING)
        seconds = time.monotonic() - started
        notes.print(f"ready after {seconds:.1f} s: {running.url}, process {running.pid}", soft_wrap=True)
        _print_sandbox(notes, control.health(running))
        notes.print(f'next: eval "$(sandpiper local env{_option(state)})"', soft_wrap=True)


@app.command()
def env(
    state: State = STATE,
    unset: Annotated[bool, typer.Option("--unset", help="Print commands that remove these settings.")] = False,
) -> None:
    """Print shell commands that point boto3, the AWS CLI and the CDK CLI to the embedded AWS.

    Use them with: eval "$(sandpiper local env)".
    """
    with errors_as_messages():
        print(environment.unset() if unset else environment.shell(_running(state)))


@app.command()
def status(
    state: State = STATE, as_json: Annotated[bool, typer.Option("--json", help="Print the status as JSON.")] = False
) -> None:
    """Show whether the embedded AWS runs, its sandbox limits, its stub resources and its differences from AWS.

    Exits with 1 when no embedded AWS runs.
    """
    with errors_as_messages():
        running = running_instance.find(_state_directory(state))
        if running is None:
            if as_json:
                print(json.dumps({"running": False}, indent=2))
            else:
                report.print(_not_running(state), soft_wrap=True)
            raise typer.Exit(1)
        health = control.health(running)
        environment.apply(running)
        stub_resources = control.deployed_stub_resources(running)
        differs = [*control.DIFFERENCES, *health["differs"]]
        if as_json:
            known = {"url": running.url, "agentcoreUrl": running.agentcore_url, "pid": running.pid, "differs": differs}
            print(json.dumps({"running": True, **known, "recordedOnly": stub_resources, "agentcore": health}, indent=2))
            return
        location = f"running: {running.url}, AgentCore at {running.agentcore_url}, process {running.pid}"
        report.print(control.WARNING, location, sep="\n", soft_wrap=True)
        _print_sandbox(report, health)
        limits = health["limits"]
        report.print(
            f"a session has {limits['cpus']:g} processors ({limits['processors']}), {limits['memoryMiB']} MiB of "
            f"memory ({limits['memory']}), {limits['diskMiB']} MiB of disk, {limits['processes']} processes with "
            f"{limits['openFilesPerProcess']} open files each, and {limits['terminals']} terminals",
            soft_wrap=True,
        )
        if used := ", ".join(_describe_total(name, total) for name, total in health["totals"].items()):
            report.print(f"all sessions together use {used}", soft_wrap=True)
        for mode, destinations in health["networks"].items():
            report.print(f"{mode} reaches {destinations}", soft_wrap=True)
        for one in stub_resources:
            report.print(f"stub resource: {one['type']} {one['identifier']}", soft_wrap=True)
        for difference in differs:
            report.print(f"differs from AWS: {difference}", soft_wrap=True)


@app.command()
def stop(state: State = STATE) -> None:
    """Stop the embedded AWS, end its sessions and delete its deployments.

    Exits with 0 even when no embedded AWS runs.
    """
    with errors_as_messages():
        directory = _state_directory(state)
        if control.stop(directory):
            notes.print(f"stopped the embedded AWS in {directory.path}", soft_wrap=True)
        else:
            notes.print(
                f"no embedded AWS runs in {directory.path}: nothing was stopped. To stop one that was "
                "started in another folder, run the command there or use --state DIR",
                soft_wrap=True,
            )


@app.command()
def logs(
    part: Annotated[str | None, typer.Argument(help=f"One of {', '.join(COMPONENTS)}. Default: all.")] = None,
    lines: Annotated[int, typer.Option("--lines", "-n", min=1, help="Number of lines.")] = 40,
    state: State = STATE,
) -> None:
    """Print the last lines of the logs of each component."""
    with errors_as_messages():
        if part is not None and part not in COMPONENTS:
            raise LocalAwsError(f"part is {part!r}; allowed: {' | '.join(COMPONENTS)}")
        for name in (part,) if part else COMPONENTS:
            log = _state_directory(state).log(name)
            text = log.read_text(errors="replace") if log.exists() else ""
            # On stdout like the lines, so that the heading stays above them when the output is redirected.
            report.print(styled((name, "bold"), f" {log}" if text else f" has no log in {log}"), soft_wrap=True)
            print("\n".join(text.splitlines()[-lines:]))


def _running(state: Path) -> running_instance.RunningInstance:
    running = running_instance.find(_state_directory(state))
    if running is None:
        raise LocalAwsError(_not_running(state))
    return running


def _state_directory(state: Path) -> StateDirectory:
    """Returns the state directory by its absolute path. Raises LocalAwsError when the current folder is deleted."""
    try:
        return StateDirectory(state.absolute())
    except FileNotFoundError:
        raise LocalAwsError(
            "the current folder does not exist any longer: change to another one, or choose one with --state"
        ) from None


def _not_running(state: Path) -> str:
    return f"no embedded AWS runs in {_state_directory(state).path}: run `sandpiper local start{_option(state)}`"


def _option(state: Path) -> str:
    """Returns the option that selects the same folder; empty for the current folder."""
    return "" if state == STATE else f" --state {shlex.quote(str(state))}"


def _describe_total(name: str, total: Mapping[str, int]) -> str:
    """Returns text such as `22 of 21,091 MiB of memory`."""
    return f"{total['used']:,} of {total['limit']:,} {TOTALS[name]}"


def _print_sandbox(console: Console, health: dict[str, object]) -> None:
    sandbox = health["sandbox"]
    if isinstance(sandbox, dict) and not sandbox["available"]:
        reason = f" {sandbox['reason']}. {sandbox['fix'] or ''}"
        console.print(styled(("no code can run:", "yellow"), reason), soft_wrap=True)
