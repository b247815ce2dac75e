"""The command `sandpiper init`: writes a new environment file from flags and prompts."""

from __future__ import annotations

import os
import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sandpiper.cli.output import errors_as_messages, notes, styled
from sandpiper.errors import CliError

if TYPE_CHECKING:
    from sandpiper.environment.errors import ConfigIssue
    from sandpiper.environment.scaffold import EnvironmentScaffold

SCHEMA = Path("docs", "environment.schema.json")
EXAMPLES = """
[bold]Examples[/]

  sandpiper init

  sandpiper init --name dev2 --account 111122223333 --region eu-west-1 --owner 'platform team'

  sandpiper init --name web --account 111122223333 --region eu-west-1 --owner 'platform team'
  --network PUBLIC --reason 'Packages from PyPI' --expires 2027-06-30

  sandpiper init --name private --account 111122223333 --region eu-west-1 --owner 'platform team'
  --network VPC --zone eu-west-1a=euw1-az1 --zone eu-west-1b=euw1-az2
"""


REQUIRED = ("name", "account", "region", "owner")
PROMPTS = {
    "zones": "zones, as NAME=ID,NAME=ID",
    "expires": "expires, as YYYY-MM-DD",
    "s3_prefix_list": "S3's prefix list",
}
"""Prompts that differ from the name of the option."""
RELATED = {"name": "output"}
"""The other flag that an answer can be invalid for."""
START_EMBEDDED_AWS = """\
  sandpiper local start
  eval "$(sandpiper local env)"
"""


def init(
    name: Annotated[
        str | None, typer.Option(help="Environment name, used in resource names and as the file's name.")
    ] = None,
    account: Annotated[str | None, typer.Option(help="AWS account to deploy to, 12 digits.")] = None,
    region: Annotated[str | None, typer.Option(help="AWS region to deploy to, such as eu-west-1.")] = None,
    owner: Annotated[str | None, typer.Option(help="Team or person who is responsible.")] = None,
    network: Annotated[str | None, typer.Option(help="Network mode: SANDBOX (default), PUBLIC or VPC.")] = None,
    reason: Annotated[str | None, typer.Option(help="Reason for internet access, with PUBLIC.")] = None,
    expires: Annotated[
        str | None, typer.Option(help="Last day of internet access, as YYYY-MM-DD, with PUBLIC.", metavar="DAY")
    ] = None,
    zones: Annotated[
        list[str] | None,
        typer.Option("--zone", help="Availability zone, with VPC. Repeat for two or more.", metavar="NAME=ID"),
    ] = None,
    s3_prefix_list: Annotated[
        str | None,
        typer.Option(help="S3's managed prefix list, with VPC, in a region without a default.", metavar="ID"),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="File to write. Default: environments/NAME.yaml.", metavar="FILE")
    ] = None,
) -> None:
    """Write a new environment file. In a terminal, ask for missing values. Never overwrite a file."""
    with errors_as_messages():
        from sandpiper.environment.scaffold import EnvironmentScaffold

        flags = EnvironmentScaffold(
            name=name,
            account=account,
            region=region,
            owner=owner,
            network=network,
            reason=reason,
            expires=expires,
            zones=tuple(zone for each in zones or () for zone in _parse_zones(each)),
            s3_prefix_list=s3_prefix_list,
        )
        _write(_complete(flags, output), output)


def _complete(flags: EnvironmentScaffold, output: Path | None) -> EnvironmentScaffold:
    """Returns the flags, completed by prompts if stdin is a terminal.

    Raises:
        CliError: A flag is invalid, or missing without a terminal.
    """
    from sandpiper.cli.init_flags import find_issues, flag_name, is_missing

    can_prompt = sys.stdin.isatty()
    _raise_for([issue for issue in find_issues(flags, output) if not (can_prompt and is_missing(issue))])
    if not can_prompt:
        return flags
    scaffold = flags
    missing = [name for name in REQUIRED if getattr(flags, name) is None]
    for name in missing:
        scaffold = _prompt(scaffold, name, output, default=output.stem if output and name == "name" else None)
    if missing and scaffold.network is None:
        scaffold = _prompt_network(scaffold, output)
    for issue in find_issues(scaffold, output):
        if is_missing(issue):
            scaffold = _prompt(scaffold, flag_name(issue), output)
    _raise_for(find_issues(scaffold, output))
    return scaffold


