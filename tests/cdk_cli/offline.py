"""Commands that find no network, no credentials and nothing in their home directory."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).parents[2]
# Where jsii keeps the CDK's packages unpacked, by their digests: to unpack them anew takes longer than all the rest.
# Where it is named, jsii does not ask who owns the folders above it, which in an ordinary user's namespace is nobody.
PACKAGES = Path.home() / ".cache" / "aws" / "jsii" / "package-cache"


def run(command: Sequence[str], home: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Runs a command in the repository, in a network namespace that has not even a loopback."""
    no_network = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--net"]
    path = f"{ROOT}/.venv/bin:{ROOT}/node_modules/.bin:{os.environ['PATH']}"
    own = {"PATH": path, "HOME": str(home), "NO_COLOR": "1", "JSII_RUNTIME_PACKAGE_CACHE_ROOT": str(PACKAGES)}
    return subprocess.run(
        [*no_network, *command],
        cwd=ROOT,
        env={**own, **variables},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
