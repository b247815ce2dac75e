"""Runs code through a deployed `run-code` or `run-command` workflow, with input and output files on this machine."""

from __future__ import annotations

import json
import time
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from sandpiper.aws_errors import error_code
from sandpiper.downloads import SavedFile, download_files
from sandpiper.errors import (
    CliError,
    CommandInterruptedError,
    InvalidOptionsError,
    NoResultError,
    ProgramFailedError,
)
from sandpiper.local_inputs import with_empty_files, with_files
from sandpiper.runs.executions import error_message, is_result
from sandpiper.runs.finding import is_missing_execution, missing_execution
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

RUN_CODE, RUN_COMMAND = "run-code", "run-command"
POLL_SECONDS = (0.05, 1.0)
"""First and longest interval between two polls of an execution."""


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
    try:
        on_started(execution)
        return finish(session, deployment, execution, out, progress, overwrite=overwrite, on_event=on_event)
    except KeyboardInterrupt:
        message = on_interrupt(execution) if on_interrupt else _stop(session, execution)
        raise CommandInterruptedError(message) from None


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
    machine = deployment.workflows.get(workflow)
    if machine is None:
        raise CliError(
            f"the tenant has no workflow {workflow}; deployed: {', '.join(deployment.workflows)}. Add it to "
            "`workflows` of the tenant in the environment file, and deploy it"
        )
    complete = with_files(session, deployment, request, inputs, progress)
    name = str(uuid.uuid4())
    execution = f"{machine.replace(':stateMachine:', ':execution:', 1)}:{name}"
    try:
        _start(session, machine, name, complete)
    except KeyboardInterrupt:
        raise CommandInterruptedError(_stop(session, execution)) from None
    return execution


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
    result = _wait(session, execution, lambda seconds: progress(f"running, {seconds:.0f} s"))
    if not is_result(result):
        raise CliError(f"{execution} is not an execution of run-code or run-command")
    return _finished(session, result, out, progress, overwrite=overwrite)


def _finished(
    session: boto3.Session, result: Mapping[str, Any], out: Path, progress: Callable[[str], None], *, overwrite: bool
) -> FinishedRun:
    saved, problem = download_files(session, result, out, progress, overwrite=overwrite)
    return FinishedRun(result, saved, problem)


def _start(session: boto3.Session, machine: str, name: str, request: Mapping[str, object]) -> None:
    workflows = session.client("stepfunctions")
    try:
        workflows.start_execution(stateMachineArn=machine, name=name, input=json.dumps(request))
    except (BotoCoreError, ClientError) as error:
        raise CliError(f"the workflow cannot be started: {error}") from None


def _stop(session: boto3.Session, execution: str) -> str:
    """Stops an execution if it is running, and returns the message about it."""
    workflows = session.client("stepfunctions")
    try:
        if workflows.describe_execution(executionArn=execution)["status"] != "RUNNING":
            return f"interrupted: the execution has ended; show it again with `sandpiper run --show {execution}`"
        workflows.stop_execution(executionArn=execution, error="Interrupted", cause="the caller was interrupted")
    except (BotoCoreError, ClientError) as error:
        if isinstance(error, ClientError) and error_code(error) == "ExecutionDoesNotExist":
            return "interrupted: no execution was started"
        return f"interrupted: the execution cannot be stopped ({error}); it continues\nexecution: {execution}"
    return f"interrupted: the execution was stopped, and its session ends within a minute\nexecution: {execution}"


def _wait(session: boto3.Session, execution: str, waiting: Callable[[float], None]) -> dict[str, Any]:
    """Waits until an execution has ended and returns its output."""
    workflows = session.client("stepfunctions")
    started = time.monotonic()
    interval, max_interval = POLL_SECONDS
    try:
        while (state := workflows.describe_execution(executionArn=execution))["status"] == "RUNNING":
            waiting(time.monotonic() - started)
            time.sleep(interval)
            interval = min(interval * 1.2, max_interval)
    except (BotoCoreError, ClientError) as error:
        if is_missing_execution(error):
            raise CliError(missing_execution(execution)) from None
        raise CliError(f"the status of the run cannot be read: {error}") from None
    if state["status"] != "SUCCEEDED":
        error, cause = state.get("error", state["status"]), error_message(state.get("cause", ""))
        raise (ProgramFailedError if error == CodeFailed.__name__ else NoResultError)(f"{error}: {cause}")
    return json.loads(state.get("output", "{}"))
