"""Runs documented commands in a copy of the project under another path."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

CREATED_BY_COMMANDS = {"cdk.out", "out", ".sandpiper"}


def run(checkout: Path, script: str) -> subprocess.CompletedProcess[str]:
    """Runs the commands in a shell that stops at the first failure."""
    environment = {**os.environ, "PWD": str(checkout)}
    process = subprocess.run(
        ["bash", "-euxc", script], cwd=checkout, env=environment, capture_output=True, text=True, timeout=900
    )
    assert process.returncode == 0, process.stderr
    return process
