"""`sandpiper runs`: the executions of a tenant's workflows. Each module is one command."""

from __future__ import annotations

import typer

from sandpiper.cli.runs import approval, files, listing, retry, show, stop

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="List, show, download, stop, repeat and approve runs.",
)
app.command("list", epilog=listing.EXAMPLES)(listing.list_runs)
app.command("show", epilog=show.EXAMPLES)(show.show)
app.command("files", epilog=files.EXAMPLES)(files.files)
app.command("stop", epilog=stop.EXAMPLES)(stop.stop)
app.command("retry", epilog=retry.EXAMPLES)(retry.retry)
app.command("approve", epilog=approval.APPROVE_EXAMPLES)(approval.approve)
app.command("reject", epilog=approval.REJECT_EXAMPLES)(approval.reject)
