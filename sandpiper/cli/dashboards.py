"""`sandpiper dashboards preview`: draw the dashboards of an environment, before it is deployed or after a run."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sandpiper.cli.options import ENVIRONMENT
from sandpiper.cli.output import errors_as_messages, progress, report, styled
from sandpiper.dashboards.colors import Theme  # noqa: TC001 - Typer reads the annotation
from sandpiper.dashboards.data import DataKind  # noqa: TC001 - Typer reads the annotation

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandpiper.dashboards.preview import Preview
    from sandpiper.plan.assembly import Assembly

MAX_MINUTES = 14 * 24 * 60
app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="Draw the CloudWatch dashboards of an environment.",
)
EXAMPLES = """
[bold]Examples[/]

  sandpiper dashboards preview -e prod

  cdk synth --quiet -c environment=prod --output cdk.out && sandpiper dashboards preview --assembly cdk.out

  eval "$(sandpiper local env)" && sandpiper dashboards preview --data embedded --minutes 30

  sandpiper dashboards preview -e prod --json | jq '.dashboards[] | {name, widgets, bytes}'
"""


@app.callback()
def _group() -> None:  # pyright: ignore[reportUnusedFunction] - keeps `preview` a subcommand
    """Draw the CloudWatch dashboards of an environment."""


@app.command(epilog=EXAMPLES)
def preview(
    environment: Annotated[str | None, ENVIRONMENT] = None,
    assembly: Annotated[
        Path | None,
        typer.Option(help="Read the cloud assembly in this folder instead of synthesizing.", metavar="DIR"),
    ] = None,
    out: Annotated[Path, typer.Option(help="Write the page and the pictures to this folder.", metavar="DIR")] = Path(
        "out"
    ),
    data: Annotated[
        DataKind, typer.Option(help="Show data of the embedded AWS, or invented data that is labelled as synthetic.")
    ] = "synthetic",
    minutes: Annotated[
        int | None,
        typer.Option(
            min=5,
            max=MAX_MINUTES,
            help="Length of the time range. Default: that of each dashboard, which is 3 hours.",
            show_default=False,
        ),
    ] = None,
    theme: Annotated[Theme, typer.Option(help="Colors of the pictures. The page follows the browser.")] = "light",
    as_json: Annotated[bool, typer.Option("--json", help="Print the names of the files as JSON.")] = False,
) -> None:
    """Draw every dashboard to one HTML page and one PNG each.

    Deploys nothing. The page needs no network and no JavaScript. For dashboards on AWS, use the CloudWatch console.
    """
    with errors_as_messages():
        from sandpiper.plan.assembly import read_assembly  # here, so that --help does not import boto3
        from sandpiper.plan.environments import select_environment

        provided = read_assembly(assembly) if assembly else None
        selected = select_environment(environment, provided)
        with progress(f"reading {selected.name}") as show:
            synthesized = provided or selected.synthesize(lambda line: show(line[:100]))
            found, files = draw(synthesized, data, out, lambda name: show(f"drawing {name}"), theme, minutes)
        if as_json:
            print(json.dumps(_as_json(found, files), indent=2))
            return
        source = found.source
        origin = "with synthetic data" if source.is_synthetic else f"with data of the {source.name}"
        report.print(styled((f"{len(found.dashboards)} dashboards", "bold"), f" of {found.environment} {origin}"))
        for file in files:
            report.print(f"  {file}", soft_wrap=True)


def draw(
    assembly: Assembly,
    data: DataKind,
    out: Path,
    progress: Callable[[str], None],
    theme: Theme = "light",
    minutes: int | None = None,
) -> tuple[Preview, list[Path]]:
    """Draws the dashboards of an assembly, and returns the preview and its files, the page first.

    Args:
        assembly: the cloud assembly.
        data: the origin of the data.
        out: the folder of the files.
        progress: called with the name of each dashboard.
        theme: the colors of the pictures.
        minutes: the length of the time range. Default: that of each dashboard.

    Raises:
        CliError: A dashboard is not valid, the data cannot be read, or the folder cannot be written.
    """
    from sandpiper.dashboards.preview import create_preview  # here, so that --help does not import boto3
    from sandpiper.dashboards.sources import with_data

    read, source = with_data(assembly, data)
    found = create_preview(read, source, progress, datetime.timedelta(minutes=minutes) if minutes else None)
    return found, found.write(out, theme)


def _as_json(found: Preview, files: list[Path]) -> dict[str, object]:
    page, *pictures = files
    return {
        "environment": found.environment,
        "data": "synthetic" if found.source.is_synthetic else "embedded",
        "page": str(page),
        "dashboards": [
            {
                "name": one.name,
                "stack": one.dashboard.stack,
                "picture": str(picture),
                "widgets": len(one.panels),
                "empty": [panel.title for panel in one.panels if panel.message],
                "bytes": one.dashboard.size,
                "alarms": dict(one.states),
            }
            for one, picture in zip(found.dashboards, pictures, strict=True)
        ],
    }
