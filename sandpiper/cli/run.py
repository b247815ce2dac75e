"""`sandpiper run`: a program on this machine, run in a deployed sandbox through its state machine."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from sandpiper.cli.output import failures_as_messages, notes, print_files, print_skipped, print_stream
from sandpiper.failure import Failure
from sandpiper_contract.files import DEFAULT_MAX_BYTES, DEFAULT_MAX_FILES

LANGUAGES = {".py": "python", ".js": "javascript", ".mjs": "javascript", ".ts": "typescript"}
"""By the suffix of a file's name."""
EXAMPLES = """
[bold]Examples[/]

  sandpiper run examples/bar_chart.py

  echo 'print(6 * 7)' | sandpiper run -

  sandpiper run report.py --input sales.csv --out reports --interpreter sandbox

  sandpiper run examples/claims_total.py --json | jq .exitCode
"""


def run(
    file: Annotated[str, typer.Argument(help="The program; - reads it from standard input.", metavar="FILE|-")],
    interpreter: Annotated[
        str | None, typer.Option(help="Key of one of the tenant's interpreters; its first unless given.")
    ] = None,
    language: Annotated[
        str | None, typer.Option(help="python, javascript or typescript; by the file's suffix unless given.")
    ] = None,
    inputs: Annotated[
        list[Path] | None,
        typer.Option("--input", help="A file to lie beside the code; may be repeated.", metavar="PATH"),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for the files that the program leaves.", metavar="DIR")] = Path(
        "out"
    ),
    max_files: Annotated[int, typer.Option(help="How many files come back at most.")] = DEFAULT_MAX_FILES,
    max_bytes: Annotated[int, typer.Option(help="How many bytes they have in all at most.")] = DEFAULT_MAX_BYTES,
    session_timeout: Annotated[int, typer.Option(help="Lifetime of the session in seconds, 60 to 28800.")] = 300,
    environment: Annotated[str, typer.Option(envvar="SANDPIPER_ENVIRONMENT", help="Which environment.")] = "local",
    tenant: Annotated[str, typer.Option(envvar="SANDPIPER_TENANT", help="Which tenant of it.")] = "demo",
    as_json: Annotated[bool, typer.Option("--json", help="Print the whole result as JSON.")] = False,
) -> None:
    """Run a program in a sandbox and bring back what it printed and left.

    Ends with the program's exit code, or with 2 when there is no result or a file could not be saved.
    """
    with failures_as_messages():
        from sandpiper import deployment, workflow  # here, so that --help does not pay for boto3

        request: dict[str, object] = {
            "code": _read(file),
            "language": language or _language(file),
            "sessionTimeoutSeconds": session_timeout,
            "outputs": {"maxFiles": max_files, "maxBytes": max_bytes},
            **({} if interpreter is None else {"interpreter": interpreter}),
        }
        session = deployment.session_for(environment)
        deployment.require_meant(session, environment)
        with notes.status("starting") as status:
            place = deployment.find(session, environment, tenant)
            notes.print(f"account {place.account} at {place.endpoint}", soft_wrap=True)
            finished = workflow.run(
                session, place, request, inputs or [], out, lambda seconds: status.update(f"running, {seconds:.0f} s")
            )
        if as_json:
            print(json.dumps(finished.result, indent=2))
        else:
            print_stream(sys.stdout, finished.result["stdout"])
            print_stream(sys.stderr, finished.result["stderr"])
            print_files(notes, finished.files)
            print_skipped(notes, finished.result)
        if problems := [saved.problem for saved in finished.files if saved.problem]:
            raise Failure("\n".join(problems))
    raise typer.Exit(finished.exit_code)


def _language(file: str) -> str:
    """The language of a program by its file's name; Python's when it comes from standard input."""
    language = LANGUAGES.get(Path(file).suffix.lower()) if file != "-" else LANGUAGES[".py"]
    if language is None:
        suffixes, names = " | ".join(LANGUAGES), " | ".join(dict.fromkeys(LANGUAGES.values()))
        raise Failure(f"{file}: its suffix tells no language; allowed: {suffixes}, or --language {names}")
    return language


def _read(file: str) -> str:
    try:
        return sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise Failure(f"{file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise Failure(f"{file}: not a text file in UTF-8") from None
