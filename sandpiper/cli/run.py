"""`sandpiper run`: run a program of this machine in a deployed sandbox, through the tenant's state machine."""

from __future__ import annotations

import json
import re
import sys
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from sandpiper.cli.options import ENVIRONMENT, OUT, OVERWRITE, TENANT
from sandpiper.cli.output import (
    errors_as_messages,
    notes,
    print_files,
    print_note,
    print_skipped,
    print_stream,
    progress,
)
from sandpiper.cli.runs.reconnection import interrupted, reconnection
from sandpiper.errors import CliError, InvalidOptionsError, NoResultError
from sandpiper_contract.errors import InvalidRequest
from sandpiper_contract.files import DEFAULT_MAX_BYTES, DEFAULT_MAX_FILES, LINK_SECONDS, MAX_FILE_BYTES, MAX_FILES
from sandpiper_contract.program_source import decode_program
from sandpiper_contract.requests import (
    COMMAND_TIMEOUT_SECONDS,
    LANGUAGES,
    RUNTIMES,
    SESSION_TIMEOUT_SECONDS,
    TIMEOUT_SECONDS,
)

SUFFIXES = {".py": "python", ".js": "javascript", ".mjs": "javascript", ".ts": "typescript"}
"""Languages by the suffix of the file."""
STANDARD_INPUT = "-"
S3 = "s3://"
FLAGS = {
    "language": "--language",
    "runtime": "--runtime",
    "interpreter": "--interpreter",
    "timeoutSeconds": "--timeout",
    "sessionTimeoutSeconds": "--session-timeout",
    "inputs": "--input",
    "outputs.paths": "--outputs",
    "outputs.figures": "--figures",
    "outputs.maxFiles": "--max-files",
    "outputs.maxBytes": "--max-bytes",
    "outputs.linkSeconds": "--link-seconds",
    "codeS3Uri": "FILE",
    "failOnError": "--fail-on-error",
}
"""The flag for each field of the request."""
_QUOTED_OR_FIELD = re.compile(rf"'[^']*'|(?<![\w./-])({'|'.join(map(re.escape, FLAGS))})\b(?!/)(?:\[\d+])?(?:\.\w+)?")
_LOCATION = re.compile(rf"([A-Z]\w+: )?({'|'.join(map(re.escape, FLAGS))})(?:\[\d+])?(?:\.\w+)?(?= is | s3://|:)")
"""The name of an error, and the field that its message begins with."""
EXAMPLES = """
[bold]Examples[/]

  sandpiper run examples/bar_chart.py

  echo 'print(6 * 7)' | sandpiper run -

  sandpiper run report.py --input sales.csv --input raw/may.csv=2026-05.csv --out reports

  sandpiper run report.py --input s3://BUCKET/tenants/TENANT/inputs/2026/ --max-files 100

  sandpiper run chart.py --figures --no-outputs

  sandpiper run train.py --outputs 'models/**' --outputs '*.log' --timeout 600 --session-timeout 3600

  sandpiper run tool.ts --runtime nodejs --interpreter sandbox

  sandpiper run examples/claims_total.py --json | jq .exitCode

  sandpiper run train.py --timeout 800 --detach

  sandpiper run --command 'pip list; python -m pytest' --input tests --timeout 7200 --follow
"""


