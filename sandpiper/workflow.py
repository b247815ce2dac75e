"""Runs code through a deployed `run-code` state machine, with input and output files on this machine."""

from __future__ import annotations

import base64
import json
import time
import uuid
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError
from s3transfer.exceptions import RetriesExceededError

from sandpiper.aws_errors import error_code
from sandpiper.errors import CliError, CommandInterruptedError, InvalidOptionsError, NoResultError
from sandpiper.local_inputs import with_empty_files, with_files
from sandpiper.safe_write import write_file
from sandpiper.saved_files import SavedFiles
from sandpiper_contract.errors import InvalidRequest
from sandpiper_contract.field_types import parse_relative_path
from sandpiper_contract.requests import RunCode
from sandpiper_contract.s3_objects import S3Object

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import boto3
    from mypy_boto3_s3 import S3Client

    from sandpiper.deployment import Deployment
    from sandpiper.local_inputs import LocalFile

POLL_SECONDS = (0.05, 1.0)
"""First and longest interval between two polls of an execution."""


@dataclass(frozen=True)
class SavedFile:
    """A file of the result.

    Attributes:
        s3_uri: its address; empty when it could not be stored in S3 and is part of the result.
        link: a presigned URL; empty when none was requested.
        saved_to: its path on this machine.
        problem: why it was not saved, with the remedy; None when it was saved.
    """

    name: str
    content_type: str
    size: int
    s3_uri: str
    link: str
    saved_to: Path
    problem: str | None = None


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

    Raises:
        InvalidOptionsError: The request is invalid.
        NoResultError: The execution failed.
        CommandInterruptedError: The command was interrupted. The execution is stopped if it is running.
        CliError: An AWS call failed. A file that cannot be saved does not raise; see SavedFile.problem.
    """
    try:
        RunCode.from_json(with_empty_files(request, inputs))
    except InvalidRequest as error:
        raise InvalidOptionsError(str(error)) from None
    complete = with_files(session, deployment, request, inputs, progress)
    name = str(uuid.uuid4())
    execution = deployment.execution_arn(name)
    try:
        _start(session, deployment, name, complete)
        on_started(execution)
        return show(session, execution, out, progress, overwrite=overwrite)
    except KeyboardInterrupt:
        raise CommandInterruptedError(_stop(session, execution)) from None


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
    if not {"stdout", "exitCode", "files"} <= result.keys():
        raise CliError(f"{execution} is not an execution of a run-code state machine")
    objects, earlier = session.client("s3"), SavedFiles.read(out)
    files, problem = _files(objects, result)
    saved = [
        _download(objects, file, earlier, overwrite=overwrite, progress=progress, position=f"{number} of {len(files)}")
        for number, file in enumerate(files, 1)
    ]
    return FinishedRun(result, saved, problem)


def _start(session: boto3.Session, deployment: Deployment, name: str, request: Mapping[str, object]) -> None:
    workflows = session.client("stepfunctions")
    try:
        workflows.start_execution(stateMachineArn=deployment.run_code_arn, name=name, input=json.dumps(request))
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
        error, cause = state.get("error", state["status"]), _cause(state.get("cause", ""))
        raise NoResultError(f"{error}: {cause}")
    return json.loads(state.get("output", "{}"))


def is_missing_execution(error: Exception) -> bool:
    """Returns whether Step Functions rejected a call because it does not know the execution."""
    return isinstance(error, ClientError) and error_code(error) in ("ExecutionDoesNotExist", "InvalidArn")


def missing_execution(execution: str) -> str:
    """Returns the message for an execution that Step Functions does not know."""
    return (
        f"{execution!r} is not an execution; allowed: the ARN of an execution of this account and Region, as "
        "`sandpiper run` prints it. Step Functions keeps an execution for 90 days after its end"
    )


def _cause(cause: str) -> str:
    """Returns the message in the cause of a failed Lambda task, which is JSON; any other cause unchanged."""
    try:
        return str(json.loads(cause)["errorMessage"])
    except (ValueError, KeyError, TypeError):
        return cause


def _files(objects: S3Client, result: Mapping[str, Any]) -> tuple[list[Mapping[str, Any]], str | None]:
    """Returns the files of a result, from its manifest if it has one, and why the manifest cannot be read."""
    if "manifestUri" not in result:
        return result["files"], None
    try:
        source = S3Object.parse("manifestUri", result["manifestUri"])
        response = objects.get_object(Bucket=source.bucket, Key=source.key)
        return json.loads(response["Body"].read())["files"], None
    except (InvalidRequest, BotoCoreError, ClientError, ValueError) as error:
        return result["files"], f"the list of all files, {result['manifestUri']}, cannot be read: {error}"


def _download(
    objects: S3Client,
    file: Mapping[str, Any],
    earlier: SavedFiles,
    *,
    overwrite: bool,
    progress: Callable[[str], None],
    position: str,
) -> SavedFile:
    """Writes one file into the folder. Untrusted code chose its path, so the path is validated again."""
    out = earlier.folder
    target, problem = out, None
    received, size = 0, int(file["size"])

    def report(count: int) -> None:
        nonlocal received
        received += count
        progress(f"saving file {position}, {received:,} of {size:,} bytes")

    def fill(saved: IO[bytes]) -> None:
        report(0)
        if "s3Uri" not in file:  # it could not be stored in S3, so the result contains it
            saved.write(base64.b64decode(file["base64"]))
            return
        source = S3Object.parse("s3Uri", file["s3Uri"])
        objects.download_fileobj(source.bucket, source.key, saved, Callback=report)

    try:
        path = parse_relative_path("path", file["path"])
        target = out / path
        sha256 = file["sha256"]
        if write_file(out, path, sha256, fill, overwrite=overwrite or earlier.may_replace(path, sha256)):
            earlier.add(path, sha256)
        else:
            problem = f"{target} exists already: choose another folder with --out, or add --overwrite"
    except OSError as error:
        problem = f"{target} cannot be written: {error.strerror}; choose another folder with --out"
    except (InvalidRequest, BotoCoreError, ClientError, RetriesExceededError) as error:
        problem = f"{file.get('s3Uri', file['path'])} cannot be downloaded: {error}"
    return SavedFile(
        file["path"], file["contentType"], size, file.get("s3Uri", ""), file.get("link", ""), target, problem
    )
