"""Runs `sandpiper status`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.support.cli import sandpiper

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

IN_SYNC, DRIFTED, ERROR = 0, 2, 1
"""Exit codes of the command."""


def status(*arguments: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Runs the command with environment variables and returns its exit code and output."""
    return sandpiper("status", *arguments, variables=variables)


def read_status(file: Path, code: int) -> dict[str, Any]:
    """Returns the JSON report for an environment file, after checking the exit code."""
    process = status("-e", file, "--json")
    assert process.returncode == code, process.stdout + process.stderr
    return json.loads(process.stdout)
