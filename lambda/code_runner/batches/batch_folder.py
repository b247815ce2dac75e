"""The objects of a batch: they are in the folder of its execution, with the runs of its states."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from code_runner.agentcore.service_errors import storage_errors
from sandpiper_contract.batches import RunBatch
from sandpiper_contract.errors import StorageError
from sandpiper_contract.run import Run
from sandpiper_contract.s3_objects import S3Object
from sandpiper_contract.settings import BATCH_ITEMS_NAME, RECORD_NAME, RUNS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_s3 import S3Client

    from code_runner.tenant_config import TenantConfig

ITEMS_STATE = "Items"
"""Stands for the state in the runs of items."""
INDEX_DIGITS = 8
"""Digits of an item's index in the key of its run, so that S3 lists the runs in the order of the items."""


@dataclass(frozen=True)
class StoredBatch:
    """The request of a batch, as `prepare_batch` stored it.

    Attributes:
        request: The request.
        started: When the execution started, if the workflow sends it.
        count: The number of items.
    """

    request: RunBatch
    started: str | None
    count: int


@dataclass(frozen=True)
class BatchFolder:
    """The objects of one batch.

    Attributes:
        s3: Client for S3.
        tenant: The tenant's configuration.
        execution: The ARN of the batch's execution.
    """

    s3: S3Client
    tenant: TenantConfig
    execution: str

    def address(self, name: str) -> S3Object:
        """Returns the address of an object of the batch."""
        return self.tenant.folder(RUNS, Run(self.execution).execution_key, name)

    @property
    def items(self) -> S3Object:
        """The items, as the Distributed Map reads them."""
        return self.address(BATCH_ITEMS_NAME)

    @property
    def item_runs(self) -> S3Object:
        """The folder of the runs of all items."""
        return self.address(ITEMS_STATE)

    def item_run(self, batch: StoredBatch, index: int) -> Run:
        """Returns the run of an item. It is the same in every child execution, retry and redrive of the batch."""
        return Run(self.execution, ITEMS_STATE, item=f"{index:0{INDEX_DIGITS}}", started=batch.started)

    def item_record(self, index: int) -> S3Object:
        """Returns the address of an item's idempotency record."""
        return S3Object(self.item_runs.bucket, f"{self.item_runs.key}/id={index:0{INDEX_DIGITS}}/{RECORD_NAME}")

    def write_batch(self, batch: StoredBatch) -> None:
        """Stores the request. Raises StorageError."""
        content = {"request": batch.request.to_json(), "started": batch.started, "count": batch.count}
        self.write_json("batch.json", content)

    def read_batch(self) -> StoredBatch | None:
        """Returns the request, or None if the batch was never prepared. Raises StorageError."""
        content = self.read_json("batch.json")
        if content is None:
            return None
        return StoredBatch(RunBatch.from_json(content["request"]), content["started"], content["count"])

    def write_json(self, name: str, content: Mapping[str, object]) -> None:
        """Stores a JSON object. Raises StorageError."""
        self.write(name, json.dumps(content).encode(), "application/json")

    def read_json(self, name: str) -> dict[str, Any] | None:
        """Returns a JSON object, or None if it does not exist. Raises StorageError."""
        data = self.read(name)
        try:
            return None if data is None else json.loads(data)
        except ValueError as error:
            raise StorageError(f"reading {self.address(name).uri}: {error}") from error

    def write(self, name: str, data: bytes, content_type: str) -> None:
        """Stores an object. Raises StorageError."""
        target = self.address(name)
        with storage_errors("writing", target.uri):
            self.s3.put_object(Bucket=target.bucket, Key=target.key, Body=data, ContentType=content_type)

    def read(self, name: str) -> bytes | None:
        """Returns an object, or None if it does not exist. Raises StorageError.

        The object is looked up in a listing, because S3 returns 403 for a missing object if the permission to list has
        conditions.
        """
        target = self.address(name)
        with storage_errors("reading", target.uri):
            listed = self.s3.list_objects_v2(Bucket=target.bucket, Prefix=target.key, MaxKeys=1)
            if all(entry.get("Key") != target.key for entry in listed.get("Contents", [])):
                return None
            return self.s3.get_object(Bucket=target.bucket, Key=target.key)["Body"].read()
