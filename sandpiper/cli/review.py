"""`sandpiper review`: review who may run code and what the code can reach."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from enum import StrEnum
from pathlib import Path  # noqa: TC003 - Typer reads the annotation
from typing import Annotated

import typer

from sandpiper.cli.exit_codes import ERROR, FINDINGS
from sandpiper.cli.lines import print_lines
from sandpiper.cli.output import errors_as_messages, print_note, progress
from sandpiper.errors import CliError

EXAMPLES = """
[bold]Examples[/]

  sandpiper review prod

  sandpiper review cdk.out --format md --out out/review.md

  sandpiper review template.yaml --fail-on medium

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
    md = "md"
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
    format_: Annotated[Format, typer.Option("--format", help="Format of the report.")] = Format.console,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write the report to a file instead of stdout.")
    ] = None,
    fail_on: Annotated[
        FailOn, typer.Option(help="Exit with 2 when an open finding is at least this severe.")
    ] = FailOn.high,
) -> None:
    """Review templates: who may run code, what the code can reach, and ways to more permissions.

    Needs no network and no credentials, and changes nothing. Exits with 0, with 2 when a finding is at least as severe
    as --fail-on and not accepted, and with 1 on an error.
    """
    with errors_as_messages(ERROR):
        from sandpiper.review.console import console_lines  # here, so that --help stays fast
        from sandpiper.review.findings import Severity
        from sandpiper.review.formats import FORMATS
        from sandpiper.review.review import review as review_targets
        from sandpiper.review.targets import reviewable

        with ExitStack() as stack:
            show = stack.enter_context(progress("reading templates"))
            found_targets = [
                stack.enter_context(reviewable(target, lambda line: show(line[:100])))
                for target in targets or ["local"]
            ]
            found = review_targets(found_targets, lambda line: show(line[:100]), name=", ".join(targets or ["local"]))
        if format_ is Format.console and out is None:
            print_lines(console_lines(found))
        else:
            text = FORMATS["md" if format_ is Format.console else format_.value](found)
            if out is None:
                print(text, end="")
            else:
                _write(out, text)
                print_note(f"written to {out}")
        failing = None if fail_on is FailOn.never else Severity[fail_on.name.upper()]
    raise typer.Exit(FINDINGS if found.fails_at(failing) else 0)


def _write(file: Path, text: str) -> None:
    """Replaces a file when its new content is complete, and creates its folder. Raises CliError if that fails."""
    part = file.with_name(f".{file.name}.part")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(text, encoding="utf-8")
        part.replace(file)
    except OSError as error:
        with suppress(OSError):
            part.unlink()
        raise CliError(f"{file} cannot be written ({error.strerror}); name a file that can be written") from None
