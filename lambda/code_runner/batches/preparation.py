"""Prepares a batch: validates its request and every item, and writes the items for the Distributed Map.

All formats are converted to one, in which each item has its index. So the workflow reads one format, the order of the
items does not depend on how Step Functions reads them, and an object that changes later does not change the batch.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from code_runner.batches.batch_folder import StoredBatch
from code_runner.batches.item_formats import fields_of_item, read_items
from code_runner.batches.stream_upload import StreamUpload
from code_runner.files.storage import Storage
from sandpiper_contract.batches import ITEM_FORMATS, MAX_ITEMS, PreparedBatch
from sandpiper_contract.errors import InvalidRequest, RunError
from sandpiper_contract.s3_objects import S3Object
from sandpiper_contract.settings import INPUTS

if TYPE_CHECKING:
    from code_runner.agentcore.deadline import Deadline
    from code_runner.batches.batch_folder import BatchFolder
    from sandpiper_contract.batches import RunBatch

CHECK_INTERVAL_ITEMS = 10_000
MIN_FINISH_SECONDS = 10
"""Time reserved for completing the object with the items."""


def prepare(request: RunBatch, folder: BatchFolder, started: str | None, deadline: Deadline) -> PreparedBatch:
    """Validates a batch and writes its items.

    Args:
        request: The request.
        folder: The folder of the batch.
        started: When the execution started, if the workflow sends it.
        deadline: When the batch must be prepared.

    Raises:
        InvalidRequest: The batch has no items or too many, an item is not valid, or `maxConcurrency` is too large.
        StorageError: The items cannot be read or written.
        DeadlineExceeded: There are more items than can be read in time.
    """
    tenant = folder.tenant
    tenant.lifetime_seconds(request.request)
    concurrency = _concurrency(request, tenant.max_batch_concurrency)
    inputs = tenant.folder(INPUTS)
    storage = Storage(folder.s3, inputs, folder.item_runs)
    upload = StreamUpload(folder.s3, folder.items, "application/jsonl")
    count = 0
    try:
        for place, text in read_items(folder.s3, storage, request.items.location, request.items.format):
            if count == MAX_ITEMS:
                raise InvalidRequest(f"items has more than {MAX_ITEMS:,} items; allowed: 1 to {MAX_ITEMS:,}")
            check_inputs(request, place, text, inputs)
            upload.write(json.dumps({"index": count, "item": text}).encode() + b"\n")
            count += 1
            if count % CHECK_INTERVAL_ITEMS == 0:
                deadline.require(MIN_FINISH_SECONDS, f"reading the items after the first {count:,}")
        if count == 0:
            formats = " | ".join(ITEM_FORMATS)
            uri = request.items.location.uri
            raise InvalidRequest(f"items.location {uri} has no items; allowed: 1 to {MAX_ITEMS:,} in {formats}")
        folder.write_batch(StoredBatch(request, started, count))
        upload.complete()
    except RunError:
        upload.abort()
        raise
    tolerated = request.tolerated_failures
    percentage = float(tolerated.removesuffix("%")) if isinstance(tolerated, str) else 100.0
    return PreparedBatch(
        bucket=folder.items.bucket,
        key=folder.items.key,
        count=count,
        max_concurrency=concurrency,
        items_per_session=request.items_per_session or 1,
        tolerated_count=tolerated if isinstance(tolerated, int) else count,
        tolerated_percentage=percentage,
    )


def _concurrency(request: RunBatch, maximum: int | None) -> int:
    if maximum is None:
        raise InvalidRequest("this tenant runs no batches; allowed: run_batch with a configured number of sessions")
    requested = request.max_concurrency
    if requested is not None and requested > maximum:
        raise InvalidRequest(
            f"maxConcurrency is {requested}; allowed: 1 to {maximum}, the tenant's share of the quota of sessions"
        )
    return requested or maximum


def check_inputs(request: RunBatch, place: str, text: str, inputs: S3Object) -> None:
    """Checks the files of an item: its fields are the URIs of objects below `inputs`. Raises InvalidRequest."""
    if not request.item_inputs:
        return
    fields = fields_of_item(text)
    for each in request.item_inputs:
        address = S3Object.parse(f"{place}: {each.s3_uri_from}", fields.get(each.s3_uri_from))
        if not address.uri.startswith(f"{inputs.uri}/"):
            raise InvalidRequest(
                f"{place}: {each.s3_uri_from} is another location; allowed: objects below {inputs.uri}/"
            )
