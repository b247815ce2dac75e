"""Runs code through a deployed `run-code` state machine, from files on this machine to files on this machine."""

from __future__ import annotations

import base64
import json
import os
import time
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from sandpiper.failure import Failure, Interrupted
from sandpiper_contract.errors import InvalidRequest
from sandpiper_contract.kinds import S3Object, relative_path
from sandpiper_contract.requests import RunCode
from sandpiper_contract.settings import INPUTS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import boto3

    from sandpiper.deployment import Deployment

INLINE_BYTES = 96 * 1024
"""Inputs up to this size in all travel in the request, whose state holds 256 KiB; larger ones go by S3."""
POLL_SECONDS = (0.05, 1.0)
"""First and longest wait between two looks at an execution."""


@dataclass(frozen=True)
class SavedFile:
    """A file of the result, and where it lies on this machine or why it does not."""

    name: str
    content_type: str
    size: int
    s3_uri: str
    saved_to: Path
    problem: str | None = None


@dataclass(frozen=True)
class Finished:
    """A run that has a result: the result as the workflow gave it, and its files as they were downloaded."""

    result: Mapping[str, Any]
    files: Sequence[SavedFile] = field(default_factory=list[SavedFile])

    @property
    def exit_code(self) -> int:
        """The program's own."""
        return int(self.result["exitCode"])


def run(
    session: boto3.Session,
    deployment: Deployment,
    request: Mapping[str, object],
    inputs: Sequence[Path],
    out: Path,
    waiting: Callable[[float], None],
) -> Finished:
    """Starts the state machine with `request`, waits and downloads what the program left into `out`.

    `waiting` is called with the seconds since the start. Raises Failure for a request that is not one, before anything
    is sent, and for an execution that failed; a file that cannot be saved is told in its SavedFile.
    """
    whole = {**request, **({"inputs": _inputs(session, deployment, request, inputs)} if inputs else {})}
    _check(whole)
    result = _execute(session, deployment, whole, waiting)
    return Finished(result, [_download(session, file, out) for file in result["files"]])


def _check(request: Mapping[str, object]) -> RunCode:
    try:
        return RunCode.from_json(request)
    except InvalidRequest as error:
        raise Failure(f"InvalidRequest: {error}") from None


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
        raise Failure(f"the workflow cannot be started: {error}") from None
    pause, longest = POLL_SECONDS
    try:
        while (state := workflows.describe_execution(executionArn=execution))["status"] == "RUNNING":
            waiting(time.monotonic() - started)
            time.sleep(pause)
            pause = min(pause * 1.2, longest)
    except (BotoCoreError, ClientError) as error:
        raise Failure(f"the run goes on, and cannot be watched: {error}\nexecution: {execution}") from None
    except KeyboardInterrupt:
        workflows.stop_execution(executionArn=execution, error="Interrupted", cause="the caller was interrupted")
        raise Interrupted(
            "interrupted: the execution is aborted; code that runs already goes on until it ends or its session's time "
            f"is over (--session-timeout)\nexecution: {execution}"
        ) from None
    if state["status"] != "SUCCEEDED":
        error = state.get("error", state["status"])
        raise Failure(f"{error}: {_cause(state.get('cause', ''))}\nexecution: {execution}")
    return json.loads(state.get("output", "{}"))


def _cause(cause: str) -> str:
    """A failed Lambda task's cause is its error as JSON; the message in it is what a person wants."""
    try:
        return str(json.loads(cause)["errorMessage"])
    except (ValueError, KeyError, TypeError):
        return cause


def _inputs(
    session: boto3.Session, deployment: Deployment, request: Mapping[str, object], paths: Sequence[Path]
) -> list[dict[str, str]]:
    """The inputs as the request carries them; large ones are put to S3 once the whole request is known to be good."""
    try:
        contents = {path.name: path.read_bytes() for path in paths}
    except OSError as error:
        raise Failure(f"--input {error.filename}: {error.strerror}") from None
    if len(contents) < len(paths):
        raise Failure("--input: two files have the same name; they would lie at the same place beside the code")
    if sum(map(len, contents.values())) <= INLINE_BYTES:
        return [{"path": name, "base64": base64.b64encode(data).decode()} for name, data in contents.items()]
    folder = f"{deployment.prefix}/{INPUTS}/{uuid.uuid4()}"
    addressed = [{"path": name, "s3Uri": f"s3://{deployment.bucket}/{folder}/{name}"} for name in contents]
    _check({**request, "inputs": addressed})
    try:
        objects = session.client("s3")
        for name, data in contents.items():
            objects.put_object(Bucket=deployment.bucket, Key=f"{folder}/{name}", Body=data)
    except (BotoCoreError, ClientError) as error:
        raise Failure(f"--input: s3://{deployment.bucket}/{folder} cannot be written: {error}") from None
    return addressed


def _download(session: boto3.Session, file: Mapping[str, Any], out: Path) -> SavedFile:
    """Writes one file below `out`. Its path was chosen by code that nobody trusts, so it is checked here again."""
    target, problem = out, None
    try:
        target = out / relative_path("path", file["path"])
        source = S3Object.parse("s3Uri", file["s3Uri"])
        data = session.client("s3").get_object(Bucket=source.bucket, Key=source.key)["Body"].read()
        target.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
        with os.fdopen(os.open(target, flags, 0o644), "wb") as saved:
            saved.write(data)
    except OSError as error:
        problem = f"{target} cannot be written: {error.strerror}; choose another folder with --out"
    except (InvalidRequest, BotoCoreError, ClientError) as error:
        problem = f"{file['s3Uri']} cannot be fetched: {error}"
    return SavedFile(file["path"], file["contentType"], file["size"], file["s3Uri"], target, problem)
