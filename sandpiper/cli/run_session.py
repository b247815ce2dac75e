"""`sandpiper run --session`: run the steps of a YAML file in one session, and show their results as they end."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from sandpiper import approvals
from sandpiper.cli.exit_codes import FAILED
from sandpiper.cli.output import first_lines, human_time, notes, print_note, print_saved, print_stream, progress
from sandpiper.cli.run_options import RunOptions, print_execution, without_none
from sandpiper.cli.runs.reconnection import answers
from sandpiper.errors import CliError
from sandpiper.execution_control import interruptible, require_workflow, start_execution
from sandpiper.names import RUN_SESSION
from sandpiper.runs.as_json import execution_json, file_json
from sandpiper.runs.executions import SUCCEEDED
from sandpiper.runs.files import DownloadedRun, download_run
from sandpiper.runs.finding import find_execution
from sandpiper.runs.follow import poll_steps, progress_lines
from sandpiper.runs.session_progress import finished_steps, waits_for_approval
from sandpiper.session_file import read_session_file
from sandpiper_contract.errors import CodeFailed

if TYPE_CHECKING:
    from pathlib import Path

    import boto3

    from sandpiper.runs.session_progress import FinishedStep


def run_session(file: Path, options: RunOptions, session_timeout: int | None) -> int:
    """Starts the steps of a file, shows each result and approval until the session ends, and saves the files.

    Args:
        file: the YAML file.
        options: the other options.
        session_timeout: lifetime of the session in seconds, instead of that in the file.

    Returns:
        The exit code of the last step with a result.

    Raises:
        CliError: Nothing was started, the session failed for another reason than the exit code of a step, or a file was
            not saved.
    """
    steps = read_session_file(
        file, **without_none(interpreter=options.interpreter, sessionTimeoutSeconds=session_timeout)
    )
    session, target = options.connect()
    machine = require_workflow(target, RUN_SESSION)
    with progress("starting") as line:
        execution = start_execution(session, machine, steps.complete(session, target, line))
        if options.detach and not options.follow:
            options.print_started(execution)
            return 0
        with interruptible(session, execution, options.on_interrupt):
            print_execution(execution)
            line("running")
            _show_steps(session, execution, options)
            ended = find_execution(session, target, execution)
            run = DownloadedRun(ended)
            if ended.results:
                run = download_run(session, target, ended, options.out, line, overwrite=options.overwrite)
    if options.as_json:
        files = [file_json(each) for each in run.files]
        print(json.dumps({**execution_json(ended), "steps": [*ended.session_steps], "files": files}, indent=2))
    else:
        print_saved(notes, run.files, options.out)
    if ended.status != SUCCEEDED and ended.error != CodeFailed.__name__:
        run.problems.insert(0, f"{ended.error or ended.status}: {ended.message}".rstrip(": "))
    if run.problems:
        raise CliError(first_lines(run.problems))
    if ended.status != SUCCEEDED:
        print_note(f"{ended.error}: {ended.message}")
    return FAILED if ended.exit_code is None else ended.exit_code


def _show_steps(session: boto3.Session, execution: str, options: RunOptions) -> None:
    """Prints each step when it has ended, and each approval when the session waits for it."""
    shown, lines, asked = 0, 0, None
    for states in poll_steps(session, execution):
        if options.follow:
            entered = progress_lines(states)
            for text in entered[lines:]:
                print_note(text)
            lines = len(entered)
        finished = finished_steps(states)
        for step in finished[shown:]:
            _print_step(step, as_json=options.as_json)
        shown = len(finished)
        if waits_for_approval(states) and asked != shown:
            pending = approvals.pending_approval(session, execution)
            if pending is not None:
                asked = shown
                print_note(f"step {pending.step} waits for approval: {pending.message}")
                print_note(answers(execution, options.environment, options.tenant))


def _print_step(step: FinishedStep, *, as_json: bool) -> None:
    if step.result is None:
        print_note(f"step {step.index}: {step.error}")
        return
    ended = "timed out" if step.result.get("timedOut") else f"exit code {step.result['exitCode']}"
    print_note(f"step {step.index}: {ended}, {human_time(step.result['executionTimeMs'])}")
    if not as_json:
        print_stream(sys.stdout, step.result["stdout"])
        sys.stdout.flush()
        print_stream(sys.stderr, step.result["stderr"])
