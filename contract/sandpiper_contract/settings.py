"""Names of the environment variables by which a deployed session function learns where it is."""

from __future__ import annotations

BUCKET = "SANDPIPER_BUCKET"
"""The bucket of inputs and outputs."""
PREFIX = "SANDPIPER_PREFIX"
"""The tenant's part of the bucket, without a slash at its end."""
INTERPRETERS = "SANDPIPER_INTERPRETERS"
"""JSON object: the tenant's interpreter keys, the default first, each with its identifier."""

RUNS = "runs"
INPUTS = "inputs"
"""Folders below the tenant's prefix: what programs left, and what they are given."""
