"""`sandpiper review`: review who may run code and what the code can reach."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from sandpiper.cli.exit_codes import ERROR, FINDINGS
from sandpiper.cli.lines import print_lines
from sandpiper.cli.output import errors_as_messages, print_note, progress, write_text
from sandpiper.errors import CliError

EXAMPLES = """
[bold]Examples[/]

  sandpiper review prod

  sandpiper review cdk.out --format md --out out/review.md

  sandpiper review template.yaml --fail-on medium

  sandpiper review prod --format html --out review.html

  sandpiper review prod --approve --by "Ada Lovelace"

  sandpiper review prod --baseline environments/prod.review.json

  sandpiper review -e prod --deployed

  sandpiper review prod --format json | jq '.findings[] | select(.severity == "high") | .message'
"""


class FailOn(StrEnum):
    """The severity of an open finding that fails the command."""

    high = "high"
    medium = "medium"
    low = "low"
    never = "never"


class Format(StrEnum):
    """The formats of a review."""

    console = "console"
    html = "html"
    md = "md"
    sarif = "sarif"
    csv = "csv"
    json = "json"


def review(
    targets: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[ENVIRONMENT|ASSEMBLY|TEMPLATE]...",
            help="Environments (name or file), folders of cloud assemblies, or CloudFormation templates (JSON or "
            "YAML). Default: local.",
            envvar="SANDPIPER_ENVIRONMENT",
            show_default=False,
        ),
    ] = None,
    environment: Annotated[
        str | None, typer.Option("--environment", "-e", help="Name or file of the environment, as the only target.")
    ] = None,
    deployed: Annotated[
        bool,
        typer.Option("--deployed", help="Review the environment as it is in its account, and its drift. Needs a role."),
    ] = False,
    format_: Annotated[Format, typer.Option("--format", help="Format of the report.")] = Format.console,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write the report to a file instead of stdout.")
    ] = None,
    fail_on: Annotated[
        FailOn, typer.Option(help="Exit with 2 when an open finding is at least this severe.")
    ] = FailOn.high,
    baseline: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Exit with 2 when something is allowed that this approval does not contain."),
    ] = None,
    approve: Annotated[
        bool,
        typer.Option(
            "--approve",
            help="Approve all grants: write them to --baseline, or to NAME.review.json next to the environment file.",
        ),
    ] = False,
    by: Annotated[str, typer.Option(metavar="NAME", help="Name of the person or team that approves.")] = "",
) -> None:
    """Review templates: who may run code, what the code can reach, and paths of privilege escalation.

    Needs no network and no credentials except with --deployed, and changes nothing in AWS. Exits with 0, with 2 when a
    finding is at least as severe as --fail-on and not accepted or when --baseline does not contain a grant, and with 1
    on an error.
    """
    with errors_as_messages(ERROR):
        from sandpiper.cli.review_approval import approval_file, write_approval  # here, so that --help stays fast
        from sandpiper.review.baseline.compare import compare
        from sandpiper.review.baseline.file import read_baseline
        from sandpiper.review.console import change_lines, console_lines
        from sandpiper.review.findings import Severity
        from sandpiper.review.formats import FORMATS
        from sandpiper.review.report import Report, git_commit
        from sandpiper.review.targets import named_targets, review_account, review_named, source_of

        names = named_targets(targets, environment, deployed=deployed)
        if by and not approve:
            raise CliError("--by is only for --approve; add --approve, or leave out --by")
        approved_file = approval_file(names, baseline, by) if approve else None
        approved = None if baseline is None or approve else read_baseline(baseline)
        with progress("reading templates") as show:
            review_all = review_account if deployed else review_named
            found = review_all(names, lambda line: show(line[:100]))
        changes = None if approved is None else compare(found.model, approved)
        if format_ is Format.console and out is None:
            print_lines(console_lines(found))
        else:
            report = Report(found, source_of(names), git_commit(_folder_of(names[0])), changes)
            text = FORMATS["md" if format_ is Format.console else format_.value](report)
            if out is None:
                print(text, end="")
            else:
                write_text(out, text)
                print_note(f"written to {out}")
        if changes is not None and (format_ is Format.console or out is not None):
            print_lines(change_lines(changes))
        failing = None if fail_on is FailOn.never else Severity[fail_on.name.upper()]
        fails = found.fails_at(failing) or (changes is not None and not changes.are_approved)
        if approved_file is not None and not fails:
            write_approval(approved_file, found, by)
        elif approved_file is not None:
            print_note(f"not approved: a finding is {fail_on.value} or worse; correct it, accept it, or set --fail-on")
    raise typer.Exit(FINDINGS if fails else 0)


def _folder_of(target: str) -> Path:
    """Returns the folder whose git repository has the target; that of an environment's name is the current one."""
    path = Path(target)
    return path if path.is_dir() else path.parent
