"""Options that several commands share."""

from __future__ import annotations

from typing import Any

import typer

ENVIRONMENT: Any = typer.Option(
    "--environment",
    "-e",
    envvar="SANDPIPER_ENVIRONMENT",
    help="Name or file of the environment. Default: local.",
    show_default=False,
)
