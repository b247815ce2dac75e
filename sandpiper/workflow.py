"""Runs code through a deployed `run-code` state machine, from files on this machine to files on this machine."""

from __future__ import annotations

import base64
import json
import os
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from sandpiper.failure import Failure
from sandpiper_contract.errors import InvalidRequest
from sandpiper_contract.request import RunRequest, S3Object, relative_path
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
    """A file of the result and where it lies on this machine."""

    name: str
    content_type: str
    size: int
    s3_uri: str
    saved_to: Path


@dataclass(frozen=True)
class Finished:
    """A run that has a result: the result as the workflow gave it, and its files as they were downloaded."""

    result: Mapping[str, Any]
    files: Sequence[SavedFile]

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

    `waiting` is called with the seconds since the start. Raises Failure for a request that is not one (before
    anything is started), for an execution that failed and for files that cannot be written.
    """
    whole = {**request, **({"inputs": _inputs(session, deployment, inputs)} if inputs else {})}
    try:
        RunRequest.from_json(whole)
    except InvalidRequest as error:
        raise Failure(f"InvalidRequest: {error}") from None
    try:
        result = _execute(session, deployment, whole, waiting)
        return Finished(result, [_download(session, file, out) for file in result["files"]])
    except (BotoCoreError, ClientError) as error:
        raise Failure(str(error)) from None


def _execute(
    session: boto3.Session,
    deployment: Deployment,
    request: Mapping[str, object],
    waiting: Callable[[float], None],
) -> dict[str, Any]:
    workflows = session.client("stepfunctions")
    started = time.monotonic()
    execution = workflows.start_execution(
        stateMachineArn=deployment.run_code_arn, name=str(uuid.uuid4()), input=json.dumps(request)
    )["executionArn"]
    pause, longest = POLL_SECONDS
    try:
        while (state := workflows.describe_execution(executionArn=execution))["status"] == "RUNNING":
            waiting(time.monotonic() - started)
            time.sleep(pause)
            pause = min(pause * 1.2, longest)
    except KeyboardInterrupt:
        workflows.stop_execution(executionArn=execution, error="Interrupted", cause="the caller was interrupted")
        raise
    if state["status"] != "SUCCEEDED":
        raise Failure(f"{state.get('error', state['status'])}: {_cause(state.get('cause', ''))}")
    return json.loads(state.get("output", "{}"))


def _cause(cause: str) -> str:
    """A failed Lambda task's cause is its error as JSON; the message in it is what a person wants."""
    try:
        return str(json.loads(cause)["errorMessage"])
    except (ValueError, KeyError, TypeError):
        return cause


def _inputs(session: boto3.Session, deployment: Deployment, paths: Sequence[Path]) -> list[dict[str, str]]:
    try:
        contents = {path.name: path.read_bytes() for path in paths}
    except OSError as error:
        raise Failure(f"--input {error.filename}: {error.strerror}") from None
    if len(contents) < len(paths):
        raise Failure("--input: two files have the same name; they would lie at the same place beside the code")
    if sum(map(len, contents.values())) <= INLINE_BYTES:
        return [{"path": name, "base64": base64.b64encode(data).decode()} for name, data in contents.items()]
    objects = session.client("s3")
    folder = f"{deployment.prefix}/{INPUTS}/{uuid.uuid4()}"
    for name, data in contents.items():
        objects.put_object(Bucket=deployment.bucket, Key=f"{folder}/{name}", Body=data)
    return [{"path": name, "s3Uri": f"s3://{deployment.bucket}/{folder}/{name}"} for name in contents]


def _download(session: boto3.Session, file: Mapping[str, Any], out: Path) -> SavedFile:
    """Writes one file below `out`. Its path was chosen by code that nobody trusts, so it is checked here again."""
    try:
        target = out / relative_path("files[].path", file["path"])
    except InvalidRequest as error:
        raise Failure(str(error)) from None
    source = S3Object.parse("files[].s3Uri", file["s3Uri"])
    data = session.client("s3").get_object(Bucket=source.bucket, Key=source.key)["Body"].read()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
        with os.fdopen(os.open(target, flags, 0o644), "wb") as saved:
            saved.write(data)
    except OSError as error:
        raise Failure(f"{target} cannot be written: {error.strerror}; choose another folder with --out") from None
    return SavedFile(file["path"], file["contentType"], file["size"], file["s3Uri"], target)
