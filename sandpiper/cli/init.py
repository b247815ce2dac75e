"""`sandpiper init`: the first environment file, from answers in a terminal or from flags."""

from __future__ import annotations

import datetime
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sandpiper.cli.output import failures_as_messages, notes, plain
from sandpiper.failure import Failure

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import BaseModel

    from sandpiper.environment.first_file import FirstFile

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


def init(
    name: Annotated[str | None, typer.Option(help="Part of every name; the file is called so.")] = None,
    account: Annotated[str | None, typer.Option(help="The AWS account, 12 digits.")] = None,
    region: Annotated[str | None, typer.Option(help="Its region, such as eu-west-1.")] = None,
    owner: Annotated[str | None, typer.Option(help="Who answers for it.")] = None,
    network: Annotated[str | None, typer.Option(help="What code reaches: SANDBOX, PUBLIC or VPC.")] = None,
    reason: Annotated[str | None, typer.Option(help="Why code needs the internet, with PUBLIC.")] = None,
    expires: Annotated[str | None, typer.Option(help="The last day of that, as YYYY-MM-DD.", metavar="DAY")] = None,
    zones: Annotated[
        list[str] | None,
        typer.Option("--zone", help="An availability zone, with VPC; two or more.", metavar="NAME=ID"),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="The file; environments/NAME.yaml unless given.", metavar="FILE")
    ] = None,
) -> None:
    """Write a first environment file: asked for in a terminal, or said by flags. Never writes over a file."""
    with failures_as_messages():
        given = {
            "name": name,
            "account": account,
            "region": region,
            "owner": owner,
            "network": network,
            "reason": reason,
            "expires": expires,
            "zones": None if zones is None else ",".join(zones),
        }
        wanted = _answered(given)
        file = output or Path("environments", f"{wanted.name}.yaml")
        _write(file, wanted)
        notes.print(f"wrote {plain(str(file))}", soft_wrap=True)
        print(_next(file, wanted))


def _answered(given: dict[str, str | None]) -> FirstFile:
    """Every answer: what was said by flags, and what is asked for the rest. Raises Failure where nobody can answer."""
    from sandpiper.environment.first_file import NETWORKS, FirstFile

    ask = _ask if sys.stdin.isatty() else _nobody
    known = {key: value for key, value in given.items() if value is not None}
    missing = [key for key in ("name", "account", "region", "owner") if key not in known]
    if missing and ask is _nobody:
        raise Failure(f"{', '.join('--' + key for key in missing)} missing: give them, or run this in a terminal")
    for key in missing:
        known[key] = ask(key, _option(key))
    if "network" not in known and ask is _ask and missing:
        for kind, reached in NETWORKS.items():
            notes.print(f"  {kind}: {reached}")
        known["network"] = ask("network", lambda text: None if text in NETWORKS else " | ".join(NETWORKS), "SANDBOX")
    wanted = FirstFile(**_without_zones(known), zones=_zones(known.get("zones", "")))
    if ask is _ask:
        wanted = _completed(wanted)
    return wanted


def _completed(wanted: FirstFile) -> FirstFile:
    """With what the network takes besides."""
    from sandpiper.environment.interpreter import PublicInterpreter
    from sandpiper.environment.zones import SUPPORTED_ZONES

    if wanted.network == "PUBLIC" and not wanted.reason:
        wanted = replace(wanted, reason=_ask("reason", _option("reason", PublicInterpreter)))
    if wanted.network == "PUBLIC" and not wanted.expires and not wanted.is_embedded:
        wanted = replace(
            wanted, expires=_ask("expires", _option("expires", PublicInterpreter, datetime.date.fromisoformat))
        )
    if wanted.network == "VPC" and not wanted.zones:
        supported = ", ".join(SUPPORTED_ZONES.get(wanted.region, ()))
        notes.print(
            f"  `aws ec2 describe-availability-zones` has yours; AgentCore supports {supported or 'some'}",
            soft_wrap=True,
        )
        wanted = replace(wanted, zones=_zones(_ask("zones, as NAME=ID,NAME=ID", _refused_zones)))
    return wanted


def _ask(question: str, refused: Callable[[str], str | None], default: str | None = None) -> str:
    """An answer that the model takes: another one is told what is allowed, and asked for again."""
    while True:
        answer = str(typer.prompt(question, default=default, err=True)).strip()
        allowed = refused(answer)
        if allowed is None:
            return answer
        notes.print(f"  {plain(repr(answer))} is not allowed; allowed: {plain(allowed)}", soft_wrap=True)


def _nobody(question: str, _refused: Callable[[str], str | None], _default: str | None = None) -> str:
    raise Failure(f"nobody can be asked for {question}")


def _option(
    name: str, model: type[BaseModel] | None = None, read: Callable[[str], object] = str
) -> Callable[[str], str | None]:
    """What the model allows instead of a text; None for a text that it takes."""
    from pydantic import ValidationError

    from sandpiper.environment import Environment

    asked = model or Environment

    def refused(text: str) -> str | None:
        try:
            asked.model_validate({name: read(text)})
        except ValidationError as error:
            if all(one["loc"][:1] != (name,) for one in error.errors()):
                return None
        except ValueError:
            pass  # no date at all
        return asked.model_fields[name].description

    return refused


def _refused_zones(text: str) -> str | None:
    return None if len(_zones(text)) > 1 else "two or more, such as eu-west-1a=euw1-az1,eu-west-1b=euw1-az2"


def _zones(text: str) -> tuple[tuple[str, str], ...]:
    pairs = (one.partition("=") for one in text.split(",") if one)
    return tuple((name.strip(), zone.strip()) for name, _, zone in pairs)


def _without_zones(known: dict[str, str]) -> dict[str, Any]:
    return {key: value for key, value in known.items() if key != "zones"}


def _write(file: Path, wanted: FirstFile) -> None:
    """Raises Failure, and writes nothing, for what is no environment and for a file that is there."""
    from sandpiper.environment import InvalidEnvironment
    from sandpiper.environment.file import from_text

    schema = Path(os.path.relpath(SCHEMA, file.parent)).as_posix() if SCHEMA.exists() else None
    text = wanted.text(schema=schema)
    try:
        from_text(text, file)
    except InvalidEnvironment as error:
        lines = "\n".join(str(replace(problem, line=None)) for problem in error.problems)
        raise Failure(f"nothing was written\n{lines}") from None
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError:
        raise Failure(f"{file} is there already and stays as it is: choose another --name or --output") from None
    except OSError as error:
        raise Failure(f"{file} cannot be written ({error.strerror}): choose another --output") from None


def _next(file: Path, wanted: FirstFile) -> str:
    place = wanted.name if file == Path("environments", f"{wanted.name}.yaml") else str(file)
    return (
        "Next, look at what it makes, which needs no credentials:\n"
        f"  cdk synth -c environment={place}\n"
        "and deploy it:\n"
        f"  cdk bootstrap aws://{wanted.account}/{wanted.region}\n"
        f"  cdk deploy --all -c environment={place}"
    )
