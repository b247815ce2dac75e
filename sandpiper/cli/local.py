"""`sandpiper local`: the embedded AWS, in the background on loopback."""

from __future__ import annotations

import json
import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from local_aws import control, environment, running_instance
from local_aws.settings import COMPONENTS, Hosts, LocalAwsError, StateDirectory
from sandpiper.cli.output import failures_as_messages, notes, plain, report

if TYPE_CHECKING:
    from rich.console import Console

app = typer.Typer(
    help="The embedded AWS: starts in the background on this machine, without an account or Docker.",
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
    Path, typer.Option(help="Folder whose subfolder .sandpiper/local takes what it keeps while it runs.", metavar="DIR")
]
STATE = Path()


@app.command(epilog=START_EXAMPLES)
def start(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of the AWS endpoint; a free one unless given.")] = 0,
    agentcore_port: Annotated[int, typer.Option(min=0, max=65535, help="Port of AgentCore, likewise.")] = 0,
    vpc_hosts: Annotated[
        list[str] | None,
        typer.Option(
            "--vpc-host",
            help="A service that code of VPC interpreters finds at NAME:PORT; may be repeated.",
            metavar="NAME:PORT=HOST:PORT",
        ),
    ] = None,
    public_hosts: Annotated[
        list[str] | None,
        typer.Option("--public-host", help="Likewise, of PUBLIC interpreters.", metavar="NAME:PORT=HOST:PORT"),
    ] = None,
    public_hosts_only: Annotated[
        bool, typer.Option("--public-hosts-only", help="Code of PUBLIC interpreters finds nothing but those.")
    ] = False,
    state: State = STATE,
) -> None:
    """Start it and wait until it is ready. It is for development and tests; it is not a microVM."""
    with failures_as_messages():
        begun = time.monotonic()
        hosts = Hosts(vpc_hosts or (), public_hosts or (), public_hosts_only)
        with notes.status("starting the embedded AWS"):
            running, is_new = control.start(_place(state), port=port, agentcore_port=agentcore_port, hosts=hosts)
        if not is_new:
            notes.print(f"it runs already: {running.url}, process {running.pid}", soft_wrap=True)
            if port or agentcore_port or hosts != Hosts():
                again = f"sandpiper local stop{_option(state)}"
                notes.print(f"what was asked for here is not in force: {again}, then start it anew", soft_wrap=True)
            return
        notes.print(control.WARNING)
        seconds = time.monotonic() - begun
        notes.print(f"ready after {seconds:.1f} s: {running.url}, process {running.pid}", soft_wrap=True)
        _print_sandbox(notes, control.health(running))
        notes.print(f'next: eval "$(sandpiper local env{_option(state)})"', soft_wrap=True)


@app.command()
def env(
    state: State = STATE,
    unset: Annotated[bool, typer.Option("--unset", help="Print the commands that take them back.")] = False,
) -> None:
    """Print the shell commands that make boto3, the AWS CLI and the CDK CLI use it: eval "$(sandpiper local env)"."""
    with failures_as_messages():
        print(environment.unset() if unset else environment.shell(_running(state)))


@app.command()
def status(
    state: State = STATE, as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False
) -> None:
    """Say whether it runs, what its sandbox can do, what is recorded only and where it differs from AWS.

    Ends with 1 when it does not run.
    """
    with failures_as_messages():
        running = running_instance.find(_place(state))
        if running is None:
            if as_json:
                print(json.dumps({"running": False}, indent=2))
            else:
                report.print(plain(_not_there(state)), soft_wrap=True)
            raise typer.Exit(1)
        health = control.health(running)
        environment.apply(running)
        recorded = control.deployed_stub_resources(running)
        differs = [*control.DIFFERENCES, *health["differs"]]
        if as_json:
            known = {"url": running.url, "agentcoreUrl": running.agentcore_url, "pid": running.pid, "differs": differs}
            print(json.dumps({"running": True, **known, "recordedOnly": recorded, "agentcore": health}, indent=2))
            return
        where = f"it runs: {running.url}, AgentCore at {running.agentcore_url}, process {running.pid}"
        report.print(control.WARNING, where, sep="\n", soft_wrap=True)
        _print_sandbox(report, health)
        limits = health["limits"]
        report.print(
            f"a session has {limits['cpus']:g} processors ({limits['processors']}), {limits['memoryMiB']} MiB of "
            f"memory ({limits['memory']}), {limits['diskMiB']} MiB of disk and {limits['processes']} processes",
            soft_wrap=True,
        )
        for mode, reach in health["networks"].items():
            report.print(f"{mode} reaches {reach}", soft_wrap=True)
        for one in recorded:
            report.print(f"recorded only: {one['type']} {one['identifier']}", soft_wrap=True)
        for difference in differs:
            report.print(f"differs from AWS: {difference}", soft_wrap=True)


@app.command()
def stop(state: State = STATE) -> None:
    """Stop it, with every session in it; what was deployed to it is gone. Ends with 0 when none runs there, too."""
    with failures_as_messages():
        where = _place(state)
        if control.stop(where):
            notes.print(f"stopped the embedded AWS in {plain(str(where.path))}", soft_wrap=True)
        else:
            notes.print(
                f"no embedded AWS runs in {plain(str(where.path))}: nothing was stopped. One that was started in "
                "another folder is stopped there, or with --state DIR",
                soft_wrap=True,
            )


@app.command()
def logs(
    part: Annotated[str | None, typer.Argument(help=f"One of {', '.join(COMPONENTS)}; all unless given.")] = None,
    lines: Annotated[int, typer.Option("--lines", "-n", min=1, help="How many of the last lines.")] = 40,
    state: State = STATE,
) -> None:
    """Print the last lines of its logs, those of each part below its name."""
    with failures_as_messages():
        if part is not None and part not in COMPONENTS:
            raise LocalAwsError(f"part is {part!r}; allowed: {' | '.join(COMPONENTS)}")
        for name in (part,) if part else COMPONENTS:
            log = _place(state).log(name)
            text = log.read_text(errors="replace") if log.exists() else ""
            # To where the lines go: the heading of a part stays above them, whatever becomes of the output.
            report.print(f"[bold]{name}[/] {log}" if text else f"[bold]{name}[/] has no log in {log}", soft_wrap=True)
            print("\n".join(text.splitlines()[-lines:]))


def _running(state: Path) -> running_instance.RunningInstance:
    running = running_instance.find(_place(state))
    if running is None:
        raise LocalAwsError(_not_there(state))
    return running


def _place(state: Path) -> StateDirectory:
    """By its whole path, which tells one folder from another. Raises LocalAwsError where there is none."""
    try:
        return StateDirectory(state.absolute())
    except FileNotFoundError:
        raise LocalAwsError("the current folder is gone: change to another, or choose one with --state") from None


def _not_there(state: Path) -> str:
    return f"no embedded AWS runs in {_place(state).path}: sandpiper local start{_option(state)}"


def _option(state: Path) -> str:
    """What has to be typed to mean the same folder."""
    return "" if state == STATE else f" --state {shlex.quote(str(state))}"


def _print_sandbox(console: Console, health: dict[str, object]) -> None:
    sandbox = health["sandbox"]
    if isinstance(sandbox, dict) and not sandbox["available"]:
        console.print(f"[yellow]no code can run:[/] {sandbox['reason']}. {sandbox['fix'] or ''}", soft_wrap=True)
