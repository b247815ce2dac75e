"""Runs code through a deployed `run-code` state machine, from files on this machine to files on this machine."""

from __future__ import annotations

import base64
import json
import time
import uuid
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError
from s3transfer.exceptions import RetriesExceededError

from sandpiper.errors import CliError, CommandInterruptedError, NoResultError
from sandpiper.local_inputs import carried, placed
from sandpiper.saving import save
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
"""First and longest wait between two looks at an execution."""


@dataclass(frozen=True)
class SavedFile:
    """A file of the result, and where it lies on this machine or why it does not.

    `s3_uri` is empty for one that S3 did not take, and `link` where none was asked for.
    """

    name: str
    content_type: str
    size: int
    s3_uri: str
    link: str
    saved_to: Path
    problem: str | None = None


@dataclass(frozen=True)
class Finished:
    """A run that has a result: the result as the workflow gave it, and its files as they were downloaded."""

    result: Mapping[str, Any]
    files: Sequence[SavedFile] = field(default_factory=list[SavedFile])
    problem: str | None = None
    """Why there may be more files than these."""

    @property
    def exit_code(self) -> int:
        """The program's own."""
        return int(self.result["exitCode"])

    @property
    def problems(self) -> list[str]:
        """What could not be brought back, and what to do."""
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
) -> Finished:
    """Starts the state machine with `request` and the inputs, waits and downloads what the program left into `out`.

    `progress` is told what goes on. Raises NoResultError for a request that is not one, before anything is sent where
    that can be known, and for an execution that failed; a file that cannot be saved is told in its SavedFile.
    """
    _check(placed(request, inputs))
    whole = carried(session, deployment, request, inputs, progress)
    result = _execute(session, deployment, whole, lambda seconds: progress(f"running, {seconds:.0f} s"))
    objects = session.client("s3")
    files, problem = _files(objects, result)
    saved = [
        _download(objects, file, out, overwrite=overwrite, progress=progress, which=f"{number} of {len(files)}")
        for number, file in enumerate(files, 1)
    ]
    return Finished(result, saved, problem)


def _check(request: Mapping[str, object]) -> None:
    try:
        RunCode.from_json(request)
    except InvalidRequest as error:
        raise NoResultError(f"{InvalidRequest.__name__}: {error}") from None


def _execute(
    session: boto3.Session,
    deployment: Deployment,
    request: Mapping[str, object],
    waiting: Callable[[float], None],
) -> dict[str, Any]:
    workflows = session.client("stepfunctions")
    started = time.monotonic()
    try:
        execution = workflows.start_execution(
            stateMachineArn=deployment.run_code_arn, name=str(uuid.uuid4()), input=json.dumps(request)
        )["executionArn"]
    except (BotoCoreError, ClientError) as error:
        raise CliError(f"the workflow cannot be started: {error}") from None
    pause, longest = POLL_SECONDS
    try:
        while (state := workflows.describe_execution(executionArn=execution))["status"] == "RUNNING":
            waiting(time.monotonic() - started)
            time.sleep(pause)
            pause = min(pause * 1.2, longest)
    except (BotoCoreError, ClientError) as error:
        raise CliError(f"the run goes on, and cannot be watched: {error}\nexecution: {execution}") from None
    except KeyboardInterrupt:
        workflows.stop_execution(executionArn=execution, error="Interrupted", cause="the caller was interrupted")
        raise CommandInterruptedError(
            "interrupted: the execution is aborted; code that runs already goes on until it ends or its session's time "
            f"is over (--session-timeout)\nexecution: {execution}"
        ) from None
    if state["status"] != "SUCCEEDED":
        error, cause = state.get("error", state["status"]), _cause(state.get("cause", ""))
        raise NoResultError(f"{error}: {cause}\nexecution: {execution}")
    return json.loads(state.get("output", "{}"))


def _cause(cause: str) -> str:
    """A failed Lambda task's cause is its error as JSON; the message in it is what a person wants."""
    try:
        return str(json.loads(cause)["errorMessage"])
    except (ValueError, KeyError, TypeError):
        return cause


def _files(objects: S3Client, result: Mapping[str, Any]) -> tuple[list[Mapping[str, Any]], str | None]:
    """The files of a result, all of them where its own list is cut; and why not, where that list cannot be read."""
    if "manifestUri" not in result:
        return result["files"], None
    try:
        source = S3Object.parse("manifestUri", result["manifestUri"])
        answer = objects.get_object(Bucket=source.bucket, Key=source.key)
        return json.loads(answer["Body"].read())["files"], None
    except (InvalidRequest, BotoCoreError, ClientError, ValueError) as error:
        return result["files"], f"the list of all files, {result['manifestUri']}, cannot be read: {error}"


def _download(
    objects: S3Client,
    file: Mapping[str, Any],
    out: Path,
    *,
    overwrite: bool,
    progress: Callable[[str], None],
    which: str,
) -> SavedFile:
    """Writes one file below `out`. Its path was chosen by code that nobody trusts, so it is checked here again."""
    target, problem = out, None
    received, size = 0, int(file["size"])

    def tell(count: int) -> None:
        nonlocal received
        received += count
        progress(f"saving file {which}, {received:,} of {size:,} bytes")

    def fill(saved: IO[bytes]) -> None:
        tell(0)
        if "s3Uri" not in file:  # S3 did not take it, so that the result carries it
            saved.write(base64.b64decode(file["base64"]))
            return
        source = S3Object.parse("s3Uri", file["s3Uri"])
        objects.download_fileobj(source.bucket, source.key, saved, Callback=tell)

    try:
        path = parse_relative_path("path", file["path"])
        target = out / path
        if not save(out, path, file["sha256"], fill, overwrite=overwrite):
            problem = f"{target} exists and is left as it is: choose another folder with --out, or add --overwrite"
    except OSError as error:
        problem = f"{target} cannot be written: {error.strerror}; choose another folder with --out"
    except (InvalidRequest, BotoCoreError, ClientError, RetriesExceededError) as error:
        problem = f"{file.get('s3Uri', file['path'])} cannot be fetched: {error}"
    return SavedFile(
        file["path"], file["contentType"], size, file.get("s3Uri", ""), file.get("link", ""), target, problem
    )
