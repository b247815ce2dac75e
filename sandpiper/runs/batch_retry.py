"""Finds the failed items of a batch, and stores them as the items of another one."""

from __future__ import annotations

import tempfile
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError

from sandpiper.errors import CliError
from sandpiper.runs.batches import batch_folder, json_lines, result_lines
from sandpiper_contract.settings import BATCH_ITEMS_NAME, INPUTS

if TYPE_CHECKING:
    from collections.abc import Mapping

    import boto3

    from code_runner.batches.batch_folder import BatchFolder
    from sandpiper.deployment import Deployment
    from sandpiper.runs.executions import Execution


@dataclass(frozen=True)
class FailedItems:
    """The items of a batch that have an error.

    Attributes:
        folder: the objects of the batch.
        errors: the names of the errors by the index of the item.
    """

    folder: BatchFolder
    errors: Mapping[int, str]


def read_failed_items(session: boto3.Session, deployment: Deployment, execution: Execution) -> FailedItems:
    """Returns the failed items of a batch.

    Raises:
        CliError: The batch has no failed items, or its results are not written.
    """
    folder = batch_folder(session, deployment, execution.arn)
    errors = {line["index"]: line["error"]["name"] for line in result_lines(folder) if "error" in line}
    if not errors:
        raise CliError(f"{execution.arn} has no failed items; allowed: a batch with failed items")
    return FailedItems(folder, errors)


def request_for(failed: FailedItems, session: boto3.Session, deployment: Deployment, request: Any) -> dict[str, Any]:
    """Returns the request of a batch with only the failed items, which are uploaded below the tenant's inputs.

    Args:
        failed: the failed items.
        session: the credentials.
        deployment: the tenant.
        request: the request of the earlier batch.

    Raises:
        CliError: The items cannot be read or uploaded.
    """
    s3 = session.client("s3")
    key = f"{deployment.prefix}/{INPUTS}/{uuid.uuid4()}-{BATCH_ITEMS_NAME}"
    address = f"s3://{deployment.bucket}/{key}"
    with tempfile.TemporaryFile() as items:  # a batch has up to ten million
        for line in json_lines(failed.folder.s3, failed.folder.items):
            if line["index"] in failed.errors:
                items.write(f"{line['item']}\n".encode())
        items.seek(0)
        try:
            s3.upload_fileobj(items, deployment.bucket, key)
        except (Boto3Error, BotoCoreError, ClientError) as error:
            raise CliError(f"{address} cannot be written: {error}") from None
    return {**request, "items": {"location": address, "format": "jsonl"}}
