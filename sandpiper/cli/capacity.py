"""`sandpiper capacity`: estimate duration, cost and limiting quota of a batch by simulating it."""

from __future__ import annotations

import json
from pathlib import Path  # noqa: TC003 - Typer reads the annotation
from typing import Annotated, Any

import typer

from sandpiper.cli.options import TENANT
from sandpiper.cli.output import errors_as_messages, notes, print_note, progress, report, styled
from sandpiper.errors import CliError

EXAMPLES = """
[bold]Examples[/]

  sandpiper capacity --items 1000000 --seconds 2

  sandpiper capacity --items 1000000 --seconds 2 --items-per-session 50 --out build/capacity.svg

  sandpiper capacity --items 200000 --profile claims.yaml -e prod --tenant claims

  sandpiper capacity --items 200000 --measure program.py --item item.json -e dev --tenant claims

  sandpiper capacity --items 10000000 --seconds 1 --calls-per-second 300 --json | jq .usd.total
"""


def capacity(
    items: Annotated[int, typer.Option(help="Number of items of the batch.", show_default=False)],
    profile: Annotated[
        Path | None,
        typer.Option(help="YAML or JSON file with values for the flags of the job. Flags override it.", metavar="FILE"),
    ] = None,
    seconds: Annotated[float | None, typer.Option(help="How long the program runs. Default: 1.")] = None,
    files: Annotated[int | None, typer.Option(help="Files that an item writes. Default: 1.")] = None,
    size: Annotated[
        int | None, typer.Option("--bytes", help="Total size of the files of an item. Default: 10,000.")
    ] = None,
    no_outputs: Annotated[bool, typer.Option("--no-outputs", help="Collect no files, which saves a call.")] = False,
    items_per_session: Annotated[
        int | None, typer.Option(help="Items that share a session. Default: a session for each item.")
    ] = None,
    item_bytes: Annotated[int | None, typer.Option(help="Size of an item as JSON. Default: 200.")] = None,
    timeout: Annotated[int | None, typer.Option(help="timeoutSeconds of the request.")] = None,
    vcpus: Annotated[float | None, typer.Option(help="Processors that the program uses. Default: 1.")] = None,
    memory_gb: Annotated[float | None, typer.Option(help="Peak memory of a session in GB. Default: 1.")] = None,
    measure: Annotated[
        Path | None,
        typer.Option(
            help="Run this Python program three times in the tenant's run-code workflow, and use its duration and "
            "files.",
            metavar="PROGRAM",
        ),
    ] = None,
    item: Annotated[
        Path | None, typer.Option(help="With --measure: the item.json of the program. Default: {}.", metavar="FILE")
    ] = None,
    concurrency: Annotated[
        int | None,
        typer.Option(help="Reserved concurrency of the session function. Default: the tenant's, or a suitable one."),
    ] = None,
    calls_per_second: Annotated[
        int | None, typer.Option(help="Quota of calls per second. Default: the environment's, or 30.")
    ] = None,
    live_sessions: Annotated[
        int | None, typer.Option(help="Quota of live sessions. Default: the environment's, or 1,000.")
    ] = None,
    regions: Annotated[int, typer.Option(help="Regions that share the batch.")] = 1,
    out: Annotated[
        Path | None, typer.Option(help="Write a chart: .svg, .png or .html.", metavar="FILE", dir_okay=False)
    ] = None,
    environment: Annotated[
        str | None,
        typer.Option(
            "--environment", "-e", help="Name or file of the environment whose quotas apply.", show_default=False
        ),
    ] = None,
    tenant: Annotated[str | None, TENANT] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the plan as JSON.")] = False,
) -> None:
    """Estimate how long a batch takes, what it costs, and which quota limits it. Simulates it and needs no AWS account.

    Only --measure calls AWS. Assumes that no other runs use the quotas.
    """
    with errors_as_messages():
        from sandpiper.capacity.limits import find_limits  # here, so that --help does not import the simulation
        from sandpiper.capacity.plan import plan
        from sandpiper.capacity.profile import checked, profile_of, read_profile
        from sandpiper.capacity.render import lines

        _require_chart(out)
        flags = checked(
            {
                "items": items,
                "seconds": seconds,
                "files": files,
                "bytes": size,
                "items_per_session": items_per_session,
                "item_bytes": item_bytes,
                "timeout": timeout,
                "vcpus": vcpus,
                "memory_gb": memory_gb,
                "concurrency": concurrency,
                "calls_per_second": calls_per_second,
                "live_sessions": live_sessions,
                "regions": regions,
            },
            lambda name: f"--{name.replace('_', '-')}",
        )
        if item is not None and measure is None:
            raise CliError("--item is used without --measure; allowed: both")
        of_file = read_profile(profile) if profile else {}
        given = find_limits(environment, tenant, calls_per_second, live_sessions, regions)
        measured = _measured(measure, item, environment, tenant) if measure else {}
        no_files = {"collect_files": False} if no_outputs else {}
        job = profile_of({**of_file, **measured, **flags, **no_files})
        with progress("simulating"):
            found = plan(items, job, given.limits, concurrency=concurrency or given.concurrency)
            if out is not None:
                _write_chart(found, out)
        if as_json:
            print(json.dumps(found.to_json(), indent=2))
        else:
            for line in lines(found):
                report.print(line, soft_wrap=True)
        for warning in found.warnings:
            notes.print(styled(("warning:", "bold yellow"), f" {warning}"), soft_wrap=True)
        if out is not None:
            print_note(f"chart saved to {out}")


def _require_chart(out: Path | None) -> None:
    """Raises CliError for a file that cannot be written, before anything else is done."""
    from sandpiper.capacity.chart_files import SUFFIXES

    if out is None:
        return
    if out.suffix not in SUFFIXES:
        raise CliError(f"--out is {str(out)!r}; allowed: a file with the suffix {' | '.join(SUFFIXES)}")
    if not out.parent.is_dir():
        raise CliError(f"--out is {str(out)!r}; allowed: a file in an existing folder; create {out.parent}")


def _write_chart(found: Any, out: Path) -> None:
    from sandpiper.capacity.charts import plan_chart, save  # here, because altair takes a second to import

    try:
        save(plan_chart(found), out)
    except OSError as error:
        raise CliError(f"{out}: {error.strerror}; allowed: a file that can be written") from None


def _measured(program: Path, item: Path | None, environment: str | None, tenant: str | None) -> dict[str, Any]:
    from sandpiper import deployment
    from sandpiper.capacity.trial import measure

    code, content = _text(program), "{}" if item is None else _text(item)
    try:
        json.loads(content)
    except ValueError as error:
        raise CliError(f"{item}: {error}; allowed: a JSON value") from None
    session, target = deployment.connect(environment, tenant)
    with progress("starting") as line:
        found = measure(session, target, code, content, line)
    print_note(f"measured: {found['seconds']:.3f} s, {found['files']} files with {found['bytes']:,} bytes")
    return found


def _text(file: Path) -> str:
    try:
        return file.read_bytes().decode()
    except OSError as error:
        raise CliError(f"{file}: {error.strerror}; allowed: a file that exists") from None
    except UnicodeDecodeError as error:
        raise CliError(f"{file}: is not UTF-8 at byte {error.start}; allowed: a text file") from None
