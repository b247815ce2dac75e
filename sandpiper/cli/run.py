"""`sandpiper run`: a program on this machine, run in a deployed sandbox through its state machine."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from sandpiper.cli.options import ENVIRONMENT
from sandpiper.cli.output import failures_as_messages, notes, print_files, print_skipped, print_stream
from sandpiper.errors import CliError, NoResultError
from sandpiper_contract.files import DEFAULT_MAX_BYTES, DEFAULT_MAX_FILES, LINK_SECONDS, MAX_FILE_BYTES, MAX_FILES
from sandpiper_contract.requests import LANGUAGES, RUNTIMES, SESSION_TIMEOUT_SECONDS

SUFFIXES = {".py": "python", ".js": "javascript", ".mjs": "javascript", ".ts": "typescript"}
"""The language by the suffix of a file's name."""
STANDARD_INPUT = "-"
S3 = "s3://"
FLAGS = {
    "language": "--language",
    "runtime": "--runtime",
    "interpreter": "--interpreter",
    "sessionTimeoutSeconds": "--session-timeout",
    "inputs": "--input",
    "outputs.paths": "--outputs",
    "outputs.figures": "--figures",
    "outputs.maxFiles": "--max-files",
    "outputs.maxBytes": "--max-bytes",
    "outputs.linkSeconds": "--link-seconds",
    "codeS3Uri": "FILE",
}
"""What people type for a field of the request."""
_QUOTED_OR_FIELD = re.compile(rf"'[^']*'|(?<![\w./-])({'|'.join(map(re.escape, FLAGS))})\b(?!/)(?:\[\d+])?(?:\.\w+)?")
EXAMPLES = """
[bold]Examples[/]

  sandpiper run examples/bar_chart.py

  echo 'print(6 * 7)' | sandpiper run -

  sandpiper run report.py --input sales.csv --input raw/may.csv=2026-05.csv --out reports

  sandpiper run report.py --input s3://BUCKET/tenants/TENANT/inputs/2026/ --max-files 100

  sandpiper run chart.py --figures --no-outputs

  sandpiper run train.py --outputs 'models/**' --outputs '*.log' --session-timeout 3600

  sandpiper run tool.ts --runtime nodejs --interpreter sandbox

  sandpiper run examples/claims_total.py --json | jq .exitCode
"""


