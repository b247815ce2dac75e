"""Runs commands without a network, credentials or files in the home directory."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.project import PROJECT

if TYPE_CHECKING:
    from collections.abc import Sequence

# The folder in which jsii caches unpacked CDK packages. Unpacking them again takes longer than the rest of synthesis.
# With an explicit cache folder, jsii does not check the owner of its parent folders, which is unmapped in a user
# namespace of an unprivileged user.
PACKAGES = Path.home() / ".cache" / "aws" / "jsii" / "package-cache"


def run(command: Sequence[str], home: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Runs a command in the repository, in a network namespace without a working loopback interface."""
    no_network = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--net"]
    path = f"{PROJECT}/.venv/bin:{PROJECT}/node_modules/.bin:{os.environ['PATH']}"
    own = {"PATH": path, "HOME": str(home), "NO_COLOR": "1", "JSII_RUNTIME_PACKAGE_CACHE_ROOT": str(PACKAGES)}
    return subprocess.run(
        [*no_network, *command],
        cwd=PROJECT,
        env={**own, **variables},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
