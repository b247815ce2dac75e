"""Names of the environment variables by which a deployed session function learns where it is."""

from __future__ import annotations

BUCKET = "SANDPIPER_BUCKET"
"""The bucket of inputs and outputs."""
PREFIX = "SANDPIPER_PREFIX"
"""The tenant's part of the bucket, without a slash at its end."""
INTERPRETERS = "SANDPIPER_INTERPRETERS"
"""JSON object: the tenant's interpreter keys, the default first, each with its identifier."""
SESSION_SECONDS = "SANDPIPER_SESSION_SECONDS"
"""JSON object: keys of interpreters with times of their own for sessions, each with `[unless asked, longest]`."""

RUNS = "runs"
INPUTS = "inputs"
"""Folders below the tenant's prefix: runs with their claims and what programs left, and what programs are given."""
SANDBOX = "sandbox"
"""Below the tenant's prefix: what code itself may read and write, a folder for each interpreter's key."""
STAGING = "staging"
"""Below that: files on their way between a session and the other two folders, when they are too large for a call."""
