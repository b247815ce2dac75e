"""Options that several commands have, each said once."""

from __future__ import annotations

from typing import Any

import typer

ENVIRONMENT: Any = typer.Option(
    "--environment",
    "-e",
    envvar="SANDPIPER_ENVIRONMENT",
    help="Which environment, by its name or its file; local unless given.",
)