def run(
    file: Annotated[
        str | None,
        typer.Argument(
            help="Program to run; - reads it from standard input. An S3 object must be below the tenant's inputs.",
            metavar="FILE|-|s3://BUCKET/KEY",
            show_default=False,
        ),
    ] = None,
    command: Annotated[
        str | None,
        typer.Option(
            help="Run this shell command instead of FILE, for up to eight hours, with the workflow run-command."
        ),
    ] = None,
    interpreter: Annotated[
        str | None, typer.Option(help="Key of the interpreter. Default: the tenant's first interpreter.")
    ] = None,
    language: Annotated[
        str | None, typer.Option(help=f"{' | '.join(LANGUAGES)}. Default: by the suffix of the file.")
    ] = None,
    runtime: Annotated[
        str | None,
        typer.Option(
            help=f"Runtime for JavaScript and TypeScript: {' | '.join(RUNTIMES['typescript'])}. Default: the first."
        ),
    ] = None,
    inputs: Annotated[
        list[str] | None,
        typer.Option(
            "--input",
            help="Input at PATH in the sandbox, by default its name: a local file or folder, or an S3 object or folder "
            "(ending with /) below the tenant's inputs. Repeatable.",
            metavar="[PATH=]SOURCE",
        ),
    ] = None,
    outputs: Annotated[
        list[str] | None,
        typer.Option(
            help="Name or glob of files to download, changed or not. Default: new and changed files. Repeatable.",
            metavar="GLOB",
        ),
    ] = None,
    no_outputs: Annotated[
        bool, typer.Option("--no-outputs", help="Download no files except those of --figures.")
    ] = False,
    figures: Annotated[
        bool, typer.Option("--figures", help="Save open and shown matplotlib figures as figure-1.png, figure-2.png, …")
    ] = False,
    max_files: Annotated[
        int, typer.Option(help=f"Maximum number of downloaded files: 0 to {MAX_FILES:,}.")
    ] = DEFAULT_MAX_FILES,
    max_bytes: Annotated[
        int, typer.Option(help=f"Maximum total size in bytes: 0 to {MAX_FILE_BYTES:,}.")
    ] = DEFAULT_MAX_BYTES,
    link_seconds: Annotated[
        int | None,
        typer.Option(
            help="Print a download link for each file. Anyone can use it for this number of seconds: "
            f"{LINK_SECONDS[0]:,} to {LINK_SECONDS[1]:,}."
        ),
    ] = None,
    out: Annotated[Path, OUT] = Path("out"),
    overwrite: Annotated[bool, OVERWRITE] = False,
    show: Annotated[
        str | None,
        typer.Option(
            "--show", help="Show the result of an earlier run and download its files, without FILE.", metavar="ARN"
        ),
    ] = None,
    detach: Annotated[
        bool,
        typer.Option(
            "--detach",
            help="Start the program, print the ARN of the execution and exit. Also after Ctrl-C "
            "with --follow, the execution continues.",
        ),
    ] = False,
    follow: Annotated[bool, typer.Option("--follow", help="Print the states and failed attempts of the run.")] = False,
    fail_on_error: Annotated[
        bool,
        typer.Option("--fail-on-error", help="Fail the execution, too, if the program's exit code is not 0."),
    ] = False,
    timeout: Annotated[
        int | None,
        typer.Option(
            help=f"Maximum time that the program may run, {TIMEOUT_SECONDS[0]} to {TIMEOUT_SECONDS[1]} seconds, or to "
            f"{COMMAND_TIMEOUT_SECONDS[1]:,} with --command. After it, its output and files so far are returned. "
            "Default: until 20 s before the session's lifetime ends.",
        ),
    ] = None,
    session_timeout: Annotated[
        int | None,
        typer.Option(
            help=f"Lifetime of the session in seconds, {SESSION_TIMEOUT_SECONDS[0]:,} to "
            f"{SESSION_TIMEOUT_SECONDS[1]:,}. Default: that of the interpreter.",
        ),
    ] = None,
    environment: Annotated[str | None, ENVIRONMENT] = None,
    tenant: Annotated[str | None, TENANT] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the complete result as JSON.")] = False,
) -> None:
    """Run a program in a sandbox, print its output and download its files.

    Exits with the program's exit code, 124 if it timed out, or 2 if there is no result or a file could not be saved.
    With --detach, exits with 0 when the program is started.
    """
    with errors_as_messages():
        from sandpiper import deployment, local_inputs, workflow  # here, so that --help does not import boto3

        given = [
            name for name, value in (("FILE", file), ("--command", command), ("--show", show)) if value is not None
        ]
        if len(given) != 1:
            raise CliError(
                f"{' and '.join(given)} exclude each other; allowed: one of them"
                if given
                else "FILE is missing; allowed: a program's file, - for standard input, s3://BUCKET/KEY, --command CMD "
                "or --show ARN"
            )
        if show is not None and (detach or follow):
            raise CliError("--show excludes --detach and --follow; to follow a run, use `sandpiper runs show --follow`")
        if no_outputs and outputs:
            raise CliError(f"--no-outputs and --outputs {outputs[0]!r} exclude each other; allowed: one of them")
        local, remote = local_inputs.parse_inputs(inputs or ())
        output_options = {
            "paths": [] if no_outputs else outputs,
            "figures": figures or None,
            "linkSeconds": link_seconds,
        }
        used_language = language or (_language(file) if file else None)
        request: dict[str, Any] = {
            **(_program(file, used_language or "") if file else {}),
            **_without_none(
                command=command,
                language=used_language,
                runtime=runtime,
                interpreter=interpreter,
                timeoutSeconds=timeout,
                sessionTimeoutSeconds=session_timeout,
                inputs=remote or None,
                failOnError=fail_on_error or None,
            ),
            "outputs": {"maxFiles": max_files, "maxBytes": max_bytes, **_without_none(**output_options)},
        }
        name = environment or "local"
        session = deployment.session_for(name)
        deployment.require_intended_endpoint(session, name)

        def print_execution(execution: str) -> None:
            print_note(f"execution {execution}")

        with progress("starting") as line:
            try:
                if show is not None:
                    finished = workflow.show(session, show, out, line, overwrite=overwrite)
                    print_execution(show)
                else:
                    target = deployment.find(session, name, tenant or deployment.only_tenant(name))
                    notes.print(f"account {target.account} at {target.endpoint}", soft_wrap=True)
                    if interpreter is not None and interpreter not in target.interpreters:
                        raise CliError(f"--interpreter is {interpreter!r}; allowed: {' | '.join(target.interpreters)}")
                    if detach and not follow:
                        started = workflow.start(session, target, request, local, line)
                        print(json.dumps({"arn": started}, indent=2) if as_json else started)
                        print_note(reconnection(started, environment, tenant))
                        return
                    finished = workflow.run(
                        session,
                        target,
                        request,
                        local,
                        out,
                        line,
                        overwrite=overwrite,
                        on_started=print_execution,
                        on_event=print_note if follow else None,
                        on_interrupt=partial(interrupted, environment=environment, tenant=tenant) if detach else None,
                    )
            except InvalidOptionsError as invalid:
                raise CliError(in_flags(str(invalid))) from None
            except NoResultError as failed:
                raise CliError(location_as_flag(str(failed))) from None
        if as_json:
            print(json.dumps(finished.result, indent=2))
        else:
            print_stream(sys.stdout, finished.result["stdout"])
            print_stream(sys.stderr, finished.result["stderr"])
            print_files(notes, finished.files)
            print_skipped(notes, finished.result)
            if finished.result.get("timedOut"):
                notes.print("timed out; these are the output and files so far")
        if finished.problems:
            raise CliError("\n".join(finished.problems))
    raise typer.Exit(finished.exit_code)


