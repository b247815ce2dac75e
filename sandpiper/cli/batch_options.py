"""The options of `sandpiper run` for a batch."""

from __future__ import annotations

from typing import Any

import typer

from sandpiper_contract.batches import ITEM_FORMATS, MAX_ITEMS_PER_SESSION

PANEL = "Batch"
"""The group of the options in the help."""
DEPENDENT = ("batch_format", "item_inputs", "items_per_session", "tolerated_failures", "max_concurrency")
"""The options that can be used only with `--batch`."""

BATCH: Any = typer.Option(
    help="Run FILE once for each item, which it reads from item.json, with the workflow run-batch: a local file, or an "
    "S3 object or folder (ending with /) below the tenant's inputs.",
    metavar="MANIFEST",
    rich_help_panel=PANEL,
)
FORMAT: Any = typer.Option(
    help=f"{' | '.join(ITEM_FORMATS)}. Default: by the suffix of MANIFEST.", rich_help_panel=PANEL
)
ITEM_INPUT: Any = typer.Option(
    "--item-input",
    help="Input at PATH in the sandbox that differs for each item: the S3 object whose URI is in FIELD of the item. "
    "Repeatable.",
    metavar="PATH=FIELD",
    rich_help_panel=PANEL,
)
ITEMS_PER_SESSION: Any = typer.Option(
    help=f"Run this many items one after another in one session: 1 to {MAX_ITEMS_PER_SESSION:,}. Default: a session "
    "for each item.",
    rich_help_panel=PANEL,
)
TOLERATED_FAILURES: Any = typer.Option(
    help="How many items may fail, as a number or a percentage such as 5%. Default: all, but then the command exits "
    "with 1 if an item failed.",
    metavar="N|N%",
    rich_help_panel=PANEL,
)
MAX_CONCURRENCY: Any = typer.Option(
    help="Maximum number of sessions at a time. Default: the tenant's maximum.", rich_help_panel=PANEL
)
