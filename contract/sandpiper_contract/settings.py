"""Names of the session function's environment variables, of S3 folders below a tenant's prefix, and of log buckets."""

from __future__ import annotations

BUCKET = "SANDPIPER_BUCKET"
"""The bucket of inputs and outputs."""
PREFIX = "SANDPIPER_PREFIX"
"""The tenant's prefix in the bucket, without a trailing slash."""
INTERPRETERS = "SANDPIPER_INTERPRETERS"
"""JSON object: the tenant's interpreter keys with their identifiers. The first key is the default."""
SESSION_SECONDS = "SANDPIPER_SESSION_SECONDS"
"""JSON object: `[default, maximum]` session lifetime in seconds for interpreter keys that configure one."""
BATCH_LIMITS = "SANDPIPER_BATCH_LIMITS"
"""JSON object: `maxConcurrency`, the maximum number of sessions of a batch, and `secondsBetweenCalls`, the least time
between two calls to the same session of a batch. Absent if the function runs no batches."""
PRICES = "SANDPIPER_PRICES"
"""JSON object: fields of `sandpiper_contract.prices.Prices` that differ from the list prices. Absent if none does."""

RUNS = "runs"
"""Folder of the runs, with their idempotency records and outputs."""
RECORD_NAME = "claim.json"
"""Name of the idempotency record in the folder of its run."""
BATCH_ITEMS_NAME = "items.jsonl"
"""Name of the items in the folder of a batch, which the Distributed Map reads."""
INPUTS = "inputs"
"""Folder of the files that requests read."""
SANDBOX = "sandbox"
"""Folder that code itself reads and writes, with a subfolder for each interpreter key."""

ACCESS_LOGS_SUFFIX = "-logs"
AUDIT_SUFFIX = "-audit"
"""Follow the name of the data bucket in the names of the buckets for its access logs and for the audit trail."""
