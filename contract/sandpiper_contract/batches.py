"""The requests and results of a batch: one program that runs once for each of many items."""

from __future__ import annotations

from typing import Annotated, Literal

from sandpiper_contract.errors import InvalidRequest
from sandpiper_contract.field_types import (
    AnyString,
    Boolean,
    Choice,
    CountOrPercentage,
    Integer,
    ListOf,
    Number,
    RelativePath,
    Text,
)
from sandpiper_contract.files import check_distinct_paths
from sandpiper_contract.records import Nested, Record, record
from sandpiper_contract.requests import RunCode
from sandpiper_contract.results import RunResult
from sandpiper_contract.rules import ExactlyOne
from sandpiper_contract.s3_objects import S3Object, S3Uri

ItemFormat = Literal["json", "jsonl", "csv", "s3-prefix", "manifest"]
ITEM_FORMATS: tuple[ItemFormat, ...] = ("json", "jsonl", "csv", "s3-prefix", "manifest")
MAX_ITEMS = 10_000_000
"""Maximum number of items of a batch."""
MAX_ITEMS_PER_SESSION = 1_000
MAX_CONCURRENCY = 10_000
"""Maximum number of concurrent child executions of a Distributed Map.

https://docs.aws.amazon.com/step-functions/latest/dg/state-map-distributed.html
"""
CHILD_INPUT_BYTES = 200_000
"""Maximum size of the items of a child execution, whose input has at most 256 KiB.

https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html
"""
MAX_ITEM_INPUTS = 20
MAX_ITEM_BYTES = 64 * 1024
"""Maximum size of an item as JSON. A workflow's state has at most 256 KiB."""
ITEM_FILE = "item.json"
"""The file in the working directory that contains the item."""


class _FolderOfPrefix:
    """The location of the format `s3-prefix` ends with a slash."""

    def check(self, record: BatchItems) -> None:
        if record.format == "s3-prefix" and not record.location.key.endswith("/"):
            raise InvalidRequest("location does not end with a slash, but format is s3-prefix; allowed: a folder")

    def schema(self, record: type[Record]) -> dict[str, object]:  # noqa: ARG002 - signature of Rule
        is_prefix = {"properties": {"format": {"const": "s3-prefix"}}, "required": ["format"]}
        return {"if": is_prefix, "then": {"properties": {"location": {"pattern": "/$"}}}}


class _DistinctItemPaths:
    """The files of an item do not collide with those of the request. JSON Schema cannot express it."""

    def check(self, record: RunBatch) -> None:
        shared = [(f"request.inputs[{index}].path", file.path) for index, file in enumerate(record.request.inputs)]
        own = [(f"itemInputs[{index}].path", file.path) for index, file in enumerate(record.item_inputs)]
        check_distinct_paths([("the item's file", ITEM_FILE), *shared, *own])

    def schema(self, record: type[Record]) -> dict[str, object]:  # noqa: ARG002 - signature of Rule
        return {}


@record
class BatchItems(Record):
    """The items of a batch, in S3.

    `json` is an array, `jsonl` has one JSON value on each line, and `csv` has a header row, so that each other row is
    an object of strings. The items of `s3-prefix` are the objects in a folder, and those of `manifest` the objects in
    the CSV files of an S3 Inventory: each is an object with `s3Uri`, `key` and, if known, `size`.
    """

    RULES = (_FolderOfPrefix(),)

    location: Annotated[S3Object, S3Uri(), "The object or folder, below the tenant's `inputs/`."]
    format: Annotated[ItemFormat, Choice(ITEM_FORMATS), "The format of the items."]


@record
class ItemInput(Record):
    """A file that is written for each item: the object whose URI the item contains."""

    path: Annotated[str, RelativePath(), "Path relative to the working directory."]
    s3_uri_from: Annotated[str, Text(255), "The item's field that contains the S3 URI of an object in `inputs/`."]


@record(kw_only=True)
class RunBatch(Record):
    """Runs a program once for each item. The program reads its item from `item.json` in the working directory."""

    RULES = (_DistinctItemPaths(),)

    items: Annotated[BatchItems, Nested(BatchItems), "The items."]
    request: Annotated[RunCode, Nested(RunCode), "The program and its options, the same for every item."]
    item_inputs: Annotated[
        tuple[ItemInput, ...], ListOf(Nested(ItemInput), MAX_ITEM_INPUTS), "Files that differ for each item."
    ] = ()
    items_per_session: Annotated[
        int | None,
        Integer(1, MAX_ITEMS_PER_SESSION, "items"),
        "Run this many items one after another in one session, where they share variables and files. Default: each "
        "item has its own session.",
    ] = None
    tolerated_failures: Annotated[
        int | str,
        CountOrPercentage(MAX_ITEMS, "items"),
        "How many items may fail, as a number or a percentage. When more fail, the batch starts no further items and "
        "fails. An item fails if it has no result.",
    ] = "100%"
    max_concurrency: Annotated[
        int | None,
        Integer(1, MAX_CONCURRENCY, "sessions"),
        "Maximum number of concurrent sessions of the batch. Default and maximum: as configured for the tenant.",
    ] = None


