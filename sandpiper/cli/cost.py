"""`sandpiper cost`: show what the runs of an environment cost."""

from __future__ import annotations

import csv
import json
import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from sandpiper.cli.options import ENVIRONMENT
from sandpiper.cli.output import MAX_TABLE_WIDTH, PlainConsole, errors_as_messages, notes, progress, report
from sandpiper.errors import CliError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sandpiper.costs.reading import CostLine

EXAMPLES = """
[bold]Examples[/]

  sandpiper cost -e prod

  sandpiper cost -e prod --by workflow --days 1

  sandpiper cost -e prod --by interpreter --csv > costs.csv

  sandpiper cost -e prod --json | jq .totalUsd
"""
NONE = "-"


class By(StrEnum):
    """What the costs are listed by."""

    TENANT = "tenant"
    INTERPRETER = "interpreter"
    WORKFLOW = "workflow"


def cost(
    environment: Annotated[str | None, ENVIRONMENT] = None,
    by: Annotated[By, typer.Option(help="What the costs are listed by.")] = By.TENANT,
    days: Annotated[int, typer.Option(help="Number of days until now, 1 to 14.")] = 7,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print the costs as CSV.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the costs as JSON.")] = False,
) -> None:
    """Show what runs cost, as an estimate, and what AgentCore measured, which is published up to an hour late."""
    with errors_as_messages():
        from sandpiper import deployment  # here, so that --help does not import boto3
        from sandpiper.costs.reading import MAX_DAYS, read_costs

        if not 1 <= days <= MAX_DAYS:
            raise CliError(f"--days is {days}; allowed: 1 to {MAX_DAYS}")
        if as_csv and as_json:
            raise CliError("--csv and --json are set; allowed: one of them")
        name = environment or "local"
        session = deployment.session_for(name)
        deployment.require_intended_endpoint(session, name)
        with progress(f"reading the costs of {name}"):
            prices = deployment.prices_of(name)
            lines = read_costs(session, deployment.environment_file(name).stem, by.value, days, prices)
        if as_json:
            values = [_values(line) for line in lines]
            total = round(sum(line.estimated_usd for line in lines), 6)
            print(json.dumps({"by": by.value, "days": days, "totalUsd": total, "costs": values}, indent=2))
            return
        if as_csv:
            _print_csv(lines)
        elif lines:
            _print(lines, by)
        if not lines:
            notes.print(f"no data: no run of {name} has published its cost in the last {days} days", soft_wrap=True)


def _values(line: CostLine) -> dict[str, str | float | None]:
    difference, measured = line.difference_usd, line.measured_session_usd
    return {
        "tenant": line.tenant,
        "name": line.name,
        "estimatedUsd": round(line.estimated_usd, 6),
        "estimatedSessionUsd": round(line.estimated_session_usd, 6),
        "measuredSessionUsd": None if measured is None else round(measured, 6),
        "differenceUsd": None if difference is None else round(difference, 6),
    }


def _print_csv(lines: Sequence[CostLine]) -> None:
    names = ("tenant", "name", "estimatedUsd", "estimatedSessionUsd", "measuredSessionUsd", "differenceUsd")
    writer: csv.DictWriter[str] = csv.DictWriter(sys.stdout, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(_values(line) for line in lines)


def _print(lines: Sequence[CostLine], by: By) -> None:
    table = Table(box=None, pad_edge=False, show_footer=True)
    measured = [line.measured_session_usd for line in lines if line.measured_session_usd is not None]
    differences = [line.difference_usd for line in lines if line.difference_usd is not None]
    table.add_column("tenant", footer="total")
    if by is not By.TENANT:
        table.add_column(by.value)
    for head, total in (
        ("estimate", sum(line.estimated_usd for line in lines)),
        ("of it AgentCore", sum(line.estimated_session_usd for line in lines)),
        ("AgentCore measured", sum(measured) if measured else None),
        ("difference", sum(differences) if differences else None),
    ):
        table.add_column(head, footer=_usd(total), justify="right")
    for line in lines:
        amounts = (line.estimated_usd, line.estimated_session_usd, line.measured_session_usd, line.difference_usd)
        table.add_row(line.tenant, *([] if by is By.TENANT else [line.name]), *map(_usd, amounts))
    PlainConsole(file=report.file, width=MAX_TABLE_WIDTH).print(table)
    notes.print("Estimates in US dollars; docs/costs.md states the formula.", soft_wrap=True)


def _usd(amount: float | None) -> str:
    return NONE if amount is None else f"{amount:,.6f}"
