"""Finds the failed items of a batch, and stores them as the items of another one."""

from __future__ import annotations

import json
import tempfile
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError

from code_runner.agentcore.boto_clients import AwsClients
from code_runner.batches.batch_folder import BatchFolder
from code_runner.tenant_config import TenantConfig
from sandpiper.errors import CliError
from sandpiper_contract.settings import BATCH_ITEMS_NAME, INPUTS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import boto3
    from mypy_boto3_s3 import S3Client

    from sandpiper.deployment import Deployment
    from sandpiper.runs.executions import Execution
    from sandpiper_contract.s3_objects import S3Object

RESULTS_NAME = "results.jsonl"


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
    tenant = TenantConfig(deployment.interpreters, deployment.bucket, deployment.prefix)
    folder = BatchFolder(AwsClients(session).s3, tenant, execution.arn)
    lines = _lines(folder.s3, folder.address(RESULTS_NAME))
    errors = {line["index"]: line["error"]["name"] for line in lines if "error" in line}
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
        for line in _lines(failed.folder.s3, failed.folder.items):
            if line["index"] in failed.errors:
                items.write(f"{line['item']}\n".encode())
        items.seek(0)
        try:
            s3.upload_fileobj(items, deployment.bucket, key)
        except (Boto3Error, BotoCoreError, ClientError) as error:
            raise CliError(f"{address} cannot be written: {error}") from None
    return {**request, "items": {"location": address, "format": "jsonl"}}


def _lines(s3: S3Client, address: S3Object) -> Iterator[dict[str, Any]]:
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
