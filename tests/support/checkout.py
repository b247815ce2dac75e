"""The project under another path, in which the documented commands run."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

CREATED_BY_COMMANDS = {"cdk.out", "out", ".sandpiper"}


def run(checkout: Path, script: str) -> subprocess.CompletedProcess[str]:
    """Runs the commands in a shell, which stops at the first one that fails."""
    environment = {**os.environ, "PWD": str(checkout)}
    done = subprocess.run(
        ["bash", "-euxc", script], cwd=checkout, env=environment, capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, done.stderr
    return done
