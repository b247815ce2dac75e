"""The argument that the commands for one run share."""

from __future__ import annotations

from typing import Any

import typer

EXECUTION: Any = typer.Argument(
    help="ARN of an execution, which needs neither --environment nor --tenant, or the name of one of the tenant.",
    metavar="ARN|NAME",
    show_default=False,
)
