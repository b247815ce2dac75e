"""Reads the results of a batch from S3: its summary, the lines of its results, and the record of one item."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from code_runner.agentcore.boto_clients import AwsClients
from code_runner.agentcore.service_errors import storage_errors
from code_runner.batches.batch_folder import BatchFolder
from code_runner.batches.finishing import RESULTS_NAME, SUMMARY_NAME
from code_runner.batches.item_results import outcome_of
from code_runner.idempotency.stored_record import Status, read_record
from code_runner.tenant_config import TenantConfig
from sandpiper.errors import CliError
from sandpiper.names import RUN_BATCH
from sandpiper_contract.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import boto3
    from mypy_boto3_s3 import S3Client

    from code_runner.batches.batch_folder import StoredBatch
    from sandpiper.deployment import Deployment
    from sandpiper.runs.executions import Execution
    from sandpiper_contract.s3_objects import S3Object

MAX_SHOWN_FAILURES = 10
MAX_SEARCHED_LINES = 100_000
"""The number of lines of the results that are searched for failed items. A batch has up to ten million."""


@dataclass(frozen=True)
class FailedItem:
    """An item with an error, or whose program failed: then the error is `exit code 1`, without a message."""

    index: int
    error: str
    message: str


@dataclass(frozen=True)
class Item:
    """One item of a batch.

    Attributes:
        index: its position, from 0.
        text: the item as JSON text.
        status: `SUCCEEDED`, `FAILED`, `RUNNING` or `NOT_STARTED`.
        result: the result of its program, also if its exit code is an error; None without one.
        error: the name of its error; empty without one.
        message: the message of its error; empty without one.
        session_id: its session; None if it has none, or shares it with other items.
    """

    index: int
    text: str
    status: str
    result: Mapping[str, Any] | None
    error: str = ""
    message: str = ""
    session_id: str | None = None


def batch_folder(session: boto3.Session, deployment: Deployment, execution: str) -> BatchFolder:
    """Returns the folder of a batch, given by the ARN of its execution."""
    tenant = TenantConfig(deployment.interpreters, deployment.bucket, deployment.prefix)
    return BatchFolder(AwsClients(session).s3, tenant, execution)


def read_summary(folder: BatchFolder) -> dict[str, Any] | None:
    """Returns the summary of a batch; None if it is not written. Raises CliError."""
    try:
        return folder.read_json(SUMMARY_NAME)
    except RunError as error:
        raise CliError(str(error)) from None


def with_summary(session: boto3.Session, deployment: Deployment, execution: Execution) -> Execution:
    """Returns a batch with its summary, which Step Functions does not keep if it failed; others unchanged."""
    if execution.workflow != RUN_BATCH or execution.is_running or execution.summary is not None:
        return execution
    return replace(execution, summary=read_summary(batch_folder(session, deployment, execution.arn)))


def is_prepared(folder: BatchFolder) -> bool:
    """Returns whether the items of the batch are valid, so that its results are written when it ends."""
    return _stored(folder) is not None


def result_lines(folder: BatchFolder) -> Iterator[dict[str, Any]]:
    """Yields the lines of the results. Raises CliError if they are not written."""
    return json_lines(folder.s3, folder.address(RESULTS_NAME))


def failed_items(lines: Iterable[Mapping[str, Any]], count: int) -> list[FailedItem]:
    """Returns the first failed items of a batch, at most ten.

    Args:
        lines: the lines of the results.
        count: the number of failed items, after which no further line is read.
    """
    found = (failed for line in islice(lines, MAX_SEARCHED_LINES) if (failed := _failed(line)))
    return list(islice(found, min(count, MAX_SHOWN_FAILURES)))


def read_item(folder: BatchFolder, execution: Execution, index: int) -> Item:
    """Returns an item with its result or error, also while the batch runs.

    Args:
        folder: the folder of the batch.
        execution: the execution of the batch.
        index: the position of the item, from 0.

    Raises:
        CliError: The batch has no such item, or it cannot be read.
    """
    batch = _stored(folder)
    if batch is None:
        raise CliError(f"{execution.arn} has no items: it was not prepared; see `sandpiper runs show {execution.arn}`")
    if not 0 <= index < batch.count:
        raise CliError(f"--item is {index}; allowed: 0 to {batch.count - 1:,}, the items of {execution.arn}")
    text = next(islice(json_lines(folder.s3, folder.items), index, None))["item"]
    try:
        record = read_record(folder.s3, folder.item_record(index)).record if _is_started(folder, index) else None
    except RunError as error:
        raise CliError(str(error)) from None
    has_ended = record is not None and (record.status is Status.DONE or record.error is not None)
    if execution.is_running and not has_ended:
        session = record.session.session_id if record is not None and record.session else None
        return Item(index, text, "RUNNING" if record else "NOT_STARTED", None, session_id=session)
    outcome = outcome_of(index, record, fail_on_error=batch.request.request.fail_on_error)
    error, message = outcome.error or ("", "")
    session = record.session.session_id if record is not None and record.session else None
    return Item(index, text, "FAILED" if error else "SUCCEEDED", outcome.result, error, message, session)


def recorded_result(folder: BatchFolder, index: int) -> Mapping[str, Any] | None:
    """Returns the result of an item from its record, which has that of a failed program, too. Raises CliError."""
    try:
        return read_record(folder.s3, folder.item_record(index)).record.result
    except RunError as error:
        raise CliError(str(error)) from None


def json_lines(s3: S3Client, address: S3Object) -> Iterator[dict[str, Any]]:
    """Yields the JSON lines of an object without loading all of it. Raises CliError."""
    try:
        for line in s3.get_object(Bucket=address.bucket, Key=address.key)["Body"].iter_lines():
            yield json.loads(line)
    except ClientError as error:
        raise CliError(
            f"{address.uri} cannot be read: {error}. It is written when the batch ends, and within minutes after a stop"
        ) from None
    except (BotoCoreError, ValueError) as error:
        raise CliError(f"{address.uri} cannot be read: {error}") from None


def _stored(folder: BatchFolder) -> StoredBatch | None:
    try:
        return folder.read_batch()
    except RunError as error:
        raise CliError(str(error)) from None


def _is_started(folder: BatchFolder, index: int) -> bool:
    """Returns whether an item has a record. S3 returns 403 for a missing object without permission to list it."""
    address = folder.item_record(index)
    with storage_errors("listing the runs of items in", address.uri):
        return "Contents" in folder.s3.list_objects_v2(Bucket=address.bucket, Prefix=address.key, MaxKeys=1)


def _failed(line: Mapping[str, Any]) -> FailedItem | None:
    if "error" in line:
        return FailedItem(line["index"], line["error"]["name"], line["error"]["message"])
    exit_code = line["result"]["exitCode"]
    return FailedItem(line["index"], f"exit code {exit_code}", "") if exit_code else None
