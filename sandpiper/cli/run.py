"""`sandpiper run`: run a program of this machine in a deployed sandbox, through the tenant's state machine."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sandpiper.cli import batch_options
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
from sandpiper.cli.run_options import RunOptions, fields_as_flags, print_execution, without_none
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

if TYPE_CHECKING:
    from collections.abc import Collection

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
        from sandpiper import deployment, local_inputs, workflow  # here, so that --help does not import boto3

        _require_one_source(
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
            from sandpiper.cli.run_session import run_session

            _require_options(context, SESSION_OPTIONS, "the file of --session has the options of its steps")
            raise typer.Exit(run_session(session_file, options, session_timeout))
        if batch is None:
            _require_no_options(context, batch_options.DEPENDENT, "allowed: with --batch MANIFEST")
        elif file is None:
            raise CliError("FILE is missing, the program that runs for each item of --batch; allowed: FILE or -")
        local, remote = local_inputs.parse_inputs(inputs or ())
        output_options = {
            "paths": [] if no_outputs else outputs,
            "figures": figures or None,
            "linkSeconds": link_seconds,
        }
        used_language = language or (language_of(file) if file else None)
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
            "outputs": {"maxFiles": max_files, "maxBytes": max_bytes, **without_none(**output_options)},
        }
        if batch is not None:
            from sandpiper.cli.run_batch import BatchOptions, run_batch

            chosen = BatchOptions(
                _only(batch), batch_format, item_inputs or [], items_per_session, tolerated_failures, max_concurrency
            )
            raise typer.Exit(run_batch(chosen, request, local, options))
        name = environment or "local"
        session = deployment.session_for(name)
        deployment.require_intended_endpoint(session, name)

        with progress("starting") as line, fields_as_flags():
            if show is not None:
                finished = workflow.show(session, show, out, line, overwrite=overwrite)
                print_execution(show)
            else:
                target = options.find_tenant(session, name)
                if detach and not follow:
                    options.print_started(workflow.start(session, target, request, local, line))
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
                    on_interrupt=options.on_interrupt,
                )
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


def _require_one_source(sources: dict[str, str | None]) -> None:
    given = [name for name, value in sources.items() if value is not None]
    if len(given) != 1:
        raise CliError(
            f"{' and '.join(given)} exclude each other; allowed: one of them"
            if given
            else "FILE is missing; allowed: a program's file, - for standard input, s3://BUCKET/KEY, --command CMD, "
            "--session FILE or --show ARN"
        )


def _given(context: typer.Context) -> list[tuple[str, str]]:
    """Returns the name and the flag of each option on the command line, in their order in the help."""
    given: list[tuple[str, str]] = []
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        if parameter.name and source is not None and source.name == "COMMANDLINE":
            given.append((parameter.name, parameter.opts[0]))
    return given


def _require_options(context: typer.Context, allowed: Collection[str], reason: str) -> None:
    others = [flag for name, flag in _given(context) if name not in allowed]
    if others:
        flags = ", ".join(parameter.opts[0] for parameter in context.command.params if parameter.name in allowed)
        raise CliError(f"{others[0]} cannot be used here: {reason}; allowed: {flags}")


def _require_no_options(context: typer.Context, names: Collection[str], allowed: str) -> None:
    given = [flag for name, flag in _given(context) if name in names]
    if given:
        raise CliError(f"{given[0]} is an option of a batch; {allowed}")


def _only(manifests: list[str]) -> str:
    if len(manifests) > 1:
        raise CliError(
            f"--batch is given {len(manifests)} times, as {' and '.join(manifests)}; allowed: one file, S3 object or "
            "S3 folder. Put the items of several files into one"
        )
    return manifests[0]


def _program(file: str, language: str) -> dict[str, str]:
    return {"codeS3Uri": file} if file.startswith(S3) else {"code": read_program(file, language)}
