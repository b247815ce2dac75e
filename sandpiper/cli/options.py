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
TENANT: Any = typer.Option(
    envvar="SANDPIPER_TENANT", help="Tenant. Default: the environment's only tenant.", show_default=False
)
OUT: Any = typer.Option(help="Folder for downloaded files.", metavar="DIR")
OVERWRITE: Any = typer.Option(
    "--overwrite", help="Replace existing files in the folder that no earlier run has saved, too."
)
