"""Runs code through a deployed `run-code` or `run-command` workflow, with input and output files on this machine."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sandpiper.downloads import SavedFile, download_files
from sandpiper.errors import CliError, InvalidOptionsError, NoResultError, ProgramFailedError
from sandpiper.execution_control import interruptible, require_workflow, start_execution, wait_for_end
from sandpiper.local_inputs import with_empty_files, with_files
from sandpiper.names import RUN_CODE, RUN_COMMAND
from sandpiper.runs.executions import SUCCEEDED, error_message, is_result
from sandpiper.runs.follow import follow
from sandpiper.runs.records import read_records, recorded_results
from sandpiper_contract.errors import CodeFailed, InvalidRequest
from sandpiper_contract.workflows import WORKFLOWS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import boto3

    from sandpiper.deployment import Deployment
    from sandpiper.local_inputs import LocalFile


@dataclass(frozen=True)
class FinishedRun:
    """A run with a result.

    Attributes:
        result: the output of the workflow.
        files: its downloaded files.
        problem: why `files` may be incomplete; None when it is complete.
    """

    result: Mapping[str, Any]
    files: Sequence[SavedFile] = field(default_factory=list[SavedFile])
    problem: str | None = None

    @property
    def exit_code(self) -> int:
        """The exit code of the program."""
        return int(self.result["exitCode"])

    @property
    def problems(self) -> list[str]:
        """The problems of the downloads, with their remedies."""
        return [problem for problem in (self.problem, *(file.problem for file in self.files)) if problem]


def run(
    session: boto3.Session,
    deployment: Deployment,
    request: Mapping[str, Any],
    inputs: Sequence[LocalFile],
    out: Path,
    progress: Callable[[str], None],
    *,
    overwrite: bool = False,
    on_started: Callable[[str], None] = lambda _: None,
    on_event: Callable[[str], None] | None = None,
    on_interrupt: Callable[[str], str] | None = None,
) -> FinishedRun:
    """Runs a program: starts the state machine, waits for it, and downloads the files of the result.

    Args:
        session: the credentials.
        deployment: the tenant that runs the program.
        request: the request without the input files of this machine.
        inputs: the input files of this machine.
        out: the folder for the files of the result.
        progress: called with a line about what the command is doing.
        overwrite: whether to replace existing files in the folder that no earlier run has saved.
        on_started: called with the ARN of the execution.
        on_event: called with a line about each state and failed attempt of the execution. Default: none.
        on_interrupt: called with the ARN of the execution after Ctrl-C; returns the message. Default: stop it.

    Raises:
        InvalidOptionsError: The request is invalid.
        NoResultError: The execution failed.
        CommandInterruptedError: The command was interrupted. The message states whether the execution continues.
        CliError: An AWS call failed. A file that cannot be saved does not raise; see SavedFile.problem.
    """
    execution = start(session, deployment, request, inputs, progress)
    with interruptible(session, execution, on_interrupt):
        on_started(execution)
        return finish(session, deployment, execution, out, progress, overwrite=overwrite, on_event=on_event)


def start(
    session: boto3.Session,
    deployment: Deployment,
    request: Mapping[str, Any],
    inputs: Sequence[LocalFile],
    progress: Callable[[str], None],
) -> str:
    """Starts a program, and returns the ARN of the execution. The arguments are those of `run`.

    Raises:
        InvalidOptionsError: The request is invalid.
        CommandInterruptedError: The command was interrupted. The execution is stopped if it was started.
        CliError: An AWS call failed.
    """
    workflow = RUN_COMMAND if "command" in request else RUN_CODE
    try:
        WORKFLOWS[workflow].request.from_json(with_empty_files(request, inputs))
    except InvalidRequest as error:
        raise InvalidOptionsError(str(error)) from None
    machine = require_workflow(deployment, workflow)
    return start_execution(session, machine, with_files(session, deployment, request, inputs, progress))


def finish(
    session: boto3.Session,
    deployment: Deployment,
    execution: str,
    out: Path,
    progress: Callable[[str], None],
    *,
    overwrite: bool = False,
    on_event: Callable[[str], None] | None = None,
) -> FinishedRun:
    """Waits for a started program, and downloads its files. The arguments are those of `run`.

    With `failOnError`, a program that failed has the result of its record, because a failed execution has no output.

    Raises:
        NoResultError: The execution failed, and there is no record of a result.
        CliError: An AWS call failed.
    """
    if on_event is not None:
        follow(session, execution, on_event)
    try:
        return show(session, execution, out, progress, overwrite=overwrite)
    except ProgramFailedError:
        results = recorded_results(read_records(session, deployment, execution))
        if not results:
            raise
        return _finished(session, results[-1].result, out, progress, overwrite=overwrite)


def show(
    session: boto3.Session, execution: str, out: Path, progress: Callable[[str], None], *, overwrite: bool = False
) -> FinishedRun:
    """Waits for an execution of `run-code`, and downloads the files of its result.

    Args:
        session: the credentials.
        execution: the ARN of the execution, which may have ended.
        out: the folder for the files of the result.
        progress: called with a line about what the command is doing.
        overwrite: whether to replace existing files in the folder that no earlier run has saved.

    Raises:
        NoResultError: The execution failed.
        CliError: An AWS call failed.
    """
    result = _output(wait_for_end(session, execution, lambda seconds: progress(f"running, {seconds:.0f} s")))
    if not is_result(result):
        raise CliError(f"{execution} is not an execution of run-code or run-command")
    return _finished(session, result, out, progress, overwrite=overwrite)


def _finished(
    session: boto3.Session, result: Mapping[str, Any], out: Path, progress: Callable[[str], None], *, overwrite: bool
) -> FinishedRun:
    saved, problem = download_files(session.client("s3"), result, out, progress, overwrite=overwrite)
    return FinishedRun(result, saved, problem)


def _output(ended: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the output of an execution that has ended. Raises NoResultError if it failed."""
    if ended["status"] != SUCCEEDED:
        error, cause = ended.get("error", ended["status"]), error_message(ended.get("cause", ""))
        raise (ProgramFailedError if error == CodeFailed.__name__ else NoResultError)(f"{error}: {cause}")
    return json.loads(ended.get("output", "{}"))