_Count = Integer(0, MAX_ITEMS, "items")


@record
class PreparedBatch(Record):
    """A batch whose items have been read and validated."""

    bucket: Annotated[str, Text(63), "The bucket of the items in the format of the Distributed Map."]
    key: Annotated[str, Text(1024), "The key of the items in the format of the Distributed Map."]
    count: Annotated[int, _Count, "The number of items."]
    max_concurrency: Annotated[int, Integer(1, MAX_CONCURRENCY, "sessions"), "Maximum number of concurrent sessions."]
    items_per_session: Annotated[int, Integer(1, MAX_ITEMS_PER_SESSION, "items"), "Maximum items of one session."]
    tolerated_count: Annotated[int, _Count, "The Distributed Map fails when more items fail."]
    tolerated_percentage: Annotated[float, Number("percent"), "The Distributed Map fails when more items fail."]


@record
class BatchItem(Record):
    """An item with its position in the batch."""

    index: Annotated[int, _Count, "The position, from 0."]
    item: Annotated[str, Text(MAX_ITEM_BYTES), "The item as JSON text, so that no number loses precision."]


@record(kw_only=True)
class RunItems(Record):
    """Runs some items of a batch, one after another. Each item is a separate run of the batch's execution."""

    execution: Annotated[str, Text(2048), "`$$.Execution.Id` of the batch, not of the Distributed Map's item."]
    items: Annotated[
        tuple[BatchItem, ...], ListOf(Nested(BatchItem), MAX_ITEMS_PER_SESSION), "Items as `prepare_batch` wrote them."
    ]


@record
class ItemsState(Record):
    """How many items have ended. The same request again runs the remaining ones."""

    succeeded: Annotated[int, _Count, "Items with a result."]
    failed: Annotated[int, _Count, "Items with an error."]
    remaining: Annotated[int, _Count, "Items for which no time was left."]


@record
class FinishBatch(Record):
    """Writes the results and the summary of a batch. If `finished` is false, the same request again continues."""

    stopped: Annotated[
        bool, Boolean(), "Whether the batch has failed or was stopped: first stop its sessions, then start again."
    ] = False


@record
class FailureCount(Record):
    """How many items failed with an error."""

    name: Annotated[str, Text(), "The name of the error."]
    count: Annotated[int, _Count, "The number of items."]


@record
class BatchSummary(Record):
    """The counts and the usage of a batch."""

    count: Annotated[int, _Count, "All items."]
    succeeded: Annotated[int, _Count, "Items with a result, whatever its exit code."]
    failed: Annotated[int, _Count, "Items with an error. Their code may have run, unless the error states otherwise."]
    programs_failed: Annotated[int, _Count, "Items with a result whose exit code is not 0."]
    failures: Annotated[
        tuple[FailureCount, ...],
        ListOf(Nested(FailureCount), 100),
        "The failed items by error, the most frequent first.",
    ] = ()
    p50_ms: Annotated[float | None, Number("ms"), "Median of the execution times of results, within 1 %."] = None
    p95_ms: Annotated[float | None, Number("ms"), "95th percentile of the same, within 1 %."] = None
    calls: Annotated[int, Integer(0, 2**53, "calls"), "Calls to AgentCore, as far as known."] = 0
    session_seconds: Annotated[float, Number("seconds"), "Total time of sessions, as far as known."] = 0.0
    bytes: Annotated[int, Integer(0, 2**53, "bytes"), "Total size of the returned files."] = 0
    estimated_usd: Annotated[
        float | None, Number("USD"), "Estimated cost at list prices: AgentCore, Lambda and Step Functions."
    ] = None


@record
class BatchState(Record):
    """The results of a batch, as far as they are written."""

    finished: Annotated[bool, Boolean(), "Whether all results and the summary are written, if the batch was prepared."]
    written: Annotated[int, _Count, "The number of items whose results are written."]
    results_uri: Annotated[
        S3Object, S3Uri(), "One line for each item, in their order: `index` and `result` or `error`."
    ]
    summary_uri: Annotated[S3Object, S3Uri(), "The address of the summary."]
    summary: Annotated[BatchSummary | None, Nested(BatchSummary), "The summary, when it is written."] = None


@record
class ItemError(Record):
    """The error of an item."""

    name: Annotated[str, Text(), "The name of the error."]
    message: Annotated[str, AnyString(), "The problem and its location."]


@record
class ItemResult(Record):
    """A line of `results.jsonl`."""

    RULES = (ExactlyOne(("result", "error")),)

    index: Annotated[int, _Count, "The position of the item, from 0."]
    result: Annotated[RunResult | None, Nested(RunResult), "The result, as `run_code` returns it."] = None
    error: Annotated[ItemError | None, Nested(ItemError), "Why the item has no result."] = None
