"""Run a program or a command in a new session, print its output and save its files."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from sandpiper import workflow
from sandpiper.cli.output import notes, print_files, print_note, print_skipped, print_stream, progress
from sandpiper.cli.run_options import RunOptions, fields_as_flags, print_execution
from sandpiper.errors import CliError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sandpiper.local_inputs import LocalFile
    from sandpiper.workflow import FinishedRun


def run_program(request: dict[str, Any], inputs: Sequence[LocalFile], options: RunOptions) -> int:
    """Starts a program, waits for its end, saves its files and prints its output.

    Args:
        request: the request of `run-code` or `run-command`, without the input files of this machine.
        inputs: the input files of this machine.
        options: the other options.

    Returns:
        The exit code of the program; 0 if it continues without the command.

    Raises:
        CliError: Nothing was started, the run has no result, or a file was not saved.
    """
    session = options.session()
    with progress("starting") as line, fields_as_flags():
        target = options.find_tenant(session)
        if options.detach and not options.follow:
            options.print_started(workflow.start(session, target, request, inputs, line))
            return 0
        finished = workflow.run(
            session,
            target,
            request,
            inputs,
            options.out,
            line,
            overwrite=options.overwrite,
            on_started=print_execution,
            on_event=print_note if options.follow else None,
            on_interrupt=options.on_interrupt,
        )
    return _print_finished(finished, as_json=options.as_json)


def show_run(execution: str, options: RunOptions) -> int:
    """Waits for the end of an earlier run, saves its files and prints its output. Returns the program's exit code.

    Args:
        execution: the ARN of the execution.
        options: the other options.

    Raises:
        CliError: The run has no result, or a file was not saved.
    """
    session = options.session()
    with progress("starting") as line, fields_as_flags():
        finished = workflow.show(session, execution, options.out, line, overwrite=options.overwrite)
        print_execution(execution)
    return _print_finished(finished, as_json=options.as_json)


def _print_finished(finished: FinishedRun, *, as_json: bool) -> int:
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
    return finished.exit_code