def location_as_flag(failure: str) -> str:
    """Returns the message of a failed run with a flag in place of the field that it begins with.

    The rest is the message of the session function or of the service, and is not changed.
    """
    found = _LOCATION.match(failure)
    message = f"{found[1] or ''}{FLAGS[found[2]]}{failure[found.end() :]}" if found else failure
    return message.removeprefix("InvalidRequest: ")


def in_flags(message: str) -> str:
    """Returns the message of an invalid request with flags in place of fields. Quoted values are kept."""
    return _QUOTED_OR_FIELD.sub(lambda found: FLAGS[found[1]] if found[1] else found[0], message)


def _without_none(**fields: object) -> dict[str, object]:
    return {name: value for name, value in fields.items() if value is not None}


def _language(file: str) -> str:
    """Returns the language by the suffix of the file; Python for standard input."""
    if Path(file).is_dir():
        raise CliError(f"{file}: is a folder; allowed: a program's file. To send a folder of files, use --input")
    language = SUFFIXES.get(Path(file).suffix.lower()) if file != STANDARD_INPUT else SUFFIXES[".py"]
    if language is None:
        suffixes = " | ".join(SUFFIXES)
        raise CliError(f"{file}: the language is unknown; allowed: {suffixes}, or --language {' | '.join(LANGUAGES)}")
    return language


def _program(file: str, language: str) -> dict[str, str]:
    if file.startswith(S3):
        return {"codeS3Uri": file}
    name = "standard input" if file == STANDARD_INPUT else file
    try:
        data = sys.stdin.buffer.read() if file == STANDARD_INPUT else Path(file).read_bytes()
        code = decode_program(name, data, language)
    except OSError as error:
        raise CliError(f"{name}: {error.strerror}") from None
    except InvalidRequest as error:
        raise CliError(str(error)) from None
    if not code.strip():
        raise CliError(f"{name}: the program is empty; allowed: a program")
    return {"code": code}