def run(
    file: Annotated[
        str,
        typer.Argument(
            help="The program; - reads it from standard input. In S3 it lies below the tenant's inputs.",
            metavar="FILE|-|s3://BUCKET/KEY",
        ),
    ],
    interpreter: Annotated[
        str | None, typer.Option(help="Key of one of the tenant's interpreters; its first unless given.")
    ] = None,
    language: Annotated[
        str | None, typer.Option(help=f"{' | '.join(LANGUAGES)}; by the file's suffix unless given.")
    ] = None,
    runtime: Annotated[
        str | None,
        typer.Option(
            help=f"What runs JavaScript and TypeScript: {' | '.join(RUNTIMES['typescript'])}, which is first."
        ),
    ] = None,
    inputs: Annotated[
        list[str] | None,
        typer.Option(
            "--input",
            help="What lies beside the program, at PATH or by its own name: a file, or what lies in S3 below the "
            "tenant's inputs, an object or a folder that ends with /. May be repeated.",
            metavar="[PATH=]SOURCE",
        ),
    ] = None,
    outputs: Annotated[
        list[str] | None,
        typer.Option(
            help="Name or glob of files to bring back, changed or not; whatever is new or changed unless given. "
            "May be repeated.",
            metavar="GLOB",
        ),
    ] = None,
    no_outputs: Annotated[bool, typer.Option("--no-outputs", help="Bring no files back, but for --figures.")] = False,
    figures: Annotated[
        bool, typer.Option("--figures", help="Keep matplotlib figures, open or shown, as figure-1.png, …")
    ] = False,
    max_files: Annotated[
        int, typer.Option(help=f"How many files come back at most: 0 to {MAX_FILES:,}.")
    ] = DEFAULT_MAX_FILES,
    max_bytes: Annotated[
        int, typer.Option(help=f"How many bytes they have in all at most: 0 to {MAX_FILE_BYTES:,}.")
    ] = DEFAULT_MAX_BYTES,
    link_seconds: Annotated[
        int | None,
        typer.Option(
            help="Print a link to each file that anybody may download it by, for so long: "
            f"{LINK_SECONDS[0]:,} to {LINK_SECONDS[1]:,}."
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for the files that come back.", metavar="DIR")] = Path("out"),
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Write over files in it; unless given, what is there stays.")
    ] = False,
    session_timeout: Annotated[
        int | None,
        typer.Option(
            help=f"Lifetime of the session in seconds, {SESSION_TIMEOUT_SECONDS[0]:,} to "
            f"{SESSION_TIMEOUT_SECONDS[1]:,}; the interpreter's own unless given.",
        ),
    ] = None,
    environment: Annotated[str | None, ENVIRONMENT] = None,
    tenant: Annotated[
        str | None, typer.Option(envvar="SANDPIPER_TENANT", help="Which tenant of it; its only one unless given.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the whole result as JSON.")] = False,
) -> None:
    """Run a program in a sandbox and bring back what it printed and left.

    Ends with the program's exit code, or with 2 when there is no result or a file could not be saved.
    """
    with failures_as_messages():
        from sandpiper import deployment, local_inputs, workflow  # here, so that --help does not pay for boto3

        if no_outputs and outputs:
            raise CliError(f"--no-outputs is given, and --outputs is {outputs[0]!r}; allowed: one of them")
        local, remote = local_inputs.parse(inputs or ())
        chosen = {"paths": [] if no_outputs else outputs, "figures": figures or None, "linkSeconds": link_seconds}
        request: dict[str, Any] = {
            **_program(file),
            **_given(
                language=language or _language(file),
                runtime=runtime,
                interpreter=interpreter,
                sessionTimeoutSeconds=session_timeout,
                inputs=remote or None,
            ),
            "outputs": {"maxFiles": max_files, "maxBytes": max_bytes, **_given(**chosen)},
        }
        where = environment or "local"
        session = deployment.session_for(where)
        deployment.require_intended_endpoint(session, where)
        with notes.status("starting") as status:
            place = deployment.find(session, where, tenant or deployment.only_tenant(where))
            notes.print(f"account {place.account} at {place.endpoint}", soft_wrap=True)
            if interpreter is not None and interpreter not in place.interpreters:
                raise CliError(f"--interpreter is {interpreter!r}; allowed: {' | '.join(place.interpreters)}")
            try:
                finished = workflow.run(session, place, request, local, out, status.update, overwrite=overwrite)
            except NoResultError as failed:
                raise CliError(in_flags(str(failed))) from None
        if as_json:
            print(json.dumps(finished.result, indent=2))
        else:
            print_stream(sys.stdout, finished.result["stdout"])
            print_stream(sys.stderr, finished.result["stderr"])
            print_files(notes, finished.files)
            print_skipped(notes, finished.result)
        if finished.problems:
            raise CliError("\n".join(finished.problems))
    raise typer.Exit(finished.exit_code)


def in_flags(failure: str) -> str:
    """What is wrong with a request in the words of the command line; values, which stand in quotes, as they are."""
    said = failure.removeprefix("InvalidRequest: ")
    return _QUOTED_OR_FIELD.sub(lambda found: FLAGS[found[1]] if found[1] else found[0], said)


def _given(**fields: object) -> dict[str, object]:
    return {name: value for name, value in fields.items() if value is not None}


def _language(file: str) -> str:
    """The language of a program by its file's name; Python's when it comes from standard input."""
    language = SUFFIXES.get(Path(file).suffix.lower()) if file != STANDARD_INPUT else SUFFIXES[".py"]
    if language is None:
        suffixes = " | ".join(SUFFIXES)
        raise CliError(
            f"{file}: its suffix tells no language; allowed: {suffixes}, or --language {' | '.join(LANGUAGES)}"
        )
    return language


def _program(file: str) -> dict[str, str]:
    if file.startswith(S3):
        return {"codeS3Uri": file}
    name = "standard input" if file == STANDARD_INPUT else file
    try:
        # Bytes, since the text of standard input keeps a byte order mark, which Python takes for a wrong character.
        data = sys.stdin.buffer.read() if file == STANDARD_INPUT else Path(file).read_bytes()
        code = data.decode("utf-8-sig")
    except OSError as error:
        raise CliError(f"{name}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise CliError(f"{name}: not UTF-8 at byte {error.start}; allowed: a program in UTF-8") from None
    if not code.strip():
        raise CliError(f"{name}: nothing but white space; allowed: a program")
    return {"code": code}
