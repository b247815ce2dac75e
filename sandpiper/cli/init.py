"""`sandpiper init`: the first environment file, from answers in a terminal or from flags."""

from __future__ import annotations

import os
import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sandpiper.cli.output import failures_as_messages, notes, plain
from sandpiper.errors import Failure

if TYPE_CHECKING:
    from sandpiper.cli.init_flags import Refusal
    from sandpiper.environment.scaffold import FirstFile

SCHEMA = Path("docs", "environment.schema.json")
EXAMPLES = """
[bold]Examples[/]

  sandpiper init

  sandpiper init --name dev2 --account 111122223333 --region eu-west-1 --owner 'platform team'

  sandpiper init --name web --account 111122223333 --region eu-west-1 --owner 'platform team'
  --network PUBLIC --reason 'Packages from PyPI' --expires 2027-06-30

  sandpiper init --name inside --account 111122223333 --region eu-west-1 --owner 'platform team'
  --network VPC --zone eu-west-1a=euw1-az1 --zone eu-west-1b=euw1-az2
"""


NEEDED = ("name", "account", "region", "owner")
QUESTIONS = {
    "zones": "zones, as NAME=ID,NAME=ID",
    "expires": "expires, as YYYY-MM-DD",
    "s3_prefix_list": "S3's prefix list",
}
ALSO = {"name": "output"}
"""What else an answer can be wrong for."""
LOCAL = """\
  sandpiper local start
  eval "$(sandpiper local env)"
"""


def init(
    name: Annotated[str | None, typer.Option(help="Part of every name; the file is called so.")] = None,
    account: Annotated[str | None, typer.Option(help="The AWS account, 12 digits.")] = None,
    region: Annotated[str | None, typer.Option(help="Its region, such as eu-west-1.")] = None,
    owner: Annotated[str | None, typer.Option(help="Who answers for it.")] = None,
    network: Annotated[
        str | None, typer.Option(help="What code reaches: SANDBOX, PUBLIC or VPC; SANDBOX unless given.")
    ] = None,
    reason: Annotated[str | None, typer.Option(help="Why code needs the internet, with PUBLIC.")] = None,
    expires: Annotated[
        str | None, typer.Option(help="The last day of that, as YYYY-MM-DD, with PUBLIC.", metavar="DAY")
    ] = None,
    zones: Annotated[
        list[str] | None,
        typer.Option("--zone", help="An availability zone, with VPC; two or more.", metavar="NAME=ID"),
    ] = None,
    s3_prefix_list: Annotated[
        str | None, typer.Option(help="S3's prefix list, with VPC, in a region where it is not known.", metavar="ID")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="The file; environments/NAME.yaml unless given.", metavar="FILE")
    ] = None,
) -> None:
    """Write a first environment file: asked for in a terminal, or said by flags. Never writes over a file."""
    with failures_as_messages():
        from sandpiper.environment.scaffold import FirstFile

        given = FirstFile(
            name=name,
            account=account,
            region=region,
            owner=owner,
            network=network,
            reason=reason,
            expires=expires,
            zones=tuple(zone for each in zones or () for zone in _zones(each)),
            s3_prefix_list=s3_prefix_list,
        )
        wanted = _answered(given, output)
        _write(wanted, output)


def _answered(given: FirstFile, output: Path | None) -> FirstFile:
    """Every answer: what was said by flags, and what is asked for the rest. Raises Failure for what is refused."""
    from sandpiper.cli.init_flags import refusals

    can_ask = sys.stdin.isatty()
    found = refusals(given, output)
    _refuse([one for one in found if not (can_ask and one.is_missing)])
    if not can_ask:
        return given
    wanted = given
    missing = [name for name in NEEDED if getattr(given, name) is None]
    for about in missing:
        wanted = _asked(wanted, about, output, default=output.stem if output and about == "name" else None)
    if missing and wanted.network is None:
        wanted = _network(wanted, output)
    for one in refusals(wanted, output):
        if one.is_missing:
            wanted = _asked(wanted, one.about, output)
    _refuse(refusals(wanted, output))
    return wanted


def _refuse(found: list[Refusal]) -> None:
    if found:
        asks = "; in a terminal, what is missing is asked for" if any(one.is_missing for one in found) else ""
        raise Failure("\n".join([f"nothing was written{asks}", *map(str, found)]))


def _network(wanted: FirstFile, output: Path | None) -> FirstFile:
    from sandpiper.environment.scaffold import NETWORKS

    for kind, reached in NETWORKS.items():
        notes.print(f"  {kind}: {reached}")
    return _asked(wanted, "network", output, default="SANDBOX")


def _asked(wanted: FirstFile, about: str, output: Path | None, default: str | None = None) -> FirstFile:
    """With an answer that can be used: of another one it is told what is allowed, and it is asked for again."""
    from sandpiper.cli.init_flags import refusals

    if about == "zones":
        _show_zones(wanted)
    while True:
        answer = str(typer.prompt(QUESTIONS.get(about, about), default=default, err=True)).strip()
        answered = replace(wanted, **{about: _zones(answer) if about == "zones" else answer})
        found = [one for one in refusals(answered, output) if one.about in (about, ALSO.get(about))]
        if not found:
            return answered
        for one in found:
            value = one.value or about
            notes.print(f"  {plain(f'{value} {one.problem}; allowed: {one.allowed}')}", soft_wrap=True)


def _show_zones(wanted: FirstFile) -> None:
    from sandpiper.environment.zones import SUPPORTED_ZONES

    supported = ", ".join(SUPPORTED_ZONES.get(wanted.region or "", ())) or "some"
    notes.print(f"  `aws ec2 describe-availability-zones` has yours; AgentCore supports {supported}", soft_wrap=True)


def _zones(text: str) -> tuple[tuple[str, str], ...]:
    pairs = (one.partition("=") for one in text.split(","))
    return tuple((name.strip(), zone.strip()) for name, _, zone in pairs)


def _write(wanted: FirstFile, output: Path | None) -> None:
    """Raises Failure, and writes nothing, where the file cannot be made."""
    from sandpiper.cli.init_flags import default_file
    from sandpiper.environment import cautions
    from sandpiper.environment.file import from_text

    file = output or default_file(str(wanted.name))
    text = wanted.text(schema=Path(os.path.relpath(SCHEMA, file.parent)).as_posix() if SCHEMA.exists() else None)
    try:
        if not output and not file.parent.exists():
            file.parent.mkdir()
            notes.print(f"made the folder {file.parent}")
        with file.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError:
        raise Failure(f"{file} is there already and stays as it is: choose another --name or --output") from None
    except OSError as error:
        raise Failure(f"{file} cannot be written ({error.strerror}): choose another --output") from None
    notes.print(f"wrote {plain(str(file))}", soft_wrap=True)
    for caution in cautions(from_text(text, file)):
        notes.print(f"[yellow]warning:[/] {plain(f'{file}: {caution.at}: {caution.text}')}", soft_wrap=True)
    print(_next(shlex.quote(str(output or wanted.name)), wanted))


def _next(place: str, wanted: FirstFile) -> str:
    return (
        "Next, look at what it makes, which needs no credentials:\n"
        f"  cdk synth --quiet -c environment={place}\n"
        "and deploy it:\n"
        f"{LOCAL if wanted.is_embedded else ''}"
        f"  cdk bootstrap aws://{wanted.account}/{wanted.region}\n"
        f"  sandpiper plan -e {place}\n"
        f"  cdk deploy --all -c environment={place}"
    )
