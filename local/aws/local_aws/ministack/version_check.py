"""Checks that the installed MiniStack has the version that the patches were written for.

The patches replace internal functions of MiniStack, which may change in any release.
"""

from __future__ import annotations

import re
from importlib import metadata
from pathlib import Path

PATCHES = Path(__file__).parent / "patches"
_STATEMENT = re.compile(r'^MINISTACK_VERSION = "([^"]+)"$', re.MULTILINE)


def tested_versions() -> dict[str, str]:
    """Returns the MiniStack version that each patch states, by file name.

    Reads the files and does not import them, because a patch may fail to import with another version.
    """
    statements = {file.name: _STATEMENT.search(file.read_text()) for file in sorted(PATCHES.glob("*.py"))}
    return {name: statement[1] for name, statement in statements.items() if statement}


def require_tested_version(installed: str | None = None) -> None:
    """Ends the process when the installed MiniStack is not the version of every patch.

    Args:
        installed: The version. Default: the version in the metadata of the `ministack` package.

    Raises:
        SystemExit: The version differs. The message names the versions, the patches and the remedy.
    """
    installed = installed or metadata.version("ministack")
    others = {name: version for name, version in tested_versions().items() if version != installed}
    if others:
        raise SystemExit(
            f"MiniStack {installed} is installed, but patches in {PATCHES} were written for "
            f"{' and '.join(sorted(set(others.values())))} ({', '.join(others)}): run `make setup` to install the "
            "pinned version, or adapt each patch and its MINISTACK_VERSION"
        )
