"""`sandpiper run`: run a program of this machine in a deployed sandbox, through the tenant's state machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from sandpiper.cli import batch_options
from sandpiper.cli.option_conflicts import require_no_options, require_one_source, require_options
from sandpiper.cli.options import ENVIRONMENT, OUT, OVERWRITE, TENANT
from sandpiper.cli.output import errors_as_messages
from sandpiper.cli.run_options import RunOptions, without_none
from sandpiper.errors import CliError
from sandpiper.program_files import language_of, read_program
from sandpiper_contract.files import DEFAULT_MAX_BYTES, DEFAULT_MAX_FILES, LINK_SECONDS, MAX_FILE_BYTES, MAX_FILES
from sandpiper_contract.requests import (
    COMMAND_TIMEOUT_SECONDS,
    LANGUAGES,
    RUNTIMES,
    SESSION_TIMEOUT_SECONDS,
    TIMEOUT_SECONDS,
)

S3 = "s3://"
SESSION_OPTIONS = (
    *(
        "session_file",
        "interpreter",
        "session_timeout",
        "out",
        "overwrite",
        "detach",
        "follow",
        "environment",
        "tenant",
    ),
    "as_json",
)
"""The options that can be used with `--session`."""
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

  sandpiper run claim.py --batch claims.jsonl --out out/claims

  sandpiper run claim.py --batch s3://BUCKET/tenants/TENANT/inputs/2026/ --item-input claim.pdf=s3Uri --detach

  sandpiper run --session nightly.yaml --out out/nightly
"""


def run(
    context: typer.Context,
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
    batch: Annotated[list[str] | None, batch_options.BATCH] = None,
    batch_format: Annotated[str | None, batch_options.FORMAT] = None,
    item_inputs: Annotated[list[str] | None, batch_options.ITEM_INPUT] = None,
    items_per_session: Annotated[int | None, batch_options.ITEMS_PER_SESSION] = None,
    tolerated_failures: Annotated[str | None, batch_options.TOLERATED_FAILURES] = None,
    max_concurrency: Annotated[int | None, batch_options.MAX_CONCURRENCY] = None,
    session_file: Annotated[
        Path | None,
        typer.Option(
            "--session",
            help="Run the steps of this YAML file in one session, with the workflow run-session.",
            metavar="FILE",
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
        require_one_source(
            {"FILE": file, "--command": command, "--session": session_file and str(session_file), "--show": show}
        )
        if show is not None and (detach or follow):
            raise CliError("--show excludes --detach and --follow; to follow a run, use `sandpiper runs show --follow`")
        if no_outputs and outputs:
            raise CliError(f"--no-outputs and --outputs {outputs[0]!r} exclude each other; allowed: one of them")
        options = RunOptions(
            environment=environment,
            tenant=tenant,
            interpreter=interpreter,
            out=out,
            overwrite=overwrite,
            detach=detach,
            follow=follow,
            as_json=as_json,
        )
        if session_file is not None:
            from sandpiper.cli.run_session import run_session  # here, so that --help does not import boto3

            require_options(context, SESSION_OPTIONS, "the file of --session has the options of its steps")
            raise typer.Exit(run_session(session_file, options, session_timeout))
        if batch is None:
            require_no_options(context, batch_options.DEPENDENT, "allowed: with --batch MANIFEST")
        elif file is None:
            raise CliError("FILE is missing, the program that runs for each item of --batch; allowed: FILE or -")

        from sandpiper import local_inputs
        from sandpiper.cli.run_program import run_program, show_run

        local, remote = local_inputs.parse_inputs(inputs or ())
        used_language = language or (language_of(file) if file else None)
        output_options = without_none(
            paths=[] if no_outputs else outputs, figures=figures or None, linkSeconds=link_seconds
        )
        request: dict[str, Any] = {
            **(_program(file, used_language or "") if file else {}),
            **without_none(
                command=command,
                language=used_language,
                runtime=runtime,
                interpreter=interpreter,
                timeoutSeconds=timeout,
                sessionTimeoutSeconds=session_timeout,
                inputs=remote or None,
                failOnError=fail_on_error or None,
            ),
            "outputs": {"maxFiles": max_files, "maxBytes": max_bytes, **output_options},
        }
        if batch is not None:
            from sandpiper.cli.run_batch import BatchOptions, run_batch

            chosen = BatchOptions(
                _only(batch), batch_format, item_inputs or [], items_per_session, tolerated_failures, max_concurrency
            )
            exit_code = run_batch(chosen, request, local, options)
        elif show is not None:
            exit_code = show_run(show, options)
        else:
            exit_code = run_program(request, local, options)
    raise typer.Exit(exit_code)


def _only(manifests: list[str]) -> str:
    if len(manifests) > 1:
        raise CliError(
            f"--batch is given {len(manifests)} times, as {' and '.join(manifests)}; allowed: one file, S3 object or "
            "S3 folder. Put the items of several files into one"
        )
    return manifests[0]


def _program(file: str, language: str) -> dict[str, str]:
    return {"codeS3Uri": file} if file.startswith(S3) else {"code": read_program(file, language)}
