"""The argument that the commands for one run share."""

from __future__ import annotations

from typing import Any

import typer

EXECUTION: Any = typer.Argument(
    help="ARN or name of an execution of the tenant's workflows.", metavar="ARN|NAME", show_default=False
)