def _raise_for(issues: list[ConfigIssue]) -> None:
    from sandpiper.cli.init_flags import flag_message, is_missing

    if issues:
        hint = "; run the command in a terminal to be asked for missing values" if any(map(is_missing, issues)) else ""
        raise CliError("\n".join([f"nothing was written{hint}", *map(flag_message, issues)]))


def _prompt_network(scaffold: EnvironmentScaffold, output: Path | None) -> EnvironmentScaffold:
    from sandpiper.environment.scaffold import NETWORKS

    for network, description in NETWORKS.items():
        notes.print(f"  {network}: {description}", soft_wrap=True)
    return _prompt(scaffold, "network", output, default="SANDBOX")


def _prompt(
    scaffold: EnvironmentScaffold, name: str, output: Path | None, default: str | None = None
) -> EnvironmentScaffold:
    """Returns the scaffold with a valid answer. After an invalid answer, prints the allowed values and asks again."""
    from sandpiper.cli.init_flags import find_issues, flag_name

    if name == "zones":
        _print_zones(scaffold)
    while True:
        answer = str(typer.prompt(PROMPTS.get(name, name), default=default, err=True)).strip()
        answered = replace(scaffold, **{name: _parse_zones(answer) if name == "zones" else answer})
        issues = [issue for issue in find_issues(answered, output) if flag_name(issue) in (name, RELATED.get(name))]
        if not issues:
            return answered
        for issue in issues:
            subject = issue.key_path[1] if len(issue.key_path) > 1 else name
            notes.print(f"  {subject} {issue.problem}; allowed: {issue.allowed}", soft_wrap=True)


def _print_zones(scaffold: EnvironmentScaffold) -> None:
    from sandpiper.environment.zones import SUPPORTED_ZONES

    supported = ", ".join(SUPPORTED_ZONES.get(scaffold.region or "", ())) or "some"
    notes.print(
        f"  run `aws ec2 describe-availability-zones` to list them; AgentCore supports {supported}", soft_wrap=True
    )


def _parse_zones(text: str) -> tuple[tuple[str, str], ...]:
    pairs = (each.partition("=") for each in text.split(","))
    return tuple((name.strip(), zone.strip()) for name, _, zone in pairs)


def _write(scaffold: EnvironmentScaffold, output: Path | None) -> None:
    """Writes the file, then prints its warnings and the next commands. Raises CliError if it cannot be written."""
    from sandpiper.cli.init_flags import default_file
    from sandpiper.environment import find_warnings
    from sandpiper.environment.file import from_text

    file = output or default_file(str(scaffold.name))
    text = scaffold.render(schema=Path(os.path.relpath(SCHEMA, file.parent)).as_posix() if SCHEMA.exists() else None)
    try:
        if not output and not file.parent.exists():
            file.parent.mkdir()
            notes.print(f"created the folder {file.parent}", soft_wrap=True)
        with file.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError:
        raise CliError(f"{file} already exists and is not overwritten: choose another --name or --output") from None
    except OSError as error:
        raise CliError(f"{file} cannot be written ({error.strerror}): choose another --output") from None
    notes.print(f"wrote {file}", soft_wrap=True)
    for warning in find_warnings(from_text(text, file)):
        notes.print(styled(("warning:", "yellow"), f" {file}: {warning.at}: {warning.text}"), soft_wrap=True)
    print(_next_commands(shlex.quote(str(output or scaffold.name)), scaffold))


def _next_commands(environment: str, scaffold: EnvironmentScaffold) -> str:
    return (
        "Next, synthesize the templates, which needs no credentials:\n"
        f"  cdk synth --quiet -c environment={environment}\n"
        "and deploy them:\n"
        f"{START_EMBEDDED_AWS if scaffold.is_embedded else ''}"
        f"  cdk bootstrap aws://{scaffold.account}/{scaffold.region}\n"
        f"  sandpiper plan -e {environment}\n"
        f"  cdk deploy --all -c environment={environment}"
    )
